"""Tables on stdout: drawn with rich on a terminal, plain aligned text of a width set by its content elsewhere.

A column title that starts with ">" is a column of numbers, aligned to the right.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence

import click

ENDLESS_WIDTH = 100_000  # off a terminal no cell is ever wrapped or cut


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], totals: Sequence[str] | None = None) -> None:
    """Print rows of text under `columns`, and `totals` as a last row set apart, then an empty line."""
    from rich.console import Console

    if sys.stdout.isatty():
        Console().print(_table(columns, rows, totals, drawn=True))
        return
    buffer = io.StringIO()
    Console(file=buffer, width=ENDLESS_WIDTH, color_system=None).print(_table(columns, rows, totals, drawn=False))
    for line in buffer.getvalue().splitlines():
        click.echo(line.rstrip())
    click.echo()


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], totals: Sequence[str] | None, *, drawn: bool):
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD if drawn else None, pad_edge=False, padding=(0, 2, 0, 0))
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
