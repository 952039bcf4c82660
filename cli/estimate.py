"""How long work will still take: the plan's seconds, corrected by what has been measured on the way.

Strategy: work done is counted in the plan's seconds, so that stages of unlike length add up. What remains is scaled by
how the elapsed time compares with the plan so far, in which the plan itself counts as a tenth of the whole: so a first
fast or slow step moves the estimate little, and later it follows what is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..progress import Plan

PRIOR = 0.1  # of the planned seconds that count as measured from the beginning


@dataclass
class Estimate:
    """Of one plan, from now on."""

    plan: Plan
    clock: Callable[[], float] = time.monotonic
    _shares: dict[str, float] = field(default_factory=dict)  # done of each stage
    _rounds: dict[str, int] = field(default_factory=dict)  # how often a stage has begun again
    _last: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def take(self, stage: str, done: int, total: int) -> None:
        """A stage is so far. Stages before it in the plan are over."""
        if stage not in self.plan.seconds:
            return
        if done < self._last.get(stage, 0):
            self._rounds[stage] = self._rounds.get(stage, 0) + 1
        self._last[stage] = done
        steps = min(total, self.plan.steps.get(stage, total)) or 1
        self._shares[stage] = 1.0 if total and done >= total else min(done / steps, 0.95)
        for before in self.plan.seconds:
            if before == stage:
                break
            self._shares[before] = 1.0

    @property
    def share(self) -> float:
        """Of the planned work that is done, 0 to 1."""
        return self._done() / max(self._planned(), 1e-9)

    @property
    def elapsed(self) -> float:
        """Seconds since the plan was made."""
        return self.clock() - self._began

    @property
    def left(self) -> float:
        """Seconds that are left."""
        planned, done = self._planned(), self._done()
        rate = (self.elapsed + PRIOR * planned) / max(done + PRIOR * planned, 1e-9)
        return max(0.0, (planned - done) * rate)

    def _planned(self) -> float:
        return sum(seconds * (1 + self._rounds.get(stage, 0)) for stage, seconds in self.plan.seconds.items())

    def _done(self) -> float:
        return sum(
            seconds * (self._shares.get(stage, 0.0) + self._rounds.get(stage, 0))
            for stage, seconds in self.plan.seconds.items()
        )
