"""Declared against logged against counted: the section that reads submission.json and logs."""

from __future__ import annotations

from dataclasses import dataclass

from .byte_rows import ByteRow, byte_rows, judge_bytes
from .declaration import Declaration, read_declaration
from .findings import Finding
from .folder import SubmissionFolder
from .logs import LogFacts, read_logs
from .mebibytes import mebibyte_findings
from .run_logs import judge_logs
from .scores import judge_scores
from .shipped_code import ShippedCode, plain_code
from .sizes import judge_sizes


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """What the folder says about itself: its declaration, its logs, the code they were compared with."""

    declaration: Declaration
    logs: tuple[LogFacts, ...]
    code: ShippedCode
    rows: tuple[ByteRow, ...]


def judge_claims(
    folder: SubmissionFolder, *, cap: int, code: ShippedCode | None = None
) -> tuple[ClaimFacts, list[Finding]]:
    """Judge what is declared and logged; `code` as another section counted it, else the main script alone."""
    declared, findings = read_declaration(folder)
    logs = read_logs(folder)
    code = plain_code(folder) if code is None else code
    size_facts, size_findings = judge_sizes(declared, logs, code, cap)
    findings += size_findings + mebibyte_findings(folder, declared.name, code)
    rows = byte_rows(logs, size_facts.declared, folder.files, code.closure_bytes)
    findings += judge_bytes(rows, size_facts.declared, code, cap)
    findings += judge_scores(folder, declared, logs, code)
    findings += judge_logs(declared, logs, code)
    return ClaimFacts(declared, logs, code, tuple(rows)), findings
