"""`alias`: an earlier tensor of the same shape, by itself for duplicates, with what is different for near ones.

Strategy: the sources are the earlier tensors that lose less in the matrix's place than nothing does,
the best first. The grid of the difference is quantized against the earlier tensor as it decodes, so the
sum is as accurate as a grid of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....format.tensors.terms import Alias, GridInStream
from ..composite import CompositeMatrix
from ..setting import Setting
from .unit import Unit

ALONE, DIFFERENCE = "alone", "difference"
MOST_LOSS = 1.0  # of the difference over that of no matrix at all
MOST_SOURCES = 2


@dataclass(frozen=True, slots=True)
class AliasSetting(Setting):
    """how : "alone", or with a grid of the "difference"; source : index of the earlier tensor."""

    how: str
    source: int


class AliasKind:
    """An earlier tensor in the place of this one."""

    name: ClassVar[str] = "alias"
    setting: ClassVar[type[AliasSetting]] = AliasSetting

    def settings(self, unit: Unit) -> list[AliasSetting]:
        nothing = unit.loss(np.zeros(unit.shape))
        losses = {i: unit.loss(other) for i, other in unit.earlier.items()}
        near = sorted((loss, i) for i, loss in losses.items() if loss < MOST_LOSS * nothing)
        return [AliasSetting(how, i) for _, i in near[:MOST_SOURCES] for how in (ALONE, DIFFERENCE)]

    def follows_price(self, setting: AliasSetting) -> bool:
        return setting.how != ALONE

    def fit(self, unit: Unit, setting: AliasSetting) -> CompositeMatrix:
        source = Alias(setting.source)
        if setting.how == ALONE:
            return unit.composite(self.name, setting, [source])
        difference = unit.target - unit.earlier[setting.source]
        return unit.composite(self.name, setting, [source, GridInStream(unit.grid(difference).grid, 1)])


KIND = AliasKind()
