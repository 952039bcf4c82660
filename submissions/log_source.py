"""The source of the script that a log prints, compared with the scripts of the folder.

Strategy: training scripts of the challenge print their own text between lines of "=". A stretch of a log that
reads like Python is that text; it is compared line by line as two bags of lines, which is linear, does not mind
moved blocks and gives the number of lines that only one side has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

COMPARED_SCRIPTS = 20
SHORTEST_SOURCE = 20  # lines; less is no script but a snippet
_RULER = re.compile(r"={40,}\s*")
_PYTHON_LINE = re.compile(r"\s*(?:import \w|from [\w.]+ import|def \w+\(|class \w+|@\w|if __name__)")


@dataclass(frozen=True, slots=True)
class PrintedSource:
    """A script printed in a log: its lines [first, after) counted from 0, and its text as lines without blanks."""

    first: int
    after: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceComparison:
    """The script of the folder that is nearest to a printed source.

    name : str          its name, "" where the folder has no script to compare with
    only_printed : int  lines that only the log has
    only_shipped : int  lines that only the script has
    share : float       lines in common, of the longer of both
    """

    name: str
    only_printed: int
    only_shipped: int
    share: float

    @property
    def different_lines(self) -> int:
        """Lines that differ: those that only one side has."""
        return self.only_printed + self.only_shipped

    @property
    def same(self) -> bool:
        """Whether both have the same lines."""
        return self.different_lines == 0


def find_printed_source(lines: Sequence[str]) -> PrintedSource | None:
    """The first stretch between lines of "=" (or before the first one) that reads like a Python script."""
    start = 0
    for index, line in enumerate(lines):
        if line.startswith("=") and _RULER.fullmatch(line):
            if _reads_like_python(lines, start, index):
                return PrintedSource(start, index, significant_lines(lines[start:index]))
            start = index + 1
    return None


def _reads_like_python(lines: Sequence[str], start: int, after: int) -> bool:
    if after - start < SHORTEST_SOURCE:
        return any("lzma" in line or "b85decode" in line for line in lines[start : min(after, start + 5)])
    return sum(1 for line in lines[start:after] if _PYTHON_LINE.match(line)) >= 5


def significant_lines(lines: Iterable[str]) -> tuple[str, ...]:
    """Lines without white space at the end, blank ones left out."""
    stripped = (line.rstrip() for line in lines)
    return tuple(line for line in stripped if line)


def compare_with_scripts(printed: PrintedSource, scripts: Sequence[tuple[str, str]]) -> SourceComparison:
    """The nearest of `scripts`, pairs of name and text, of which the first COMPARED_SCRIPTS are looked at."""
    best = SourceComparison("", len(printed.lines), 0, 0.0)
    ours = Counter(printed.lines)
    for name, text in scripts[:COMPARED_SCRIPTS]:
        shipped = significant_lines(text.splitlines())
        common = sum((ours & Counter(shipped)).values())
        share = common / max(len(printed.lines), len(shipped), 1)
        if share > best.share:
            best = SourceComparison(name, len(printed.lines) - common, len(shipped) - common, share)
    return best
