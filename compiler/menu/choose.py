"""The menu's way in: offer every matrix other kinds of representation, and keep those that pay.

Strategy: quick trials have found a byte price, with token tables stored as their measured loss says
(standard.py). At that price every other matrix gets a menu (menus.py), a knapsack chooses (allocation.py),
held-out text confirms the largest choices, and the choices are kept only when an assembled artifact is
smaller for them at equal predicted loss, both at the price that was found and at the one that fills the
budget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
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
from .standard import StandardChoices
from .units import Units

LandAgain = Callable[..., Landing]  # (quick trials, start price) -> the quick trial that fills the budget


@dataclass(frozen=True, slots=True)
class MenuOutcome:
    """What came of the menus.

    trials, near : to go on with: of the choices where they pay, of the trials before otherwise
    choices : by tensor index, those of tables among them; without the others where these do not pay
    """

    trials: QuickTrials
    near: Landing
    allocation: Allocation
    choices: Mapping[int, Offer]

    def report(self, landing: Landing) -> dict:
        """What was offered and chosen, for the report; landing : of the whole compile."""
        return candidate_tables(self.trials.job, self.allocation, self.choices, landing)


def choose_representations(
    before: QuickTrials,
    near: Landing,
    land_again: LandAgain,
    progress: StageProgress,
    standard: StandardChoices | None = None,
) -> MenuOutcome:
    """Offer every matrix other kinds at the byte price of a landing, and land again with what pays.

    before : trials that made the landing; standard : choices that they store, whose matrices are offered no more
    """
    price, units = near.trial.byte_price, Units(before.job)
    decided = standard.allocation if standard else Allocation({}, {}, 0.0, 0.0, {})
    first = standard.choices if standard else {}
    allocation = _allocate(units, near.trial, set(decided.menus), progress)
    choices, joined = {**first, **allocation.with_sources()}, allocation.beside(decided)
    grids = standard.representations.plain if standard else before.representations
    chosen = before.storing(ChosenRepresentations(grids, units, choices))
    if allocation.chosen and allocation.pays(near.trial, chosen.draft(price)):
        again = land_again(chosen, price)
        if allocation.pays(near.trial, again.trial):
            return MenuOutcome(chosen, again, joined, choices)
    return MenuOutcome(before, near, joined, first)


def _allocate(units: Units, plain: Draft, decided: Set[int], progress: StageProgress) -> Allocation:
    """Menus and choices at the price of a trial of plain grids, the largest confirmed on held-out text.

    decided : matrices that are offered nothing
    """
    job, settings = units.job, units.job.recipe.menu
    price, weights = plain.byte_price, plain.weights
    offered = sorted(set(job.statistics.matrices) - decided)
    makers = {i: partial(units.unit, i, price, units.earlier(i, weights)) for i in offered}
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
