"""Drawing the next token from logits.

Strategy: float64 throughout, and one uniform number a token from a documented generator (numpy.random.Generator
over PCG64), so that a seed gives the same tokens wherever the logits are the same. Which tokens are kept is decided in
descending order of their logits, of equal ones in that of their ids; the drawn one is the first, in the order of ids,
at which the running sum of the kept ones' probabilities exceeds the uniform number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How to draw.

    temperature : float    divides the logits; 0 takes the greatest
    top_k : int or None    keep the k tokens of the greatest logits
    top_p : float          keep the fewest tokens, the likeliest first, whose probabilities together reach it
    seed : int             of the uniform numbers
    """

    temperature: float = 0.8
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise DataError for what is no way to draw."""
        if not 0 <= self.temperature < np.inf:
            raise DataError(f"a temperature of {self.temperature}; give 0 or a number above it")
        if self.top_k is not None and self.top_k < 1:
            raise DataError(f"the {self.top_k} likeliest tokens; give a top-k of at least 1")
        if not 0 < self.top_p <= 1:
            raise DataError(f"a top-p of {self.top_p}; give a probability above 0, at most 1")
        if self.seed < 0:
            raise DataError(f"a seed of {self.seed}; give a whole number that is not negative")


class Sampler:
    """Draws tokens one after the other."""

    def __init__(self, settings: SamplingSettings) -> None:
        self.settings = settings
        self._generator = np.random.Generator(np.random.PCG64(settings.seed))

    def draw(self, logits: np.ndarray) -> int:
        """A token id for float [vocabulary], all finite."""
        logits = logits.astype(np.float64)
        if self.settings.temperature == 0:
            return int(np.argmax(logits))
        tokens, sums = kept_tokens(logits, self.settings)
        drawn = min(int(np.searchsorted(sums, self._generator.random() * sums[-1], side="right")), sums.size - 1)
        return drawn if tokens is None else int(tokens[drawn])


def kept_tokens(logits: np.ndarray, settings: SamplingSettings) -> tuple[np.ndarray | None, np.ndarray]:
    """Ids that may be drawn, ascending, None for all, and the running sums of their weights, float64.

    logits : float64 [vocabulary]
    """
    with np.errstate(over="ignore"):  # next to no temperature: minus infinity is what it comes to, and no weight
        weights = np.exp((logits - logits.max()) / settings.temperature)
    if settings.top_k is None and settings.top_p == 1:
        return None, np.cumsum(weights)
    order = np.argsort(-logits, kind="stable")[: settings.top_k]
    sums = np.cumsum(weights[order])
    if settings.top_p < 1:
        order = order[: int(np.searchsorted(sums, settings.top_p * sums[-1], side="left")) + 1]
    order.sort()
    return order, np.cumsum(weights[order])
