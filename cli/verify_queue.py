"""`bytecap verify` of folders, and of several targets: judged side by side, told in their order.

Strategy: folders are judged apart from this process, several at a time; an artifact between them is checked
here when its turn comes. Each target becomes a row, whose text, table line and JSON line do not depend on
what ran beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..files.artifact_file import artifact_file_size
from ..submissions.archive_kinds import is_submission
from .documents import document_text, print_document
from .exit_codes import VERIFICATION
from .progress import terminal_progress
from .tables import print_table
from .verify_folder_report import gravest, print_finding, print_judgement, styled_verdict
from .verify_report import none_failed, print_check, verification_document

if TYPE_CHECKING:
    from ..runtime.check import Check
    from ..submissions.judgement import Judgement


@dataclass(frozen=True)
class Row:
    """One target: a folder with its judgement, or an artifact with its checks."""

    path: Path
    judgement: Judgement | None = None
    checks: Sequence[Check] = ()

    @property
    def verdict(self) -> str:
        """ "pass", "fail" or "not judged"."""
        if self.judgement is not None:
            return self.judgement.verdict
        return "pass" if none_failed(self.checks) else "fail"

    @property
    def document(self) -> dict[str, Any]:
        """The row as JSON values."""
        if self.judgement is None:
            return {"artifact": str(self.path), **verification_document(self.checks)}
        from ..submissions.judgement import judgement_document

        return judgement_document(self.judgement)


def verify_targets(
    targets: Sequence[Path],
    folder_options: Mapping[str, Any],
    artifact_options: Mapping[str, Any],
    *,
    as_json: bool,
    as_json_lines: bool,
) -> None:
    """Verify every target, print what was asked for, and exit with `VERIFICATION` unless all pass."""
    with terminal_progress() as progress:
        rows = _rows(targets, folder_options, artifact_options, progress)
        finished = []
        for row in rows:
            finished.append(row)
            if as_json_lines:
                click.echo(json_line(row))
    if as_json:
        _print_documents(finished)
    elif not as_json_lines:
        print_rows(finished)
    if any(row.verdict != "pass" for row in finished):
        click.get_current_context().exit(VERIFICATION)


def _rows(
    targets: Sequence[Path], folder_options: Mapping[str, Any], artifact_options: Mapping[str, Any], progress: Any
) -> Iterator[Row]:
    from .. import interface

    folders = [target for target in targets if is_submission(target)]
    judgements = interface.verify_folders(folders, progress=progress, **folder_options) if folders else iter(())
    for target in targets:
        if is_submission(target):
            yield Row(target, next(judgements))
        else:
            yield Row(target, checks=interface.verify(target, progress=progress, **artifact_options))


def json_line(row: Row) -> str:
    """One target as one line of JSON."""
    return document_text("verify", row.document, indent=None)


def _print_documents(rows: Sequence[Row]) -> None:
    if len(rows) == 1:
        print_document("verify", rows[0].document)
    else:
        passed = all(row.verdict == "pass" for row in rows)
        print_document("verify", {"passed": passed, "targets": [row.document for row in rows]})


def print_rows(rows: Sequence[Row]) -> None:
    """One target in full; of several a table, why those that did not pass did not, and the verdict on all."""
    if len(rows) == 1 and rows[0].judgement is not None:
        print_judgement(rows[0].judgement)
        return
    print_table(
        ("verdict", ">as counted", ">as shipped", ">fail", ">warn", ">find", ">cpu s", "target"),
        [_cells(row) for row in rows],
        dispensable=(">cpu s", ">find", ">as counted", ">warn"),
    )
    for row in rows:
        if row.verdict != "pass":
            _print_reasons(row)
    numbers = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("fail", "not judged", "pass")}
    whole = next((verdict for verdict, number in numbers.items() if number), "pass")
    told = ", ".join(f"{number:,} {verdict}" for verdict, number in numbers.items() if number)
    click.echo(f"{styled_verdict(whole)}: {len(rows):,} targets, {told}")


def _cells(row: Row) -> tuple[str, ...]:
    from ..submissions.findings import visible_text

    name = visible_text(str(row.path))
    if row.judgement is None:
        failed = sum(check.outcome.value == "failed" for check in row.checks)
        return (row.verdict.upper(), "", _size_text(row.path), str(failed), "", "", "", name)
    total = next((line for line in row.judgement.ledger if line.name == "total"), None)
    figures = (total.as_counted, total.as_shipped) if total is not None else (None, None)
    counts = [str(len(gravest(row.judgement.findings, level))) for level in ("fail", "warning", "finding")]
    shown = ["–" if figure is None else f"{figure:,}" for figure in figures]
    return (row.verdict.upper(), *shown, *counts, f"{row.judgement.cpu_seconds:.2f}", name)


def _size_text(path: Path) -> str:
    size = artifact_file_size(path)
    return "" if size is None else f"{size:,}"


def _print_reasons(row: Row) -> None:
    from ..submissions.findings import visible_text

    click.echo(visible_text(str(row.path)))
    if row.judgement is None:
        for check in row.checks:
            if check.failed:
                print_check(check)
    else:
        for level in ("fail",) if row.verdict == "fail" else ("skipped", "warning"):
            for finding in gravest(row.judgement.findings, level):
                print_finding(finding)
    click.echo()
