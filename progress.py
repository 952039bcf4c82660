"""How long work reports how far it is: two shapes of callback that every layer shares.

Strategy: work calls back and never prints. Whoever runs several stages takes a `Progress`; one
stage by itself takes a `StageProgress` and does not know its own name. A `Progress` that also has a method `plan` hears
once what will be done and how long it may take; a plain function hears of the stages alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

Progress = Callable[[str, int, int], None]  # (stage, done, total); a total of 0: the end is not known
StageProgress = Callable[[int, int], None]  # (done, total)


def silent(stage: str, done: int, total: int) -> None:
    """The `Progress` of a caller who does not ask."""


def silent_stage(done: int, total: int) -> None:
    """The `StageProgress` of a caller who does not ask."""


def stage_of(progress: Progress | None, stage: str) -> StageProgress | None:
    """`progress` with the stage filled in; None where nobody asks."""
    return None if progress is None else partial(progress, stage)


@dataclass(frozen=True, slots=True)
class Plan:
    """What long work is going to do, as far as it can be known before.

    facts : what was read and how it will be done, in words, by title
    seconds : that each stage may take, in the order of the stages;  steps : how many steps a stage is expected to take,
        where that is fewer than the `total` of which it reports
    low, high : bounds of the seconds together, as far as forecasts go;  peak_bytes : of memory, within `peak_factor`
    """

    facts: Mapping[str, str]
    seconds: Mapping[str, float]
    low: float
    high: float
    peak_bytes: int
    peak_factor: float
    steps: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())


def announce(progress: Progress, plan: Plan) -> None:
    """Hand over a plan, to whoever takes one."""
    take = getattr(progress, "plan", None)
    if take is not None:
        take(plan)


@dataclass(frozen=True, slots=True)
class RepeatedProgress:
    """A progress of work that goes through all stages but `once` again for each of several names, such as caps.

    Whoever does the work reports what is repeated to a NamedProgress of each.
    """

    progress: Progress
    names: Sequence[str]
    once: str

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.progress(stage, done, total)

    def plan(self, plan: Plan) -> None:
        """The plan of all of them together, its bounds as far from it as those of one."""
        again = [stage for stage in plan.seconds if stage != self.once]
        places = {stage: stage for stage in plan.seconds if stage == self.once}
        places |= {f"{name}: {stage}": stage for name in self.names for stage in again}
        seconds = {place: plan.seconds[stage] for place, stage in places.items()}
        steps = {place: plan.steps[stage] for place, stage in places.items() if stage in plan.steps}
        more = sum(seconds.values()) / (plan.total or 1.0)
        announce(self.progress, replace(plan, seconds=seconds, low=plan.low * more, high=plan.high * more, steps=steps))


@dataclass(frozen=True, slots=True)
class NamedProgress:
    """A progress in which every stage has a name before it, such as the file that is at work."""

    progress: Progress
    name: str

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.progress(f"{self.name}: {stage}", done, total)

    def plan(self, plan: Plan) -> None:
        """The same plan with the stages' longer names."""
        seconds = {f"{self.name}: {stage}": value for stage, value in plan.seconds.items()}
        steps = {f"{self.name}: {stage}": value for stage, value in plan.steps.items()}
        announce(self.progress, replace(plan, seconds=seconds, steps=steps))
