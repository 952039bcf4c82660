"""`alias`: an earlier tensor of the same shape, by itself for duplicates, with what is different for near ones.

Strategy: candidates are the earlier tensors that lose less in the matrix's place than nothing does, the best first. The grid of the
difference is quantized against the earlier tensor as it decodes, so the sum is as accurate as a grid of its own. A difference of low
rank, as between layers that share a basis (Relaxed Recursive Transformers, arXiv:2410.20672: singular value decomposition of the
residual), is two thin factors (low_rank.py), alone or under a grid of the rest; a random projection finds the sources with one.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ....format.tensors.terms import Alias, GridInStream
from ..composite import CompositeMatrix
from .low_rank import Singular, direction_costs, factored_parts, paying_rank, product, weighted_singular
from .prices import coded_cost
from .protocols import Setting
from .unit import Unit

MOST_LOSS = 1.0  # of the difference over that of no matrix at all
MOST_SOURCES = 2
PROJECTED = 24  # a difference of up to this rank is found


class AliasKind:
    """Setting: ("alone" or "difference", index of the earlier tensor), or

    ("low-rank" or "low-rank-difference", index, rank) for factors of the difference, by themselves or under a grid of the rest.
    """

    name: ClassVar[str] = "alias"

    def settings(self, unit: Unit) -> list[Setting]:
        nothing = unit.loss(np.zeros(unit.shape))
        losses = {i: unit.loss(other) for i, other in unit.earlier.items()}
        near = sorted((loss, i) for i, loss in losses.items() if loss < MOST_LOSS * nothing)
        found: list[Setting] = [(how, i) for _, i in near[:MOST_SOURCES] for how in ("alone", "difference")]
        tails = sorted((_tail(unit, unit.target - other), i) for i, other in unit.earlier.items())
        for _, i in [each for each in tails if each[0] < MOST_LOSS * nothing][:MOST_SOURCES]:
            found += _low_rank_settings(unit, i)
        return found

    def follows_price(self, setting: Setting) -> bool:
        return setting[0] != "alone"

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        source = Alias(int(setting[1]))
        if setting[0] == "alone":
            return unit.composite(self.name, setting, [source])
        difference = unit.target - unit.earlier[source.source]
        if setting[0] == "difference":
            return unit.composite(self.name, setting, [source, GridInStream(unit.grid(difference).grid, 1)])
        rescued = len(difference) if setting[0] == "low-rank-difference" else 0
        parts = factored_parts(unit, difference, int(setting[2]), weighted_singular(unit, difference), rescued)
        return unit.composite(self.name, setting, [source, *parts])


def _tail(unit: Unit, difference: np.ndarray) -> float:
    """Nats that a difference loses beside its strongest directions, or a little more: what a random projection leaves of it."""
    weighted = np.sqrt(unit.row_fisher)[:, None] * (difference @ unit.factor)
    sketch = weighted @ np.random.default_rng(0).standard_normal((weighted.shape[1], min(PROJECTED, *weighted.shape)))
    basis = np.linalg.qr(sketch)[0]
    return 0.5 * float(np.square(weighted).sum() - np.square(basis.T @ weighted).sum())


def _low_rank_settings(unit: Unit, source: int) -> list[Setting]:
    """Both ways of a low-rank difference, where they may cost less than a grid of the matrix, and one of the difference."""
    difference = unit.target - unit.earlier[source]
    singular: Singular = weighted_singular(unit, difference)
    rank = min(paying_rank(unit, singular), min(unit.shape) // 2)
    if rank == 0:
        return []
    most, paid = (
        min(coded_cost(unit, unit.target), coded_cost(unit, difference)),
        float(direction_costs(unit, singular)[:rank].sum()),
    )
    rest = difference - product(unit, singular, rank)
    costs = {"low-rank": unit.loss(unit.target - rest), "low-rank-difference": coded_cost(unit, rest)}
    return [(how, source, rank) for how, cost in costs.items() if paid + cost < most]


KIND = AliasKind()
