"""Artifact sizes as functions of the byte price, for the tests of rate control: smooth, noisy and flat.

Strategy: no compile happens; the size of a trial follows from a formula, so that the right answer is known.
"""

from __future__ import annotations

import math

from bytecap.compiler.rate_control.landing import Landing, Trial, land_on_cap

TOLERANCE, TRIALS = 0.0005, 24
NEVER_TRIED = 1e30


class Sizes:
    """Bytes of an artifact by byte price: one eighth of a weight an octave while rates are high, `smallest` in the end.

    `noise` is the share of a size that varies from price to price without rule, as real coders do.
    """

    def __init__(self, smallest: int, weights: int, zero_rate_price: float, noise: float = 0.0) -> None:
        self.smallest, self.weights, self.noise = smallest, weights, noise
        self.knee = math.log2(zero_rate_price)
        self.asked: list[float] = []

    def size(self, byte_price: float) -> int:
        octaves = self.knee - math.log2(byte_price)
        bits = octaves if octaves > 30 else math.log2(1 + 2.0**octaves)
        wobble = math.sin(1e4 * math.log2(byte_price)) * self.noise
        return max(self.smallest, round((self.smallest + self.weights * bits / 8) * (1 + wobble)))

    def compile_at(self, byte_price: float) -> Trial:
        self.asked.append(byte_price)
        return Trial(byte_price, bytes(self.size(byte_price)), {})

    def land(
        self,
        budget: int,
        *,
        start_price: float = 1e-3,
        finest_price: float = 1e-9,
        progress=lambda done, total: None,
        trials: int = TRIALS,
    ) -> Landing:
        return land_on_cap(
            self.compile_at,
            start_price=start_price,
            smallest=Trial(NEVER_TRIED, bytes(self.smallest), {}),
            budget=budget,
            weights=self.weights,
            finest_price=finest_price,
            tolerance=TOLERANCE,
            trials=trials,
            progress=progress,
        )
