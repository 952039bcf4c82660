"""What the mixing kernel knows beforehand (spec/codecs.md, codec 2): tables, and the first state of its cells.

Strategy: the numbers of the specification were made from a few formulas, and a formula is shorter than its table. They
are computed here in floats and rounded; none of them lies near enough to a half for the rounding to depend on the
machine (a test compares all of them and their distance from a half), and the artifact's digest has the last word.
"""

from __future__ import annotations

from functools import cache
from math import erfc, exp, log

import numpy as np

from .class_tables import reciprocals

CLASSES, DECISIONS = 24, 15
STEP = 0.01  # of the difference quotient that stands for a derivative
MAX_RATIO, SIX_NATS = 2047, 2216


@cache
def mixing_tables() -> np.ndarray:
    """int64: squash, stretch, slow and fast rates, reciprocals, levels, scores, information, then the cells' start; the
    places are those of packing/kernels/mixing.py.
    """
    x, counts = np.arange(1, 4096), np.arange(1024)
    knots = np.array([round(65536 / (1 + exp(8 - k / 4))) for k in range(65)])
    squash = (knots[x >> 6] * (64 - (x & 63)) + knots[(x >> 6) + 1] * (x & 63) + 32 >> 6).clip(32, 65504)
    stretch = np.searchsorted(squash, 16 * np.arange(4096) + 8).clip(0, 4094) - MAX_RATIO
    rates = [65536 // (counts + 30), 655360 // (10 * counts.clip(0, 60) + 16)]
    levels = np.searchsorted([2, 6, 9, 12, 15, 18, 22, 27, 35, 48], np.arange(128), "right")
    kinds = [(odd, quarter) for odd in (0, 1) for quarter in range(CLASSES)]
    scores = [[round(min(number_score(*kind, n), SIX_NATS)) for n in range(9)] for kind in kinds]
    squares = [sum(number_chance(*kind, n) * number_score(*kind, n) ** 2 for n in range(99)) for kind in kinds]
    information = [round(256 * (log(2) / 256) ** 2 * square) for square in squares]
    cells = np.array(
        [
            [
                [round(65536 * bin_chance(odd, quarter, d + 1) / bin_chance(odd, quarter, d)) << 16 for d in range(16)]
                for quarter in [*range(CLASSES), *[24, 25, 26, 27] * 18]
            ]
            for odd in (0, 0, 1)
        ]
    )
    cells = [np.repeat(cells, n, 1).ravel() for n in (4, 11, 11, 1)]
    parts = squash, stretch, *rates, reciprocals(), levels, np.ravel(scores), information, *cells
    return np.concatenate(parts).astype(np.int64)


def bin_chance(odd: int, quarter: int, d: int) -> float:
    """Probability that the bin of a number of this class is at least d: a normal number's, and 3 % of a die's."""
    width = 1 + (quarter > 23)
    edge = width * d - (1 - odd) * (width - 0.5)
    return 0.97 * chance_beyond(quarter, max(0, edge), 0) + 0.03 / 2**d


def chance_beyond(quarter: int, edge: float, step: float) -> float:
    """Probability that a normal number of the class's deviation, times exp(step), is at least as large as an edge."""
    return erfc(edge * exp(-step) * 2 ** (3.375 - quarter / 4))


def number_chance(odd: int, quarter: int, number: int, step: float = 0) -> float:
    """Probability of a number: one that is rounded to the nearest, or down when odd."""
    low, high = max(0, number - (1 - odd) / 2), number + (1 + odd) / 2
    return chance_beyond(quarter, low, step) - chance_beyond(quarter, high, step)


def number_score(odd: int, quarter: int, number: int) -> float:
    """How the logarithm of that probability grows with the log of the deviation, in 1/256 octave."""
    narrow = number_chance(odd, quarter, number, -STEP)
    return (
        log(number_chance(odd, quarter, number, STEP) / narrow) / STEP / 2 * 256 / log(2) if narrow > 1e-300 else 2216
    )
