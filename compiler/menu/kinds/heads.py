"""`heads`: the heads of attention of most loss with values of their own.

Strategy: a head is a run of rows of the map that makes queries, keys or values, or of columns of the map that reads the attention;
compiler/model/attention_heads.py finds them. A head is worth the losses of its lines together; subsets.py does the rest.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..composite import CompositeMatrix
from .protocols import Setting
from .subsets import APART, FINER, RAW, line_losses, line_parts, worth_half_precision
from .unit import Unit

MOST_SHARE = 2  # one head of so many, at least


class HeadsKind:
    """Setting: ("apart", "finer" or "raw", number of heads)."""

    name: ClassVar[str] = "heads"

    def settings(self, unit: Unit) -> list[Setting]:
        if unit.heads is None or len(unit.heads.ranges) < MOST_SHARE:
            return []
        members = _members(unit, APART, 1)
        raw = worth_half_precision(unit, (members,) if unit.heads.axis == 0 else (slice(None), members))
        return [(how, 1) for how in (APART, FINER, RAW) if how != RAW or raw]

    def follows_price(self, setting: Setting) -> bool:
        return True

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        how, count = str(setting[0]), int(setting[1])
        members = _members(unit, APART if how == RAW else how, count)
        return unit.composite(self.name, setting, line_parts(unit, unit.heads.axis, members, how))


def _members(unit: Unit, how: str, count: int) -> np.ndarray:
    """int64, ascending: the lines of the `count` heads that lose most."""
    losses = line_losses(unit, unit.heads.axis, how)
    ranges = sorted(unit.heads.ranges, key=lambda bounds: -float(losses[slice(*bounds)].sum()))[:count]
    return np.concatenate([np.arange(*bounds) for bounds in sorted(ranges)])


KIND = HeadsKind()
