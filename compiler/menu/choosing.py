"""Which kind of candidate each matrix becomes: menus of trial encodes, solved as a multiple-choice knapsack.

Strategy: at the byte price that quick trials found, every matrix offers its grid at a few prices around it, and every other
kind at that price, with real coded bytes and second-order losses. The knapsack may spend as many bytes as the best offers
take at that price (landing turns what they save into finer steps); what wins a matrix against its grid is a choice. Groups
that store something together come first (group_choices.py): one that beats the best offers of its members takes their menus' place.
The largest choices are confirmed by the measured loss of swapping that matrix, or that group, alone, and the whole set by an
assembled artifact (in trials.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from ...progress import StageProgress
from ..model.groups import Group
from ..model.model import Model
from ..quantize.composite import Quantized
from ..rate_control.landing import Trial
from ..statistics.swaps import measure_divergences
from ..workers import iterate_jobs
from .group_choices import choose_groups, fit_members, join_groups
from .kinds import KINDS, SHARED_KINDS, Unit
from .kinds.registry import Setting
from .knapsack import choose_items, least_loss
from .offers import GroupOffer, Offer

GRID_OCTAVES = (-0.5, -0.25, 0.0, 0.25, 0.5)  # byte prices around the found one at which plain grids are offered
PLAIN, ALIAS = "grid", "alias"


@dataclass(frozen=True, slots=True)
class Allocation:
    """Solved menus, by tensor index.

    menus : every offer, the plain grid at the byte price first; chosen : the offer of each matrix that is not its plain grid
    nats_per_byte : what a byte buys at the byte price; bound : least loss that mixing offers could reach in the same bytes
    measured : of the largest choices, (loss of the plain grid, loss of the choice) swapped alone into the float model, a group's at once
    groups : every offer to a group; chosen : holds all members' offers of one, or none
    """

    menus: Mapping[int, Sequence[Offer]]
    chosen: Mapping[int, Offer]
    nats_per_byte: float
    bound: float
    measured: Mapping[int, tuple[float, float]]
    groups: Sequence[GroupOffer] = ()

    def saved(self, index: int, offer: Offer) -> float:
        """Bytes that an offer saves against the plain grid at equal loss."""
        return self.menus[index][0].cost(self.nats_per_byte) - offer.cost(self.nats_per_byte)

    def saved_together(self, offers: Mapping[int, Offer]) -> float:
        """The sum of `saved`: a group's offers mean something together only."""
        return sum(self.saved(index, offer) for index, offer in offers.items())

    def bundles(self) -> list[Mapping[int, Offer]]:
        """The choices: every chosen group at once, every other matrix by itself."""
        groups = [
            group.offers
            for group in self.groups
            if all(self.chosen.get(i) is offer for i, offer in group.offers.items())
        ]
        grouped = {index for group in groups for index in group}
        return groups + [{index: offer} for index, offer in self.chosen.items() if index not in grouped]

    def largest(self, count: int) -> list[Mapping[int, Offer]]:
        """The choices that save most, as `bundles` has them."""
        return sorted(self.bundles(), key=lambda bundle: (-self.saved_together(bundle), *bundle))[:count]

    def with_sources(self) -> dict[int, Offer]:
        """The choices, and the plain offers of matrices that others became mere aliases of: these are fitted to all their uses."""
        sources = {
            offer.setting[1] for offer in self.chosen.values() if offer.kind == ALIAS and offer.setting[0] == "alone"
        }
        return {i: self.menus[i][0] for i in sorted(sources)} | dict(self.chosen)

    def pays(self, plain: Trial, other: Trial) -> bool:
        """Whether an artifact is smaller than one of plain grids at equal predicted loss, to first order."""
        losses = [sum(q.predicted_loss for q in trial.quantized.values()) for trial in (plain, other)]
        return len(plain.data) - len(other.data) + (losses[0] - losses[1]) / self.nats_per_byte > 0


@dataclass(frozen=True, slots=True)
class ChooseCandidates:
    """Offer every matrix in other kinds than one grid, and store it in the one that pays in coded bytes.

    `least_saving` : share of a matrix's bytes that a choice must save at equal loss; `confirmed` : how many of the largest
    choices must also pay in loss measured on held-out text. Every kind can be switched off.
    """

    enabled: bool = False
    raw: bool = True
    low_rank: bool = True
    rescued_rows: bool = True
    protected_columns: bool = True
    sparse: bool = True
    codebook: bool = True
    alias: bool = True
    token_groups: bool = True
    vq_rows: bool = True
    heads: bool = True
    blocks: bool = True
    decoupled: bool = True
    shared_codebook: bool = True
    shared_columns: bool = True
    least_saving: float = 0.005
    confirmed: int = 8
    name: ClassVar[str] = "choose-candidates"
    bounds: ClassVar[Mapping[str, tuple[float, float] | frozenset]] = {
        "least_saving": (0.0, 1.0),
        "confirmed": (0, 1e6),
    }

    @property
    def kinds(self) -> list[str]:
        """Names of the kinds that are offered to single matrices, the plain grid first."""
        return [PLAIN, *(name for name in KINDS if name != PLAIN and name in self._switched_on())]

    @property
    def shared_kinds(self) -> list[str]:
        """Names of the kinds that are offered to groups."""
        return [name for name in SHARED_KINDS if name in self._switched_on()]

    def _switched_on(self) -> set[str]:
        return {field.name.replace("_", "-") for field in fields(self) if getattr(self, field.name) is True}

    def run(
        self,
        units: Mapping[int, Callable[[], Unit]],
        fixed: Collection[int],
        groups: Sequence[Group] = (),
        *,
        threads: int,
        progress: StageProgress,
    ) -> Allocation:
        """Menus of these matrices and the knapsack's choices; matrices in `fixed` need a kind that follows the byte price."""
        menus, told = {}, {}
        jobs = [(unit, self.kinds, self.shared_kinds, index in fixed) for index, unit in units.items()]
        for index, (menu, said) in zip(units, iterate_jobs(lambda job: _menu(*job), jobs, threads), strict=True):
            menus[index], told[index] = menu, said
            progress(len(menus), len(units))
        price = _nats_per_byte(menus.values())
        joined = join_groups(groups, self.shared_kinds, told, fixed, price, threads)
        return self._solve(menus, price, fit_members(joined, units, threads))

    def _solve(self, menus: Mapping[int, Sequence[Offer]], price: float, groups: Sequence[GroupOffer]) -> Allocation:
        allocation = Allocation(menus, {}, price, 0.0, {}, groups)
        grouped = choose_groups(groups, menus, price, self.least_saving)
        open_menus = {i: [grouped[i]] if i in grouped else menu for i, menu in menus.items()}
        items = [[(offer.bytes, offer.predicted_loss) for offer in menu] for menu in open_menus.values()]
        budget = sum(min(menu, key=lambda item: item[0] + item[1] / price)[0] for menu in items)
        chosen = {
            i: menu[item] for (i, menu), item in zip(open_menus.items(), choose_items(items, budget), strict=True)
        }
        everything = sum(menu[0].bytes for menu in menus.values())
        bound = least_loss(items, max(everything, sum(min(item[0] for item in menu) for menu in items)))
        paying = {
            i: offer for i, offer in chosen.items()
            if i in grouped or (offer.kind != PLAIN and allocation.saved(i, offer) >= self.least_saving * menus[i][0].bytes)
        }  # fmt: skip
        return replace(allocation, chosen=paying, bound=bound)


def aliases_of(index: int, choices: Mapping[int, Offer]) -> list[int]:
    """Matrices whose values are those of matrix `index`, directly or through another alias."""
    found: list[int] = []
    for i, offer in sorted(choices.items()):
        if offer.kind == ALIAS and offer.setting[0] == "alone" and offer.setting[1] in (index, *found):
            found.append(i)
    return found


def confirm_largest(
    model: Model,
    allocation: Allocation,
    plain: Mapping[int, np.ndarray],
    fitted: Sequence[Mapping[int, np.ndarray]],
    sequences: np.ndarray,
    *,
    threads: int,
) -> Allocation:
    """The allocation without those choices whose measured loss eats up the bytes that they save.

    plain : weights of the grids by tensor index; fitted : of the choices to be confirmed, a group's members in one mapping
    sequences : int64[n, length] that the statistics have not seen
    """
    shapes = [tensor.values.shape for tensor in model.tensors]
    swaps = [{i: weights[i].reshape(shapes[i]) for i in bundle} for bundle in fitted for weights in (plain, bundle)]
    losses = measure_divergences(model, swaps, sequences, threads=threads)
    measured, kept = {}, dict(allocation.chosen)
    for bundle, before, after in zip(fitted, losses[::2], losses[1::2], strict=True):
        measured |= dict.fromkeys(bundle, (before, after))
        saved = sum(allocation.menus[i][0].bytes - kept[i].bytes for i in bundle)
        if saved + (before - after) / allocation.nats_per_byte <= 0:
            kept = {i: offer for i, offer in kept.items() if i not in bundle}
    return replace(allocation, chosen=kept, measured=measured)


def _menu(
    make_unit: Callable[[], Unit], kinds: Sequence[str], shared: Sequence[str], fixed: bool
) -> tuple[list[Offer], dict[str, Any]]:
    """Every offer of one matrix, the plain grid at the byte price first, and what it tells its groups by kind."""
    unit = make_unit()
    menu = []
    for octaves in sorted(GRID_OCTAVES, key=abs):
        menu.append(_offer(unit, PLAIN, (), octaves, unit.grid(octaves=octaves)))
    for name in kinds[1:]:
        for setting in KINDS[name].settings(unit):
            if KINDS[name].follows_price(setting) or not fixed:
                menu.append(_offer(unit, name, setting, 0.0, KINDS[name].fit(unit, setting)))
    return menu, {name: SHARED_KINDS[name].tell(unit) for name in shared}


def _offer(unit: Unit, kind: str, setting: Setting, octaves: float, quantized: Quantized) -> Offer:
    return Offer(kind, setting, octaves, unit.bytes_of(quantized), quantized.predicted_loss)


def _nats_per_byte(menus: Collection[Sequence[Offer]]) -> float:
    """What a byte buys in plain grids near the byte price: loss over bytes between the nearest coarser and finer grids."""
    grids = [{offer.octaves: offer for offer in menu if offer.kind == PLAIN} for menu in menus]
    fine, coarse = max(o for o in GRID_OCTAVES if o < 0), min(o for o in GRID_OCTAVES if o > 0)
    loss = sum(grid[coarse].predicted_loss - grid[fine].predicted_loss for grid in grids)
    return max(loss, 1e-30) / max(sum(grid[fine].bytes - grid[coarse].bytes for grid in grids), 1)
