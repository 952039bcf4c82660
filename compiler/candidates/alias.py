"""`alias`: an earlier tensor of the same shape, by itself for duplicates, with a grid of the difference for near ones.

Strategy: candidates are the earlier tensors that lose less in the matrix's place than nothing does, the best first. The grid of the
difference is quantized against the earlier tensor as it decodes, so the sum is as accurate as a grid of its own.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...format.parts import GridInStream
from ...format.recipes import Alias
from ..composite import CompositeMatrix
from .registry import Setting, register_kind
from .unit import Unit

MOST_LOSS = 1.0  # of the difference over that of no matrix at all
MOST_SOURCES = 2


@register_kind
class AliasKind:
    """Setting: ("alone" or "difference", index of the earlier tensor)."""

    name: ClassVar[str] = "alias"

    def settings(self, unit: Unit) -> list[Setting]:
        nothing = unit.loss(np.zeros(unit.shape))
        losses = {i: unit.loss(other) for i, other in unit.earlier.items()}
        near = sorted((loss, i) for i, loss in losses.items() if loss < MOST_LOSS * nothing)
        return [(how, i) for _, i in near[:MOST_SOURCES] for how in ("alone", "difference")]

    def follows_price(self, setting: Setting) -> bool:
        return setting[0] == "difference"

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        source = Alias(int(setting[1]))
        if setting[0] == "alone":
            return unit.composite(self.name, setting, [source])
        difference = unit.grid(unit.target - unit.earlier[source.source])
        return unit.composite(self.name, setting, [source, GridInStream(difference.grid, 1)])
