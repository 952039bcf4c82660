"""Where every byte of a submission goes: one integer ledger, from the bytes on disk.

Strategy: what the sections do not take is the header, so the rows add up to the artifact by
construction; code counts as the sizes of its files, for the ledger and for verification alike.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..display import ShownByFacts
from ..format.container.container import read_container, section_name
from ..format.container.limits import DEFAULT_LIMITS, Limits
from .code_files import existing_code_file


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """Bytes of one thing; `kind` is "header" (magic, section table and its checksum), "section" or "code"."""

    kind: str
    name: str
    bytes: int


@dataclass(frozen=True, slots=True, repr=False)
class Ledger(ShownByFacts):
    """Rows and their sums in bytes: artifact_bytes = header + sections, total_bytes = artifact + code."""

    rows: tuple[LedgerRow, ...]
    artifact_bytes: int
    code_bytes: int
    total_bytes: int
    cap: int | None

    @property
    def fits(self) -> bool:
        """Whether the total is at most the cap; true without a cap."""
        return self.cap is None or self.total_bytes <= self.cap

    def shown_facts(self) -> Mapping[str, str]:
        """The sums, and how far they are from the cap."""
        facts = {"artifact": f"{self.artifact_bytes:,} bytes", "code": f"{self.code_bytes:,} bytes"}
        facts |= {"total": f"{self.total_bytes:,} bytes"}
        if self.cap is None:
            return facts
        left = self.cap - self.total_bytes
        return facts | {"cap": f"{self.cap:,} bytes, {abs(left):,} {'left' if left >= 0 else 'over'}"}


def build_ledger(
    artifact_data: bytes, code_files: Sequence[str | Path] = (), cap: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> Ledger:
    """The ledger of an artifact's bytes and of the code files shipped with it.

    `code_files` are counted as given: those that a script needs are `code_files.counted_files`. A file
    named twice counts once. Raises ArtifactError for bytes that are no container, DataError for a
    code file that does not exist.
    """
    sections = read_container(artifact_data, limits)
    header = len(artifact_data) - sum(len(section.stored) for section in sections)
    rows = [LedgerRow("header", "header and section table", header)]
    rows += [LedgerRow("section", section_name(section.id), len(section.stored)) for section in sections]
    code = code_rows(code_files)
    code_bytes = sum(row.bytes for row in code)
    artifact_bytes = len(artifact_data)
    return Ledger((*rows, *code), artifact_bytes, code_bytes, artifact_bytes + code_bytes, cap)


def code_rows(code_files: Sequence[str | Path]) -> list[LedgerRow]:
    """One row a file, in the given order, named from the folder that holds them all; DataError for a missing file."""
    paths = list(dict.fromkeys(existing_code_file(path) for path in code_files))
    folder = os.path.commonpath([path.parent for path in paths]) if paths else ""
    return [LedgerRow("code", path.relative_to(folder).as_posix(), path.stat().st_size) for path in paths]
