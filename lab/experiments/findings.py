"""What an experiment found: estimates with intervals, observations about its thesis, tables, charts and the verdict.

Strategy: plain records that turn into JSON as they are. An observation answers one question that was asked
beforehand; the verdict follows from the observations by a rule, never from the author's reading of the
figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SUPPORTS, FALSIFIES, UNDECIDED = "supports", "falsifies", "undecided"


@dataclass(frozen=True, slots=True)
class Observation:
    """A question asked beforehand, the answer with its figures, and whether that supports or falsifies the thesis.

    decisive : whether it counts for the verdict; the others are context
    """

    question: str
    answer: str
    outcome: str
    decisive: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of figures; a column whose title starts with ">" holds numbers.

    Results stand right behind the name of a row: what is first is seen without scrolling.
    intervals : columns (value, low, high) of estimates and the ends of their 95 % intervals, which pages draw
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""
    intervals: Sequence[tuple[int, int, int]] = ()


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """A point of a chart, the ends of its 95 % interval where there is one, and a name where it needs one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Points by series, `joined` by lines where they belong together, y on a logarithmic axis when `logarithmic`."""

    title: str
    labels: tuple[str, str]
    series: Mapping[str, Sequence[ChartPoint]]
    logarithmic: bool = False
    joined: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything an experiment reports; settings say what it was run on and with."""

    observations: Sequence[Observation]
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        return verdict_of(self.observations)


def verdict_of(observations: Sequence[Observation]) -> str:
    """Return "falsified" when any decisive observation falsifies, "supported" when all support, else "undecided"."""
    outcomes = {o.outcome for o in observations if o.decisive}
    if FALSIFIES in outcomes:
        return "falsified"
    return "supported" if outcomes == {SUPPORTS} else "undecided"
