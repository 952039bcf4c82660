"""`grid`: the whole matrix as integers times steps, what every matrix is unless another kind pays."""

from __future__ import annotations

from typing import ClassVar

from ...quantize.gptq import QuantizedMatrix
from .registry import Setting, register_kind
from .unit import Unit


@register_kind
class GridKind:
    """Today's quantizer as it is."""

    name: ClassVar[str] = "grid"

    def settings(self, unit: Unit) -> list[Setting]:
        return [()]

    def follows_price(self, setting: Setting) -> bool:
        return True

    def fit(self, unit: Unit, setting: Setting) -> QuantizedMatrix:
        return unit.grid()
