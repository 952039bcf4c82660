"""What the kernel of codec 1 knows beforehand (spec/codecs.md): reciprocals, and what its distributions start with.

Strategy: as in mixing_tables.py, formulas instead of tables, rounded far from halves: a normal law whose whole numbers
have the mean magnitude of their class, and 3 % of a geometric one.
"""

from __future__ import annotations

from functools import cache
from math import erfc

import numpy as np

NUMBERS = 99  # of which each class's distribution is made


def reciprocals() -> np.ndarray:
    """int64[16]: of a scale by its fraction of an octave."""
    return np.rint(2 ** (14.96875 - np.arange(16) / 16)).astype(np.int64)


@cache
def starting_distributions() -> np.ndarray:
    """int64: 17 cumulative numbers for 96 classes of three kinds, then as many counts."""
    quarters = [*range(24), *[24, 25, 26, 27] * 18] * 3
    rows = {quarter: np.cumsum([0, *starting_frequencies(quarter)]) << 14 for quarter in range(28)}
    return np.concatenate([*(rows[quarter] for quarter in quarters), np.zeros(288, np.int64)])


def starting_frequencies(quarter: int) -> list[int]:
    """Of the 16 symbols of a class, with the sum 2**16."""
    mean, width = 2 ** (quarter / 4 - 3.875), 1 + (quarter > 23)
    narrow, wide = 0.0, 99.0
    for _ in range(60):
        deviation = (narrow + wide) / 2
        reached = [erfc(max(0, n - 0.5) / max(deviation, 1e-9) / 2**0.5) for n in range(NUMBERS)]
        narrow, wide = (deviation, wide) if sum(reached[1:]) < mean else (narrow, deviation)
    ratio = mean / (mean + width)
    bins = [0.97 * reached[max(0, width * (k - 1) + 1)] + 0.03 * ratio**k for k in range(16)]
    found = [max(4, round(65536 * (low - high))) for low, high in zip(bins, [*bins[1:], 0], strict=True)]
    found[int(np.argmax(found))] += 65536 - sum(found)
    return found
