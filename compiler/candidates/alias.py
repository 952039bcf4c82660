"""`alias`: an earlier tensor of the same shape, by itself for duplicates, with a grid of the difference for near ones.

Strategy: candidates are the earlier tensors whose difference is small next to the matrix, nearest first. The grid of the
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

MOST_DIFFERENCE = 1.0  # energy of the difference over the matrix's own: beyond, even no matrix at all is nearer
MOST_SOURCES = 2


@register_kind
class AliasKind:
    """Setting: ("alone" or "difference", index of the earlier tensor)."""

    name: ClassVar[str] = "alias"

    def settings(self, unit: Unit) -> list[Setting]:
        energy = float(np.square(unit.target).sum())
        distances = {i: float(np.square(unit.target - other).sum()) for i, other in unit.earlier.items()}
        near = sorted((distance, i) for i, distance in distances.items() if distance < MOST_DIFFERENCE * energy)
        return [(how, i) for _, i in near[:MOST_SOURCES] for how in ("alone", "difference")]

    def follows_price(self, setting: Setting) -> bool:
        return setting[0] == "difference"

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        source = Alias(int(setting[1]))
        if setting[0] == "alone":
            return unit.composite(self.name, setting, [source])
        difference = unit.grid(unit.target - unit.earlier[source.source])
        return unit.composite(self.name, setting, [source, GridInStream(difference.grid, 1)])
