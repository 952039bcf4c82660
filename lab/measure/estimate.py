"""A mean with its standard error, over sequences or seeds that are paired."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...files.intervals import INTERVAL, standard_errors


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over paired sequences or seeds, with its standard error (0 when it is exact).

    count : of how many values; None where the error was widened already, or is known of many
    """

    mean: float
    standard_error: float
    count: int | None = None

    @classmethod
    def of_pairs(cls, first: np.ndarray, second: np.ndarray) -> Estimate:
        """second - first, paired: float64[n] each, n of at least 2."""
        difference = np.asarray(second, np.float64) - np.asarray(first, np.float64)
        count = len(difference)
        return cls(float(difference.mean()), float(difference.std(ddof=1)) / math.sqrt(count), count)

    @property
    def low(self) -> float:
        return self.mean - self.reach

    @property
    def high(self) -> float:
        return self.mean + self.reach

    @property
    def reach(self) -> float:
        """Half of the 95 % interval."""
        return self.standard_error * (INTERVAL if self.count is None else standard_errors(self.count))

    def side(self) -> int:
        """1 or -1 where the whole interval lies above or below 0, else 0."""
        return 1 if self.low > 0 else -1 if self.high < 0 else 0
