"""A mean with its standard error, over sequences or seeds that are paired."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...files.numbers import INTERVAL

# Student's, of 2 to 11 values; of more, his expansion in the degrees of freedom is within 0.003.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def standard_errors(count: int) -> float:
    """Standard errors on either side of a 95 % interval for the mean of so many values, 2 or more."""
    if count - 2 < len(STUDENT):
        return STUDENT[count - 2]
    z, degrees = INTERVAL, count - 1
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


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
