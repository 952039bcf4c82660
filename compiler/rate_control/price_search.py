"""The search of the byte price at which an artifact has a wanted size.

Strategy: the byte price is the Lagrange multiplier of bytes against loss. The size of a real artifact,
assembled in full, falls smoothly with log2 of the price, by about one eighth of the number of weights
an octave while rates are high. Enclose the wanted size by steps of that slope, then close in by
interpolation that falls back to halving. The search only says which price comes next; who asks makes
the artifact and keeps it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST_OCTAVES = 4.0  # of one step of the search
LEAST_OCTAVES = 0.02
OVERSHOOT = 1.1  # of a step, so that two sizes soon enclose the wanted one
LEAST_SHARE = 0.02  # of the enclosed octaves that interpolation moves, and that it leaves
SAME_SIDE = 2  # results in a row on one side of the wanted size, beyond which the enclosed octaves are halved


@dataclass(frozen=True, slots=True)
class SizeWindow:
    """Sizes in bytes that end a search, and the one that it aims at."""

    least: float
    most: float
    aim: float


class PriceSearch:
    """Which byte price to try next, given the sizes so far.

    window : wanted sizes; weights : of which a price changes the bytes
    start_price : tried first; finest_price : never below it
    """

    def __init__(self, window: SizeWindow, weights: int, start_price: float, finest_price: float = 0.0) -> None:
        self.window, self.weights = window, weights
        self._finest = math.log2(finest_price) if finest_price > 0 else -math.inf
        self._position = max(self._finest, math.log2(start_price))
        self._coarse: tuple[float, int] | None = None  # (log2 price, bytes) of the last size that is not too large
        self._fine: tuple[float, int] | None = None  # of the last one that is
        self._streak, self._was_small = 0, False
        self.finished = False

    @property
    def price(self) -> float:
        """The byte price to try."""
        return 2.0**self._position

    @property
    def at_finest(self) -> bool:
        """Whether the finest price is the one to try, or was the last one tried."""
        return self._position <= self._finest

    def learn(self, size: int) -> None:
        """The artifact at `price` has this many bytes: finish, or move on to the next price."""
        small = size <= self.window.most
        if small:
            self._coarse = self._position, size
            if size >= self.window.least or self.at_finest:
                self.finished = True
                return
        else:
            self._fine = self._position, size
        self._streak = self._streak + 1 if small == self._was_small else 1
        self._was_small = small
        self._position = max(self._finest, self._next(size))

    def _next(self, size: int) -> float:
        """Next log2 price after a size.

        Until two sizes enclose the wanted one: along the slope of high rates, doubling the step each
        time, since at low rates an octave is worth fewer bytes. Then interpolation, or halving where
        interpolation keeps moving the same end.
        """
        if self._coarse is None or self._fine is None:
            step = 8 * (size - self.window.aim) / self.weights * 2 ** (self._streak - 1)
            octaves = min(max(abs(step) * OVERSHOOT, LEAST_OCTAVES), MOST_OCTAVES)
            return math.log2(self.price) + math.copysign(octaves, step)
        (coarse, below), (fine, above) = self._coarse, self._fine
        share = min(max((above - self.window.aim) / (above - below), LEAST_SHARE), 1 - LEAST_SHARE)
        return fine + (0.5 if self._streak > SAME_SIDE else share) * (coarse - fine)
