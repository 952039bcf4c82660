"""The judgement of a submission folder, from its files alone: read this function from top to bottom.

Strategy: each section is a pure function of the folder and of what earlier sections found. It gives
facts, which the ledger and the report are made of, and findings. One FAIL of any section and the
folder fails; findings and warnings are for people to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .claims import judge_claims
from .findings import Finding, Level
from .folder import FolderLimits, open_folder
from .folder_findings import encoding_findings, listing_findings, reading_findings

CHALLENGE_CAP = 16_000_000  # bytes of artifact and code together, in the public challenge


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found in one folder; `passed` unless a finding is a FAIL."""

    path: Path
    cap: int
    files: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no finding is a FAIL."""
        return not any(finding.level is Level.FAIL for finding in self.findings)


def judge_folder(path: str | Path, *, cap: int = CHALLENGE_CAP, limits: FolderLimits | None = None) -> Judgement:
    """Judge a folder against a cap in bytes, executing nothing of it.

    Raises DataError when it cannot be listed; whatever it holds is a finding and no error.
    """
    folder = open_folder(path, limits)
    findings = listing_findings(folder)
    findings += encoding_findings(folder)
    findings += judge_claims(folder, cap=cap)[1]
    findings += reading_findings(folder)  # last: what the sections above wanted to read and could not
    return Judgement(folder.path, cap, len(folder.files), tuple(findings))
