"""What `bytecap verify FOLDER` prints: the ledger in two columns, findings from grave to good, then the verdict."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from .text_lines import coloured, terminal_width

if TYPE_CHECKING:
    from ..submissions.findings import Finding
    from ..submissions.judgement import Judgement

WIDTH = 80
COLOURS = {"fail": "red", "warning": "yellow", "finding": "cyan", "skipped": "magenta", "pass": "green"}
GRAVEST_FIRST = ("fail", "warning", "finding", "skipped", "information", "pass")
INDENT = max(map(len, GRAVEST_FIRST)) + 2
BYTES_COLUMN = 15
NUMBERS_OF = {"fail": "failure", "warning": "warning", "finding": "finding", "skipped": "skipped"}


def print_judgement(judgement: Judgement) -> None:
    """One folder: its ledger, a paragraph a finding, and the whole verdict as the last line."""
    from ..submissions.findings import visible_text

    files = f"{judgement.files:,} {'file' if judgement.files == 1 else 'files'}"
    click.echo(f"submission folder {visible_text(str(judgement.path))}: {files}")
    if judgement.opened is not None:
        click.echo(opened_line(judgement.opened))
    click.echo()
    for line in ledger_lines(judgement):
        click.echo(line)
    for level in GRAVEST_FIRST:
        for finding in judgement.findings:
            if finding.level.value == level:
                print_finding(finding)
    if judgement.findings:
        click.echo()
    click.echo(verdict_line(judgement))


def opened_line(opened: Mapping[str, Any]) -> str:
    """`opened from a zip archive of 6 files, 1,234 bytes; judged is its folder a/b`."""
    files = f"{opened['files']:,} {'file' if opened['files'] == 1 else 'files'}"
    entered = f"; judged is its folder {opened['entered']}" if opened["entered"] else ""
    return f"opened from a {opened['archive']} archive of {files}, {opened['bytes']:,} bytes{entered}"


def print_finding(finding: Finding) -> None:
    """`FAIL         train.log:340: the sentence [rule]`, wrapped under itself."""
    level = finding.level.value
    place = f"{finding.place}: " if finding.place else ""
    lines = wrapped(f"{place}{finding.text} [{finding.rule}]", INDENT)
    word = coloured(f"{level.upper():<{INDENT}}", COLOURS.get(level), bold=level == "fail")
    click.echo(word + lines[0])
    for line in lines[1:]:
        click.echo(" " * INDENT + line)


def wrapped(text: str, indent: int) -> list[str]:
    """The text in lines that fit beside `indent` columns; a name longer than that stays whole."""
    return textwrap.wrap(text, max(_width() - indent, 1), break_long_words=False, break_on_hyphens=False) or [""]


def _width() -> int:
    """Columns of the report: fewer only where the terminal has fewer."""
    return min(WIDTH, terminal_width()) if sys.stdout.isatty() else WIDTH


def ledger_lines(judgement: Judgement) -> list[str]:
    """The ledger with its sums and what is left of the cap, in two columns of bytes; then what the notes say."""
    name_width = max(_width() - 2 * BYTES_COLUMN, 1)
    lines = [f"{'bytes':<{name_width}}{'as counted':>{BYTES_COLUMN}}{'as shipped':>{BYTES_COLUMN}}"]
    lines += [_ledger_line(line.name, (line.as_counted, line.as_shipped), name_width) for line in judgement.ledger]
    cap = "cap (none was given; assumed)" if judgement.options.cap_assumed else "cap"
    lines.append(_ledger_line(cap, [judgement.options.cap] * 2, name_width))
    notes = [f"{line.name}: {line.note}" for line in judgement.ledger if line.note]
    return [*lines, *(part for note in notes for part in wrapped(note, 0)), ""]


def _ledger_line(name: str, values: Sequence[int | None], name_width: int) -> str:
    """Name and figures; these below the name where it is too long."""
    figures = "".join(f"{'–' if value is None else f'{value:,}':>{BYTES_COLUMN}}" for value in values)
    if len(name) < name_width:
        return f"{name:<{name_width}}{figures}"
    return f"{name}\n{'':<{name_width}}{figures}"


def verdict_line(judgement: Judgement) -> str:
    """`FAIL: 2 failures, 1 warning, 3 findings`."""
    told = [_number(_count(judgement, level), word) for level, word in NUMBERS_OF.items() if _count(judgement, level)]
    word = styled_verdict(judgement.verdict)
    return f"{word}: {', '.join(told)}" if told else word


def styled_verdict(verdict: str) -> str:
    """The word of a verdict in its colour."""
    colour = {"pass": "green", "fail": "red"}.get(verdict, "magenta")
    return coloured(verdict.upper(), colour, bold=True)


def _count(judgement: Judgement, level: str) -> int:
    return sum(finding.level.value == level for finding in judgement.findings)


def _number(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 or word == "skipped" else f"{count:,} {word}s"


def gravest(findings: Sequence[Finding], level: str) -> list[Finding]:
    """Findings of one level."""
    return [finding for finding in findings if finding.level.value == level]
