"""A mean with its standard error, over sequences or seeds that are paired."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...files.numbers import INTERVAL


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over paired sequences or seeds, with its standard error (0 when it is exact)."""

    mean: float
    standard_error: float

    @classmethod
    def of_pairs(cls, first: np.ndarray, second: np.ndarray) -> Estimate:
        """second - first, paired: float64[n] each, n of at least 2."""
        difference = np.asarray(second, np.float64) - np.asarray(first, np.float64)
        return cls(float(difference.mean()), float(difference.std(ddof=1)) / math.sqrt(len(difference)))

    @property
    def low(self) -> float:
        return self.mean - INTERVAL * self.standard_error

    @property
    def high(self) -> float:
        return self.mean + INTERVAL * self.standard_error

    def side(self) -> int:
        """1 or -1 where the whole interval lies above or below 0, else 0."""
        return 1 if self.low > 0 else -1 if self.high < 0 else 0
