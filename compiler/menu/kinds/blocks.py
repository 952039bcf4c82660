"""`blocks`: the square blocks of most loss with values of their own.

Strategy: blocks are a grid of B by B weights over the matrix, those at its edges smaller. A block is worth the losses of its weights
together. Its weights are a sparse set: within a row of a block the gaps are zero, so that telling it costs little more than the
places of the blocks; sparse.py makes the parts.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..composite import CompositeMatrix
from .protocols import Setting
from .sparse import weight_parts
from .subsets import APART, FINER, plain_grid
from .unit import Unit

SIZES = (8, 32)
SHARE = 0.01  # of all weights


class BlocksKind:
    """Setting: ("apart" or "finer", rows and columns of a block, number of blocks)."""

    name: ClassVar[str] = "blocks"

    def settings(self, unit: Unit) -> list[Setting]:
        counts = {size: max(1, round(SHARE * unit.target.size / (size * size))) for size in SIZES}
        return [
            (how, size, count) for size, count in counts.items() for how in (APART, FINER)
            if 8 * count * size * size <= unit.target.size and size <= min(unit.shape)
        ]  # fmt: skip

    def follows_price(self, setting: Setting) -> bool:
        return True

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        how, size, count = str(setting[0]), int(setting[1]), int(setting[2])
        return unit.composite(self.name, setting, weight_parts(unit, block_weights(unit, how, size, count), how))


def block_weights(unit: Unit, how: str, size: int, count: int) -> np.ndarray:
    """int64, ascending row-major positions of the weights in the `count` blocks that lose most, as `strongest_weights` weighs."""
    values = unit.target if how == APART else unit.target - plain_grid(unit).weights
    rows, columns = (np.arange(n) // size for n in unit.shape)
    numbers = rows[:, None] * (columns[-1] + 1) + columns
    losses = np.bincount(numbers.ravel(), (unit.sensitivities * np.square(values)).ravel())
    chosen = np.argsort(-losses, kind="stable")[:count]
    return np.flatnonzero(np.isin(numbers.ravel(), chosen)).astype(np.int64)


KIND = BlocksKind()
