"""Progress as bars, for callers of the Python functions who say `progress=True`.

Strategy: in a notebook one output cell of HTML is shown again whenever something moves, a few times a second, which
needs no widgets; on a terminal bars are drawn on stderr, and go when the work ends. Elsewhere nobody would see them.
IPython is only looked for where it is loaded already.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from ..progress import Progress

ProgressOption = Progress | bool | None  # what the public functions take: a callback, True for bars, or nothing
SECONDS_BETWEEN = 0.2  # two drawings of a notebook's bars
STAGE = "padding:0 12px 0 0;text-align:left;font-weight:400"
FIGURES = "padding:0 0 0 12px;text-align:left;font-variant-numeric:tabular-nums"


@contextmanager
def heard(progress: ProgressOption) -> Iterator[Progress | None]:
    """Yield whom the work reports to while it lasts: the caller's own callback, bars for True, nobody otherwise."""
    if not isinstance(progress, bool):
        yield progress
        return
    cell = notebook_display() if progress else None
    if cell is not None:
        with _notebook_bars(cell) as bars:
            yield bars
    elif progress and sys.stderr.isatty():
        with _terminal_bars() as bars:
            yield bars
    else:
        yield None


def notebook_display() -> Any | None:
    """The module IPython.display where a notebook runs this, else None."""
    loaded = sys.modules.get("IPython")
    shell = loaded.get_ipython() if loaded is not None else None
    return None if loaded is None or getattr(shell, "kernel", None) is None else loaded.display


@contextmanager
def _notebook_bars(display: Any) -> Iterator[Progress]:
    stages = StageTable()
    cell = display.display(display.HTML(stages.html()), display_id=True)
    drawn = 0.0

    def report(stage: str, done: int, total: int) -> None:
        nonlocal drawn
        new = stages.take(stage, done, total)
        now = time.monotonic()
        if new or done == total or now - drawn >= SECONDS_BETWEEN:
            drawn = now
            cell.update(display.HTML(stages.html()))

    try:
        yield report
    finally:
        cell.update(display.HTML(stages.html()))


class StageTable:
    """How far each stage is, in the order in which they began, as rows of HTML."""

    def __init__(self) -> None:
        self._stages: dict[str, tuple[int, int, float, float]] = {}  # done, total, first and last heard of

    def take(self, stage: str, done: int, total: int) -> bool:
        """Keep how far a stage is; whether it is new."""
        now, known = time.monotonic(), self._stages.get(stage)
        self._stages[stage] = (done, total, now if known is None else known[2], now)
        return known is None

    def html(self) -> str:
        """A row a stage: its name, a bar, its counts and its seconds."""
        rows = "".join(_stage_row(stage, *known) for stage, known in self._stages.items())
        return f'<table style="border-collapse:collapse">{rows}</table>'


def _stage_row(stage: str, done: int, total: int, began: float, heard_of: float) -> str:
    value = f' value="{done}" max="{total}"' if total else ""
    counts = f"{done:,}/{total:,}" if total else f"{done:,}" if done else ""
    figures = f"{counts} {heard_of - began:.0f} s".strip()
    return (
        f'<tr><th scope="row" style="{STAGE}">{escape(stage)}</th><td><progress{value}></progress></td>'
        f'<td style="{FIGURES}">{figures}</td></tr>'
    )


@contextmanager
def _terminal_bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield report
