"""Which byte price each matrix of a walk gets, so that the walk spends its budget.

Strategy: quick trials know what every matrix takes by itself at a byte price; drift correction and
tuning change that by a few percent. So a walk starts at the quick price and, before every group of matrices
that share an input, prices the rest anew from what is left and from how the bytes so far compare with the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

MOST_OCTAVES = 0.5  # how far the price of a matrix may leave the one that the walk was planned at


@dataclass(slots=True)
class PriceSchedule:
    """The byte price of the matrices to come.

    base_price : what the plan was made at; finest_price : never below this
    planned, weights : bytes at the base price and number of weights that a price changes, by tensor index
    bytes_per_octave : of one weight, when the price halves
    left : bytes that all planned matrices may take together
    """

    base_price: float
    finest_price: float
    planned: Mapping[int, int]
    weights: Mapping[int, int]
    bytes_per_octave: float
    left: float
    _spent: dict[int, int] = field(init=False, default_factory=dict)
    _expected: float = field(init=False, default=0.0)

    def price(self) -> float:
        """The price at which the rest is expected to take what is left."""
        rest = self.rest()
        ratio = sum(self._spent.values()) / self._expected if self._expected > 0 else 1.0
        excess = sum(self.planned[i] for i in rest) * ratio - (self.left - sum(self._spent.values()))
        octaves = excess / max(self.bytes_per_octave * sum(self.weights[i] for i in rest), 1e-9)
        octaves = min(max(octaves, -MOST_OCTAVES), MOST_OCTAVES)
        return max(self.finest_price, self.base_price * 2.0**octaves)

    def rest(self) -> list[int]:
        """The matrices to come."""
        return [i for i in self.planned if i not in self._spent]

    def spend(self, index: int, n_bytes: int, byte_price: float) -> None:
        """A matrix has been quantized at a price and takes this many bytes by itself."""
        self._spent[index] = n_bytes
        octaves = np.log2(byte_price / self.base_price)
        self._expected += self.planned[index] - self.bytes_per_octave * self.weights[index] * octaves


def bytes_per_octave(tried: Sequence[tuple[float, int]], weights: int) -> float:
    """Bytes of one weight that a halved byte price costs, from the two tried sizes nearest to the last;
    1/8 without two.
    """
    if len(tried) < 2:
        return 1 / 8
    (price, size) = tried[-1]
    other_price, other_size = min(tried[:-1], key=lambda other: abs(np.log2(other[0] / price)) or np.inf)
    octaves = np.log2(price / other_price)
    slope = float((other_size - size) / octaves / weights) if octaves else 1 / 8
    return min(max(slope, 1 / 64), 1 / 8)
