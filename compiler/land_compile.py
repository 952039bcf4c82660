"""The whole of rate control for one artifact: trials find the byte price, a walk spends the budget.

Strategy: samples of rows find the byte price; quick trials of whole matrices correct it, unless the recipe is content
with samples. Other representations are offered where it asks for those; what a walk leaves is assembled and read back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ..progress import Progress, silent
from .job import CompileJob
from .rate_control.artifacts import finish_draft, predicting_zeros, smallest_draft
from .rate_control.budget import is_walked, land_quick, land_sequential
from .rate_control.landing import Draft, Landing, Trial
from .rate_control.quick_trials import QuickTrials
from .rate_control.sampled_trials import SampledTrial, SampledTrials, may_sample
from .scratch_file import ScratchFile
from .settings import START_PRICE
from .workers import one_thread_each

if TYPE_CHECKING:
    from .menu.standard import StandardChoices


@dataclass(frozen=True, slots=True)
class LandedCompile:
    """The artifact that fills the budget, how it came about, and what the menu has to say of it."""

    landing: Landing[Trial]
    trials: QuickTrials
    candidates: dict | None


@one_thread_each()
def land_compile(
    trials: QuickTrials, scratch: ScratchFile, budget: int, progress: Progress, *, keep_targets: bool
) -> LandedCompile:
    """Find the byte price with quick trials, offer other representations, and spend the budget in a sequential walk."""
    job, smallest, menu = trials.job, smallest_draft(trials.job), None
    if may_sample(job):
        sampled = _land_sampled(trials, scratch, smallest, budget, progress, keep_targets=keep_targets)
        if sampled is not None:
            return sampled
    sampled = _sampled_landing(trials, scratch, smallest, budget)
    near = land_quick(trials, sampled.trial.byte_price, smallest, budget, progress)
    again = partial(land_quick, smallest=smallest, budget=budget, progress=progress)
    if near.trial is not smallest:
        menu = _choose_standard(trials, near.trial.byte_price)
        if menu is not None and menu.choices:
            trials = trials.storing(menu.representations)
            near = again(trials, near.trial.byte_price)
        if job.recipe.menu.enabled:
            from .menu.choose import choose_representations  # here, so that only a recipe that asks for it imports it

            menu = choose_representations(trials, near, again, partial(progress, "choose candidates"), menu)
            trials, near = menu.trials, menu.near
    landing = near
    if is_walked(job) and near.trial is not smallest:
        sloped = near.tried if len(near.tried) > 1 else sampled.tried
        how = {"tried": sloped, "keep_targets": keep_targets}
        landing = land_sequential(trials, trials.representations, near, budget, progress, **how)
    if landing.trial is smallest:
        landing = replace(landing, trial=predicting_zeros(job, smallest))
    landing = _finished(job, landing)
    return LandedCompile(landing, trials, None if menu is None else menu.report(landing))


def _sampled_landing(trials: QuickTrials, scratch: ScratchFile, smallest: Draft, budget: int) -> Landing[SampledTrial]:
    """Where samples of rows say that the budget is filled: a price to begin at, for little work; START_PRICE where they
    find none.
    """
    sampled = SampledTrials.of(trials.job, trials.representations, smallest.size, scratch)
    nothing = SampledTrial(START_PRICE, smallest.size, {})
    return land_quick(sampled, START_PRICE, nothing, budget, silent, rough=True)


def _land_sampled(
    trials: QuickTrials, scratch: ScratchFile, smallest: Draft, budget: int, progress: Progress, *, keep_targets: bool
) -> LandedCompile | None:
    """A walk planned on samples of rows; None where the samples find no price or no walk fits."""
    sampled = SampledTrials.of(trials.job, trials.representations, smallest.size, scratch)
    nothing = SampledTrial(smallest.byte_price, smallest.size, {})
    near = land_quick(sampled, START_PRICE, nothing, budget, progress)
    if near.trial is nothing:
        return None
    menu = _choose_standard(trials, near.trial.byte_price)
    if menu is not None and menu.choices:
        trials = trials.storing(menu.representations)
        sampled = sampled.storing(trials, {i: offer.bytes for i, offer in menu.choices.items()}, near.trial)
        near = land_quick(sampled, near.trial.byte_price, nothing, budget, progress)
    how = {"tried": near.tried, "keep_targets": keep_targets}
    landing = land_sequential(sampled, trials.representations, near, budget, progress, **how)
    if landing.trial is near.trial:
        return None
    landing = _finished(trials.job, landing)
    return LandedCompile(landing, trials, None if menu is None else menu.report(landing))


def _choose_standard(trials: QuickTrials, byte_price: float) -> StandardChoices | None:
    """What the default recipe offers its matrices beside a grid; None where the recipe or the model has none of it."""
    recipe = trials.job.recipe
    if not (recipe.tables.enabled or recipe.factors.enabled):
        return None
    from .menu.standard import choose_standard  # here, so that a recipe without it imports no kind of representation

    return choose_standard(trials.job, trials.representations, byte_price)


def _finished(job: CompileJob, landing: Landing[Draft]) -> Landing[Trial]:
    """The landing with its artifact assembled and read back."""
    return replace(landing, trial=finish_draft(job, landing.trial))
