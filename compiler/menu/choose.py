"""The menu's way in: offer every matrix other kinds of representation, and keep those that pay.

Strategy: quick trials of plain grids have found a byte price. At that price every matrix gets a menu
(menus.py), a knapsack chooses (allocation.py), held-out text confirms the largest choices, and the
choices are kept only when an assembled artifact is smaller for them at equal predicted loss, both at
the price that was found and at the one that fills the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from ...progress import StageProgress
from ..model.groups import find_groups
from ..rate_control.landing import Draft, Landing
from ..rate_control.quick_trials import QuickTrials
from .allocation import Allocation, confirm_largest
from .candidate_tables import candidate_tables
from .menus import allocate
from .offers import Offer
from .representations import ChosenRepresentations
from .units import Units

LandAgain = Callable[..., Landing]  # (quick trials, start price) -> the quick trial that fills the budget


@dataclass(frozen=True, slots=True)
class MenuOutcome:
    """What came of the menus.

    trials, near : to go on with: of the choices where they pay, of plain grids otherwise
    choices : by tensor index; empty where none pays
    """

    trials: QuickTrials
    near: Landing
    allocation: Allocation
    choices: Mapping[int, Offer]

    def tables(self, landing: Landing) -> dict:
        """What was offered and chosen, for the report; landing : of the whole compile."""
        return candidate_tables(self.trials.job, self.allocation, self.choices, landing)


def choose_representations(
    plain: QuickTrials,
    near: Landing,
    land_again: LandAgain,
    progress: StageProgress,
) -> MenuOutcome:
    """Offer every matrix other kinds at the byte price of a landing of plain grids, and land again with what pays."""
    price, units = near.trial.byte_price, Units(plain.job)
    allocation = _allocate(units, near.trial, progress)
    choices = allocation.with_sources()
    chosen = replace(plain, representations=ChosenRepresentations(plain.representations, units, choices))
    if choices and allocation.pays(near.trial, chosen.draft(price)):
        again = land_again(chosen, price)
        if allocation.pays(near.trial, again.trial):
            return MenuOutcome(chosen, again, allocation, choices)
    return MenuOutcome(plain, near, allocation, {})


def _allocate(units: Units, plain: Draft, progress: StageProgress) -> Allocation:
    """Menus and choices at the price of a trial of plain grids, the largest confirmed on held-out text."""
    job, settings = units.job, units.job.recipe.menu
    price, weights = plain.byte_price, plain.weights
    makers = {i: partial(units.unit, i, price, units.earlier(i, weights)) for i in sorted(job.statistics.matrices)}
    fixed = {max(job.walked)} if job.walked else set()  # its bytes close the gap, so they must follow the price
    groups = find_groups(job.model, job.walked)
    allocation = allocate(settings, makers, fixed, groups, threads=job.threads, progress=progress)
    if not (allocation.chosen and settings.confirmed and len(job.held_out)):
        return allocation
    fitted = [
        {i: offer.fit(makers[i]()).weights for i, offer in bundle.items()}
        for bundle in allocation.largest(settings.confirmed)
    ]
    how = {"threads": job.threads, "device": job.device}
    return confirm_largest(job.model, allocation, weights, fitted, job.held_out, **how)
