"""Progress of long work on stderr: bars on a terminal, a line a stage in a log, nothing for --quiet.

Strategy: the compiler and the scorer call back with `(stage, done, total)`; a total of 0 means that the end is not
known. A compile also says its plan once: it becomes a few lines of header, and the source of one estimate for the
whole (estimate.py). Without a terminal each stage is one line when it is over, with the seconds since the beginning,
and only once the work has lasted a while, so that short commands stay silent; within a long stage a line now and then
says how far it is. With --verbose every step is a line.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from ..files.printable import printable
from ..progress import Plan, Progress
from .estimate import Estimate

SILENT_SECONDS = 5.0  # a log hears of work that lasts longer
WITHIN_SECONDS = 30.0  # between two lines of one stage, a tenth of it apart or more
ENDLESS_SECONDS = 120.0  # the same where the end is not known
VERBOSITY = "bytecap.verbosity"
FIRST_SIGN, ERASED = "bytecap: reading", "\r\x1b[K"  # on a terminal, before anything heavy is imported


def verbosity_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`-q` and `-v`, which `terminal_progress` follows."""

    def remember(level: int) -> Callable[[click.Context, click.Parameter, bool], None]:
        def callback(ctx: click.Context, param: click.Parameter, value: bool) -> None:
            if value:
                ctx.meta[VERBOSITY] = level

        return callback

    flags: dict[str, Any] = {"is_flag": True, "expose_value": False}
    command = click.option("-v", "--verbose", callback=remember(1), help="A line for every step.", **flags)(command)
    return click.option("-q", "--quiet", callback=remember(-1), help="No progress.", **flags)(command)


def _verbosity() -> int:
    """-1 for --quiet, 1 for --verbose, else 0."""
    context = click.get_current_context(silent=True)
    return 0 if context is None else context.meta.get(VERBOSITY, 0)


def is_quiet() -> bool:
    """Whether the command in progress has --quiet."""
    return _verbosity() < 0


@contextmanager
def one_stage(stage: str) -> Iterator[None]:
    """Show that work is in progress that does not say how far it is."""
    with terminal_progress() as progress:
        if progress is not None:
            progress(stage, 0, 0)
        yield


@contextmanager
def terminal_progress() -> Iterator[Progress | None]:
    """Yield a callback that shows progress, or None where nobody would see it; bars are gone when the work ends."""
    level = _verbosity()
    if level < 0:
        yield None
    elif sys.stderr.isatty() and level == 0:
        with _bars() as bars:
            yield bars
    elif level > 0 or _is_log():
        lines = ProgressLines(every_step=level > 0)
        yield lines
        lines.end()
    else:
        yield None


def _is_log() -> bool:
    """Whether stderr is a file or a pipe that somebody may read, and not a buffer of this process."""
    try:
        sys.stderr.fileno()
    except (OSError, ValueError, io.UnsupportedOperation, AttributeError):
        return False
    return True


def header_lines(plan: Plan) -> list[str]:
    """What was read, how it will be done, and what that may take."""
    lines = [f"{title}: {printable(text)}" for title, text in plan.facts.items()]
    span = f"{duration(plan.total)} ({duration(plan.low)} to {duration(plan.high)})"
    memory = f"{plan.peak_bytes / 1e9:.1f} GB of memory, within a factor of {plan.peak_factor:g}"
    return [*lines, f"forecast: {span}; {memory}; {len(plan.seconds)} stages"]


def duration(seconds: float) -> str:
    """`8 s`, `4 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02} s" if whole < 3600 else f"{whole // 3600} h {whole // 60 % 60:02} min"


class ProgressLines:
    """A line a stage, or a step, on stderr.

    A stage ends when all of it is done; what comes then belongs to the next one, which is often far before it says so.
    """

    def __init__(self, *, every_step: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_step, self._clock, self._began = every_step, clock, clock()
        self._stage, self._stage_began, self._counts = "", self._began, ""
        self._ended: float | None = None  # when all of the stage was done
        self._line_at, self._line_done = self._began, 0  # of the last line: when it was, and how far the stage was
        self._estimate: Estimate | None = None
        self._waiting: list[str] = []

    def plan(self, plan: Plan) -> None:
        """The header, and the estimate from now on."""
        self._estimate = Estimate(plan, self._clock)
        for line in header_lines(plan):
            self._say(line)

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            began = self._clock() if self._ended is None else self._ended
            self._end_stage(began)
            self._stage, self._stage_began = stage, began
            self._line_at, self._line_done = began, done
        self._ended = self._clock() if 0 < total <= done else None
        self._counts = f" {done:,}/{total:,}" if total else f" {done:,}" if done else ""
        if self._estimate is not None:
            self._estimate.take(stage, done, total)
        if self._every_step:
            self._say(f"{stage}{self._counts}{self._left()}")
        elif self._is_due(done, total):
            self._line_at, self._line_done = self._clock(), done
            self._say(f"{stage}{self._counts}: {duration(self._clock() - self._stage_began)} so far{self._left()}")

    def _is_due(self, done: int, total: int) -> bool:
        """Whether a long stage says how far it is: seldom, and after a tenth of it at least; its end is said anyway."""
        waited = self._clock() - self._line_at
        if total:
            return waited >= WITHIN_SECONDS and done < total and (done - self._line_done) * 10 >= total
        return waited >= ENDLESS_SECONDS and done > self._line_done

    def end(self) -> None:
        """The work is over."""
        self._end_stage(self._clock())

    def _end_stage(self, at: float) -> None:
        if self._stage:
            self._say(f"{self._stage}{self._counts}: took {duration(at - self._stage_began)}{self._left()}")
        self._stage = ""

    def _left(self) -> str:
        return "" if self._estimate is None else f"; about {duration(self._estimate.left)} left"

    def _say(self, line: str) -> None:
        elapsed = self._clock() - self._began
        self._waiting.append(f"bytecap: {elapsed:7.1f} s  {line}")
        if self._every_step or elapsed >= SILENT_SECONDS:
            for waiting in self._waiting:
                click.echo(waiting, err=True)
            self._waiting.clear()


@contextmanager
def _bars() -> Iterator[Progress]:
    first = "" if os.environ.get("TERM") == "dumb" else FIRST_SIGN
    sys.stderr.write(first)
    sys.stderr.flush()
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    sys.stderr.write(ERASED * bool(first))
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[told]}"))
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield ProgressBars(bars)


class ProgressBars:
    """Bars of rich: one for the whole where there is a plan, one for the stage that is at work."""

    def __init__(self, bars: Any) -> None:
        self._bars, self._began = bars, time.monotonic()
        self._tasks: dict[str, Any] = {}
        self._starts: dict[str, float] = {}
        self._estimate: Estimate | None = None
        self._whole: Any = None
        self._first: Any = bars.add_task("reading", total=None, told="")  # until the work says what it does

    def plan(self, plan: Plan) -> None:
        """The header above the bars, and one bar for the whole."""
        self._end_first()
        self._estimate = Estimate(plan)
        for line in header_lines(plan):
            self._bars.console.print(line, markup=False, highlight=False)
        if self._whole is None:
            self._whole = self._bars.add_task("all stages", total=1.0, told="")

    def __call__(self, stage: str, done: int, total: int) -> None:
        self._end_first()
        now = time.monotonic()
        if stage not in self._tasks:
            self._starts[stage] = now
            self._tasks[stage] = self._bars.add_task(stage, total=total or None, told="")
        counts = f"{done:,}/{total:,}" if total else f"{done:,}" if done else ""
        told = f"{counts}  {duration(now - self._starts[stage])} so far".strip()
        self._bars.update(self._tasks[stage], completed=done, total=total or None, told=told)
        if self._estimate is not None:
            self._estimate.take(stage, done, total)
            left = f"{duration(now - self._began)} so far, about {duration(self._estimate.left)} left"
            self._bars.update(self._whole, completed=self._estimate.share, told=left)

    def _end_first(self) -> None:
        if self._first is not None:
            self._bars.remove_task(self._first)
        self._first = None
