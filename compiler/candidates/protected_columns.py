"""`protected-columns`: the input channels of most loss with a grid of their own.

Strategy: as AWQ (arXiv:2306.00978) and PTQ1.61 (arXiv:2502.13179) keep theirs apart; subsets.py does the work.
"""

from __future__ import annotations

from typing import ClassVar

from ..composite import CompositeMatrix
from .registry import Setting, register_kind
from .subsets import COLUMNS, subset_parts, subset_settings
from .unit import Unit


@register_kind
class ProtectedColumnsKind:
    """Setting: ("apart" or "finer", number of them)."""

    name: ClassVar[str] = "protected-columns"

    def settings(self, unit: Unit) -> list[Setting]:
        return subset_settings(unit, COLUMNS)

    def follows_price(self, setting: Setting) -> bool:
        return True

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        return unit.composite(self.name, setting, subset_parts(unit, setting, COLUMNS))
