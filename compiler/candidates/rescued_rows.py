"""`rescued-rows`: the rows of most loss with a grid of their own.

Strategy: rows whose scale or importance no other row shares cost the others less when they are apart; subsets.py does the work.
"""

from __future__ import annotations

from typing import ClassVar

from ..composite import CompositeMatrix
from .registry import Setting, register_kind
from .subsets import ROWS, subset_parts, subset_settings
from .unit import Unit


@register_kind
class RescuedRowsKind:
    """Setting: ("apart" or "finer", number of them)."""

    name: ClassVar[str] = "rescued-rows"

    def settings(self, unit: Unit) -> list[Setting]:
        return subset_settings(unit, ROWS)

    def follows_price(self, setting: Setting) -> bool:
        return True

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        return unit.composite(self.name, setting, subset_parts(unit, setting, ROWS))
