"""Solved menus: which offers were chosen, what they save, and whether measurements confirm them.

Strategy: the largest choices are confirmed by the measured loss of swapping that matrix, or that group,
alone into the float model; whether all of them together pay is asked of an assembled artifact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..model.model import Model
from ..rate_control.landing import Draft
from ..statistics.swaps import measure_divergences
from .offers import GroupOffer, Offer, is_mere_alias


@dataclass(frozen=True, slots=True)
class Tried:
    """What some matrices were offered at a byte price, by tensor index.

    menus : every offer, the plain grid first; choices : of the matrices that are no plain grids at the byte price
    measured : (loss of the plain grid, loss of the best other) alone in the float model, where that was measured
    """

    menus: Mapping[int, Sequence[Offer]]
    choices: Mapping[int, Offer]
    measured: Mapping[int, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Allocation:
    """Solved menus, by tensor index.

    menus : every offer, the plain grid at the byte price first; chosen : the offer of each matrix that
        is not its plain grid
    nats_per_byte : what a byte buys at the byte price; bound : least loss that mixing offers could
        reach in the same bytes
    measured : of the largest choices, (loss of the plain grid, loss of the choice) swapped alone into
        the float model, a group's at once
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

    def beside(self, decided: Allocation) -> Allocation:
        """The same with what other matrices were offered before, at the price of a byte of this one."""
        menus, chosen = {**decided.menus, **self.menus}, {**decided.chosen, **self.chosen}
        measured = {**decided.measured, **self.measured}
        return replace(self, menus=menus, chosen=chosen, measured=measured, bound=decided.bound + self.bound)

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
        """The choices, and the plain offers of the matrices that choices are mere aliases of: those are
        fitted to all their uses.
        """
        sources = {offer.setting.source for offer in self.chosen.values() if is_mere_alias(offer)}
        return {i: self.menus[i][0] for i in sorted(sources)} | dict(self.chosen)

    def pays(self, plain: Draft, other: Draft) -> bool:
        """Whether an artifact is smaller than one of plain grids at equal predicted loss, to first order."""
        return plain.size - other.size + (plain.predicted_loss - other.predicted_loss) / self.nats_per_byte > 0


def aliases_of(index: int, choices: Mapping[int, Offer]) -> list[int]:
    """Matrices whose values are those of matrix `index`, directly or through another alias."""
    found: list[int] = []
    for i, offer in sorted(choices.items()):
        if is_mere_alias(offer) and offer.setting.source in (index, *found):
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
    device: str = "cpu",
) -> Allocation:
    """The allocation without those choices whose measured loss eats up the bytes that they save.

    plain : weights of the grids by tensor index; fitted : of the choices to be confirmed, a group's
        members in one mapping
    sequences : int64[n, length] that the statistics have not seen
    """
    shapes = [tensor.values.shape for tensor in model.tensors]
    swaps = [{i: weights[i].reshape(shapes[i]) for i in bundle} for bundle in fitted for weights in (plain, bundle)]
    losses = measure_divergences(model, swaps, sequences, threads=threads, device=device)
    measured, kept = {}, dict(allocation.chosen)
    for bundle, before, after in zip(fitted, losses[::2], losses[1::2], strict=True):
        measured |= dict.fromkeys(bundle, (before, after))
        saved = sum(allocation.menus[i][0].bytes - kept[i].bytes for i in bundle)
        if saved + (before - after) / allocation.nats_per_byte <= 0:
            kept = {i: offer for i, offer in kept.items() if i not in bundle}
    return replace(allocation, chosen=kept, measured=measured)
