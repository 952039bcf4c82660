"""Landing on the cap: the artifact as large as allowed and not a byte larger.

Strategy: search the byte price (price_search.py) by the exact sizes of real artifacts. Only artifacts that
fit are ever kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

from ...errors import CapError
from ...progress import StageProgress
from ..quantize.representation import Quantized
from ..statistics.matrix_statistics import MatrixStatistics
from .price_search import PriceSearch, SizeWindow


class _Quantized:
    """What is made of quantized tensors."""

    __slots__ = ()
    quantized: Mapping[int, Quantized]

    @property
    def predicted_loss(self) -> float:
        """Second-order loss of all tensors together, nats a token."""
        return sum(q.predicted_loss for q in self.quantized.values())

    @property
    def weights(self) -> dict[int, np.ndarray]:
        """float32 weights by tensor index, as they decode."""
        return {i: q.weights for i, q in self.quantized.items()}


@dataclass(frozen=True, slots=True)
class Draft(_Quantized):
    """What a Trial is before it is assembled: `size` is exact, nothing has been written or read back.

    targets : (weights, statistics) that a walk quantized a matrix against instead of its own, where they were kept
    """

    byte_price: float
    size: int
    quantized: Mapping[int, Quantized]
    targets: Mapping[int, tuple[np.ndarray, MatrixStatistics]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial(_Quantized):
    """One complete artifact: its byte price, its bytes and what it was made from; `targets` as a Draft has them."""

    byte_price: float
    data: bytes
    quantized: Mapping[int, Quantized]
    targets: Mapping[int, tuple[np.ndarray, MatrixStatistics]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the artifact."""
        return len(self.data)


class Sized(Protocol):
    """What a search needs to know of a trial."""

    @property
    def byte_price(self) -> float:
        """That it was made at."""

    @property
    def size(self) -> int:
        """Bytes of the whole artifact."""


Tried = TypeVar("Tried", bound=Sized)


@dataclass(frozen=True, slots=True)
class Landing(Generic[Tried]):
    """The chosen trial, every (byte price, bytes) tried, and whether the finest steps were reached below the budget."""

    trial: Tried
    tried: tuple[tuple[float, int], ...]
    at_finest: bool


def land_on_cap(
    compile_at: Callable[[float], Tried],
    *,
    start_price: float,
    smallest: Tried,
    budget: int,
    weights: int,
    finest_price: float,
    tolerance: float,
    trials: int,
    progress: StageProgress,
) -> Landing[Tried]:
    """Largest artifact of at most `budget` bytes, within `tolerance` of it unless the finest steps take less.

    compile_at : byte price -> artifact; start_price : where the search starts; weights : of which a
        price changes the bytes
    smallest : the artifact with every code zero; CapError when even that does not fit, and the result
        when nothing larger does
    """
    if smallest.size > budget:
        message = f"{budget} bytes are left for the artifact; the smallest possible artifact is {smallest.size} bytes"
        raise CapError(f"the cap is too small: {message}; raise the cap by at least {smallest.size - budget}")
    window = SizeWindow(budget * (1 - tolerance), budget, budget * (1 - tolerance / 2))
    search = PriceSearch(window, weights, start_price, finest_price)
    best = smallest
    tried: list[tuple[float, int]] = []
    while len(tried) < trials and not search.finished:
        trial = compile_at(search.price)
        tried.append((trial.byte_price, trial.size))
        progress(min(len(tried), trials - 1), trials)
        if trial.size <= budget:
            best = max(best, trial, key=lambda kept: kept.size)
        search.learn(trial.size)
    progress(trials, trials)
    return Landing(best, tuple(tried), at_finest=best.size < window.least and search.at_finest)
