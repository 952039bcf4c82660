"""What every compile offers its matrices at a byte price: steps, codewords and factors for token tables, and factors
for the others. A recipe that asks for every kind of representation has choose.py for these.

Strategy: each matrix is decided by itself, at what a byte is worth at the byte price; tables first (tables.py), then
the rest (factors.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..job import CompileJob
from ..quantize.grids import PlainGrids
from ..rate_control.landing import Landing
from ..representation_settings import MenuSettings
from .allocation import Allocation, Tried
from .candidate_tables import candidate_tables
from .factors import choose_factors
from .kinds.unit import bit_value_at
from .knapsack import least_loss
from .offers import PLAIN, Offer
from .remembered_choices import remembered_choices
from .representations import ChosenRepresentations
from .tables import CODEWORDS, FACTORS, choose_tables
from .units import Units

OFFERED = {kind.replace("-", "_") for kind in (CODEWORDS, FACTORS)}
ONLY_THESE = MenuSettings(True, **{switch: switch in OFFERED for switch in MenuSettings.switches()})
NOTHING = Tried({}, {}, {})


@dataclass(frozen=True, slots=True)
class StandardChoices:
    """How the matrices of a job are stored, other than as plain grids at the byte price.

    representations : of all matrices of the job; allocation : what matrices were offered
    """

    job: CompileJob
    representations: ChosenRepresentations
    allocation: Allocation

    @property
    def choices(self) -> Mapping[int, Offer]:
        """The matrices that are not plain grids at the byte price, by tensor index."""
        return self.representations.choices

    def report(self, landing: Landing) -> dict:
        """What was offered and chosen; landing : of the whole compile."""
        return candidate_tables(self.job, self.allocation, self.choices, landing)


def choose_standard(job: CompileJob, plain: PlainGrids, byte_price: float) -> StandardChoices | None:
    """What the recipe's `fit-tables` and `offer-factors` choose at a byte price; None where they offer nothing.

    A recipe that asks for every kind has them offered to what is no table, factors among them (choose.py).
    """
    units, recipe = Units(job), job.recipe
    tables = factors = NOTHING
    if recipe.tables.enabled:
        tables = remembered_choices(job.memory, "tables", byte_price, lambda: choose_tables(job, units, byte_price))
    if recipe.factors.enabled and not recipe.menu.enabled:
        factors = remembered_choices(job.memory, "factors", byte_price, lambda: choose_factors(job, units, byte_price))
    menus, choices = {**tables.menus, **factors.menus}, {**tables.choices, **factors.choices}
    if not menus:
        return None
    items = [[(offer.bytes, offer.predicted_loss) for offer in menu] for menu in menus.values()]
    bound = least_loss(items, sum(max(menu[0][0], min(size for size, _ in menu)) for menu in items))
    others = {i: offer for i, offer in choices.items() if offer.kind != PLAIN}
    measured = {**tables.measured, **factors.measured}
    allocation = Allocation(menus, others, 8 * bit_value_at(byte_price), bound, measured)
    told = replace(job, recipe=replace(job.recipe, menu=ONLY_THESE))
    return StandardChoices(told, ChosenRepresentations(plain, units, choices), allocation)
