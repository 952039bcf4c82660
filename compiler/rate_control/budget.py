"""Spending a budget of bytes: first with quick trials, then with sequential walks.

Strategy: quick trials find the byte price; a walk at that price spends the budget, and its last matrix closes the gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from ...progress import Progress
from ..job import CompileJob
from ..quantize.representation import Representations
from .land_walks import land_walks
from .landing import Draft, Landing, Tried, land_on_cap
from .price_schedule import bytes_per_octave
from .sequential_walk import FinishedWalk, SequentialWalk
from .walk_plan import WalkPlan

QUICK_TOLERANCE = 0.01  # walks differ from quick trials by about this much


def is_walked(job: CompileJob) -> bool:
    """Whether the recipe asks for walks and there is a matrix to quantize in one."""
    return job.recipe.sequential.enabled and bool(job.walked)


class Trials(Protocol[Tried]):
    """Quick trials of a job, whatever they are made of: QuickTrials or SampledTrials."""

    job: CompileJob

    def draft(self, byte_price: float) -> Tried:
        """The trial at a byte price."""

    def plan(self, trial: Tried, /) -> WalkPlan:
        """A walk planned on a trial."""


def land_quick(
    trials: Trials[Tried], start_price: float, smallest: Tried, budget: int, progress: Progress, *, rough: bool = False
) -> Landing[Tried]:
    """The quick trial that fills the budget, roughly where walks come after it or `rough` is asked for.

    start_price : byte price where the search starts
    smallest : the artifact with every code zero; CapError when even that is larger than the budget
    """
    job, walked = trials.job, is_walked(trials.job)
    settings = job.recipe.rate_control
    return land_on_cap(
        trials.draft,
        start_price=start_price,
        smallest=smallest,
        budget=budget,
        weights=job.weights,
        finest_price=settings.finest_price(job.weights),
        tolerance=QUICK_TOLERANCE if walked or rough else settings.tolerance,
        trials=settings.trials,
        progress=partial(progress, "find the byte price" if walked else "land on the cap"),
    )


def land_sequential(
    trials: Trials[Tried],
    representations: Representations,
    near: Landing[Tried],
    budget: int,
    progress: Progress,
    *,
    tried: Sequence[tuple[float, int]],
    keep_targets: bool,
) -> Landing[Draft] | Landing[Tried]:
    """The walk that fills the budget, planned on a quick landing near it; that landing itself when no walk fits.

    tried : byte prices and sizes that tell what a halved price costs
    keep_targets : whether the trial keeps what each matrix was quantized against
    """
    job, settings = trials.job, trials.job.recipe.rate_control
    slope = bytes_per_octave(tried, job.weights)

    def walk_from(quick: Tried) -> FinishedWalk:
        walk = SequentialWalk(job, representations, trials.plan(quick), budget, slope, keep_targets)
        return walk.run(partial(progress, "quantize in order"))

    def land(walk: FinishedWalk, smallest: Draft) -> Landing[Draft]:
        return land_on_cap(
            walk.at,
            start_price=walk.last_price,
            smallest=smallest,
            budget=budget,
            weights=walk.last_weights,
            finest_price=settings.finest_price(job.weights),
            tolerance=settings.tolerance,
            trials=settings.trials,
            progress=partial(progress, "land on the cap"),
        )

    return land_walks(
        walk_from,
        land,
        trials.draft,
        near,
        budget=budget,
        tolerance=settings.tolerance,
        slope=slope * job.weights,
        walks=settings.walks,
    )
