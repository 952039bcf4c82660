"""The judgement of a submission folder, from its files alone: read `judge_folder` from top to bottom.

Strategy: each section is a pure function of the folder and of what earlier sections found. It gives
facts, which the ledger and the report are made of, and findings. One FAIL of any section and the
folder fails; findings and warnings are for people to read. A section that breaks down on a folder takes
no other with it: that is said, and the folder cannot pass.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .blob_models import answered, judge_models
from .blob_text import text_findings
from .blobs import judge_blobs
from .chosen_folder import several_among, several_told
from .claims import judge_claims
from .code import judge_code
from .findings import Finding, Level, Rule
from .folder import FolderLimits, open_folder
from .folder_findings import encoding_findings, listing_findings, reading_findings
from .judgement import Judgement, JudgeOptions, limited, plain_facts
from .submission_ledger import submission_ledger

RULES = (
    Rule(
        "archive-unopened", (Level.SKIPPED,), "The archive of a submission is damaged, hostile, too large or not one."
    ),
    Rule("folder-several", (Level.SKIPPED,), "The folder holds several submissions and is none itself."),
    Rule("judge-crash", (Level.SKIPPED,), "Judging ended in an error of bytecap's own, or of a library."),
    Rule("judge-time", (Level.SKIPPED,), "Judging took longer than is allowed for a folder, and was given up."),
    Rule("judge-memory", (Level.SKIPPED,), "Judging needed more memory than is allowed for a folder."),
)


def judge_folder(
    path: str | Path, options: JudgeOptions | None = None, limits: FolderLimits | None = None
) -> Judgement:
    """Judge a folder, executing nothing of it.

    Raises DataError when it cannot be listed; whatever it holds is a finding and no error.
    """
    options = options or JudgeOptions()
    folder = open_folder(path, limits)
    if found := several_among(file.name for file in folder.files):
        finding = Finding("folder-several", Level.SKIPPED, f"{several_told(found)}, or give its folder")
        return Judgement(folder.path, options, (finding,), False, len(folder.files))
    sections = Sections()

    sections.judge("folder", lambda: (None, listing_findings(folder) + encoding_findings(folder)))
    code = sections.judge("code", lambda: judge_code(folder))
    shipped = None if code is None else code.shipped
    claims = sections.judge("claims", lambda: judge_claims(folder, cap=options.cap, code=shipped))
    blobs = sections.judge("blobs", lambda: judge_blobs(folder, claims))
    models = sections.judge("models", lambda: judge_models(folder, claims, blobs, options))
    if options.data is not None and blobs is not None:
        read = set() if shipped is None else {name for name, _ in shipped.reads} | set(shipped.modules)
        sections.judge("validation text", lambda: (None, text_findings(folder, blobs.blobs, options.data or "", read)))
    ledger = sections.judge("ledger", lambda: (submission_ledger(folder, claims, blobs, models), [])) or ()
    sections.judge("reading", lambda: (None, reading_findings(folder)))  # last: what the others could not read

    findings, facts = limited(answered(sections.findings)), plain_facts(sections.facts)
    return Judgement(folder.path, options, findings, sections.complete, len(folder.files), tuple(ledger), facts)


class Sections:
    """Runs sections and collects their findings and facts.

    facts : dict        by name of the section, None of one that broke down
    complete : bool     whether none did
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.facts: dict[str, Any] = {}
        self.complete = True

    def judge(self, name: str, section: Callable[[], tuple[Any, list[Finding]]]) -> Any:
        """The facts of a section; None when it breaks down, which becomes a finding."""
        facts = None
        try:
            facts, findings = section()
            self.findings += findings
        except Exception as error:
            self.complete = False
            self.findings.append(crash_finding(error, f"the section `{name}` was not judged"))
        if facts is not None and name != "ledger":
            self.facts[name] = facts
        return facts


def crash_finding(error: BaseException, consequence: str) -> Finding:
    """What an error that nobody expected means for the judgement, with the line of bytecap where it was raised."""
    if isinstance(error, MemoryError):
        return Finding("judge-memory", Level.SKIPPED, f"{consequence}: it needs more memory than is allowed")
    frames = traceback.extract_tb(error.__traceback__)
    line = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    text = f"{consequence}: {type(error).__name__}: {error}; please report this"
    return Finding("judge-crash", Level.SKIPPED, text, "", {"error": type(error).__name__, "line": line})
