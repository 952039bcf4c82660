"""Tables on stdout: drawn with rich on a terminal, plain aligned text of a width set by its content elsewhere.

A column title that starts with ">" is a column of numbers, aligned to the right. A table whose caller says which
columns a reader can do without loses these on a narrow terminal. Where the others still have no room, each row's first
cell has a line of its own and the rest stands below it: no name is ever broken. Any other table breaks its longest
cells.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence

import click

from .text_lines import print_text, terminal_width

ENDLESS_WIDTH = 100_000  # off a terminal no cell is ever wrapped or cut
GAP = 2
INDENT = 4  # of what stands below a row's first cell
LINES = 25  # of a terminal, which nothing here depends on


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    totals: Sequence[str] | None = None,
    *,
    dispensable: Sequence[str] = (),
    wide: bool = False,
) -> None:
    """Print rows of text under `columns`, and `totals` as a last row set apart, then an empty line.

    dispensable : titles of columns that a narrow terminal does without, the first to go first; with `wide` they
        stay, and long cells are broken
    """
    dispensable = () if wide else dispensable
    from rich.console import Console

    rows = list(rows)
    if sys.stdout.isatty():
        console = Console(width=terminal_width() + 1, height=LINES)  # by one alone rich takes a dumb terminal for 80
        all_columns = columns
        columns, rows, totals, needed = _fitted(columns, rows, totals, dispensable, console.width)
        if dispensable and needed > console.width:
            _print_stacked(columns, rows, totals)
        else:
            console.print(_table(columns, rows, totals, drawn=True))
        if left_out := [column.removeprefix(">") for column in all_columns if column not in columns]:
            print_text(f"(no room for {', '.join(left_out)})", 1)
        click.echo()
        return
    buffer = io.StringIO()
    Console(file=buffer, width=ENDLESS_WIDTH, color_system=None).print(_table(columns, rows, totals, drawn=False))
    for line in buffer.getvalue().splitlines():
        click.echo(line.rstrip())
    click.echo()


def _fitted(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    totals: Sequence[str] | None,
    dispensable: Sequence[str],
    width: int,
) -> tuple[list[str], list[list[str]], list[str] | None, int]:
    """The table without the columns that `width` has no room for, and the width that it needs."""
    from rich.cells import cell_len

    lines = [[column.removeprefix(">") for column in columns], *rows, *([totals] if totals is not None else [])]
    sizes = {column: max(cell_len(line[k]) for line in lines) for k, column in enumerate(columns)}
    kept = list(columns)
    for column in dispensable:
        if sum(sizes[each] + GAP for each in kept) - GAP <= width:
            break
        kept.remove(column)
    places = [columns.index(column) for column in kept]
    chosen = [[line[k] for k in places] for line in rows]
    needed = sum(sizes[each] + GAP for each in kept) - GAP
    return kept, chosen, None if totals is None else [totals[k] for k in places], needed


def _print_stacked(columns: Sequence[str], rows: Sequence[Sequence[str]], totals: Sequence[str] | None) -> None:
    """Each row's first cell on a line of its own, the others in columns below it."""
    from rich.cells import cell_len

    titles = [column.removeprefix(">") for column in columns]
    lines = [titles, *rows, *([totals] if totals is not None else [])]
    sizes = [max(cell_len(line[k]) for line in lines) for k in range(len(columns))]
    rule = "─" * min(max(sizes[0], INDENT - GAP + sum(size + GAP for size in sizes[1:])), terminal_width())
    for number, (first, *others) in enumerate(lines):
        padded = [
            " " * (size - cell_len(cell)) + cell if column.startswith(">") else cell + " " * (size - cell_len(cell))
            for column, size, cell in zip(columns[1:], sizes[1:], others, strict=True)
        ]
        if number == 1 or (totals is not None and number == len(lines) - 1):
            print_text(rule)
        print_text(first)
        print_text(" " * INDENT + (" " * GAP).join(padded).rstrip(), INDENT)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], totals: Sequence[str] | None, *, drawn: bool):
    from rich import box
    from rich.table import Table
    from rich.text import Text

    padding = (0, GAP - 1 if drawn else GAP, 0, 0)  # the drawn box has a space of its own between columns
    table = Table(box=box.SIMPLE_HEAD if drawn else None, show_edge=False, pad_edge=False, padding=padding)
    for column in columns:
        table.add_column(
            column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if totals is not None:
        table.add_section()
        table.add_row(*(Text(cell, style="bold") for cell in totals))
    return table
