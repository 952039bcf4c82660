"""One walk through the program that spends a budget: which byte price each matrix gets, and how the walk lands.

Strategy: quick trials know what every matrix takes by itself at a byte price; drift correction and tuning change that by a
few percent. So a walk starts at the quick price and, after every matrix, prices the rest anew from what is left and from
how the bytes so far compare with the plan. The last matrix stays open: requantizing it alone is cheap, and closes the gap
to the last bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..quantize.composite import Quantized
from ..quantize.gptq import zero_matrix
from ..statistics.calibration import MatrixStatistics
from .landing import Landing, Trial

MOST_OCTAVES = 0.5  # how far a walk's price may leave the one that it was planned at
MOST_MOVED = 1.0  # octaves between the last matrix's price in the walk and after landing


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


@dataclass(frozen=True, slots=True)
class Walk:
    """A finished walk.

    quantized : everything, by tensor index; last : the matrix that was quantized last, at `last_price`
    requantize : byte price -> the last matrix at that price; assemble : quantized tensors -> artifact
    targets : as a Trial has them
    """

    base_price: float
    quantized: Mapping[int, Quantized]
    last: int
    last_price: float
    requantize: Callable[[float], Quantized]
    assemble: Callable[[Mapping[int, Quantized]], bytes]
    targets: Mapping[int, tuple[np.ndarray, MatrixStatistics]] = field(default_factory=dict)

    def at(self, byte_price: float) -> Trial:
        """The artifact with the last matrix at a byte price of its own."""
        return self._trial(byte_price, self.requantize(byte_price))

    def smallest(self) -> Trial:
        """The artifact with the last matrix all zero."""
        return self._trial(self.last_price, zero_matrix(self.quantized[self.last].weights.shape))

    @property
    def last_weights(self) -> int:
        return self.quantized[self.last].weights.size

    def _trial(self, byte_price: float, last: Quantized) -> Trial:
        quantized = {**self.quantized, self.last: last}
        return Trial(byte_price, self.assemble(quantized), quantized, self.targets)


def bytes_per_octave(tried: Sequence[tuple[float, int]], weights: int) -> float:
    """Bytes of one weight that a halved byte price costs, from the two tried sizes nearest to the last; 1/8 without two."""
    if len(tried) < 2:
        return 1 / 8
    (price, size) = tried[-1]
    other_price, other_size = min(tried[:-1], key=lambda other: abs(np.log2(other[0] / price)) or np.inf)
    octaves = np.log2(price / other_price)
    slope = float((other_size - size) / octaves / weights) if octaves else 1 / 8
    return min(max(slope, 1 / 64), 1 / 8)


def land_walks(
    walk_from: Callable[[Trial], Walk],
    land: Callable[[Walk, Trial], Landing],
    quick: Callable[[float], Trial],
    near: Landing,
    *,
    budget: int,
    tolerance: float,
    slope: float,
    walks: int,
) -> Landing:
    """Walk, land the last matrix, and walk again from another price while the last matrix alone cannot close the gap.

    walk_from : quick trial -> Walk planned on it; land : a walk and its smallest artifact -> Landing
    quick : byte price -> quick trial; near : the quick landing to start from; slope : bytes an octave of the whole model
    Only artifacts within `budget` are returned; the quick landing itself when no walk fits.
    """
    best, plan, tried = near, near.trial, list(near.tried)
    for _ in range(walks):
        walk = walk_from(plan)
        smallest = walk.smallest()
        if len(smallest.data) > budget:
            reached = len(walk.at(walk.last_price).data)
            tried.append((walk.base_price, reached))
        else:
            landing = land(walk, smallest)
            reached = landing.tried[0][1]  # its first trial is the walk as it ended
            size, moved = len(landing.trial.data), abs(np.log2(landing.trial.byte_price / walk.last_price))
            tried.append((walk.base_price, size))
            if best is near or size > len(best.trial.data):
                best = replace(landing, trial=replace(landing.trial, byte_price=walk.base_price))
            if landing.at_finest or (size >= budget * (1 - tolerance) and moved <= MOST_MOVED):
                break
        octaves = min(max((reached - budget) / slope, -2.0), 2.0)
        plan = quick(walk.base_price * 2.0**octaves)
    return replace(best, tried=tuple(tried))
