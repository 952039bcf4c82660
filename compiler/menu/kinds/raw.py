"""`raw`: the values in half precision, byte planes compressed; for matrices whose integers would cost 16 bits, or that repeat."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ....format.tensors.terms import RawValues
from ..composite import CompositeMatrix
from .protocols import Setting
from .unit import Unit


class RawKind:
    """Setting: the storage."""

    name: ClassVar[str] = "raw"

    def settings(self, unit: Unit) -> list[Setting]:
        largest = float(np.abs(unit.target).max(initial=0.0))
        return [("bfloat16",)] + [("float16",)] * (largest <= float(np.finfo(np.float16).max))

    def follows_price(self, setting: Setting) -> bool:
        return False

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        storage = str(setting[0])
        limit = float(np.finfo(np.float16 if storage == "float16" else np.float32).max) * (1 - 2.0**-8)
        values = np.clip(unit.target, -limit, limit).astype(np.float32)
        return unit.composite(self.name, setting, [RawValues(values, storage)])


KIND = RawKind()
