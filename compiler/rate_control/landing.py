"""Landing on the cap: the byte price whose artifact is as large as allowed and not a byte larger.

Strategy: the size of a real artifact, assembled in full, falls smoothly with log2 of the byte price, by about one
eighth of the number of weights an octave while rates are high. Bracket the budget by steps of that slope, then close in
by interpolation that falls back to halving. Only artifacts that fit are ever kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...errors import CapError
from ...progress import StageProgress
from ..quantize.composite import Quantized
from ..statistics.calibration import MatrixStatistics


@dataclass(frozen=True, slots=True)
class Trial:
    """One complete artifact: its byte price, its bytes and what it was made from, by tensor index.

    targets : (weights, statistics) that a walk quantized a matrix against instead of its own, where they were kept
    """

    byte_price: float
    data: bytes
    quantized: Mapping[int, Quantized]
    targets: Mapping[int, tuple[np.ndarray, MatrixStatistics]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Landing:
    """The chosen trial, every (byte price, bytes) tried, and whether the finest steps were reached below the budget."""

    trial: Trial
    tried: tuple[tuple[float, int], ...]
    at_finest: bool


def land_on_cap(
    compile_at: Callable[[float], Trial],
    *,
    start_price: float,
    smallest: Trial,
    budget: int,
    weights: int,
    finest_price: float,
    tolerance: float,
    trials: int,
    progress: StageProgress,
) -> Landing:
    """Largest artifact of at most `budget` bytes, within `tolerance` of it unless the finest steps are smaller.

    start_price : where the search starts. smallest : the artifact with every code zero; CapError when even that does
    not fit, and the result when nothing larger does.
    """
    least = len(smallest.data)
    if least > budget:
        message = f"{budget} bytes are left for the artifact; the smallest possible artifact is {least} bytes"
        raise CapError(f"the cap is too small: {message}; raise --cap by at least {least - budget}")
    finest = math.log2(finest_price)
    position = max(finest, math.log2(start_price))
    fits: tuple[float, int] | None = None  # coarse side of the bracket: (log2 price, bytes)
    exceeds: tuple[float, int] | None = None
    best = smallest
    streak, last_fitted = 0, False
    tried: list[tuple[float, int]] = []
    while len(tried) < trials:
        trial = compile_at(2.0**position)
        size = len(trial.data)
        tried.append((trial.byte_price, size))
        progress(min(len(tried), trials - 1), trials)
        if size <= budget:
            fits = (position, size)
            best = max(best, trial, key=lambda kept: len(kept.data))
            if size >= budget * (1 - tolerance) or position <= finest:
                break
        else:
            exceeds = (position, size)
        streak = streak + 1 if (size <= budget) == last_fitted else 1
        last_fitted = size <= budget
        position = _next_position(tried[-1], fits, exceeds, budget * (1 - tolerance / 2), weights, streak)
        position = max(finest, position)
    progress(trials, trials)
    return Landing(best, tuple(tried), at_finest=len(best.data) < budget * (1 - tolerance) and position <= finest)


def _next_position(last, fits, exceeds, goal: float, weights: int, streak: int) -> float:
    """Next log2 price for (price, bytes) tried last, `streak` times in a row on the same side of the budget.

    Without a bracket: along the slope of high rates, doubling the step each time, since at low rates an octave is worth
    fewer bytes. In a bracket: interpolation, or its middle where interpolation keeps moving the same end.
    """
    price, size = last
    if fits is None or exceeds is None:
        step = 8 * (size - goal) / weights * 2 ** (streak - 1)
        return math.log2(price) + math.copysign(min(max(abs(step) * 1.1, 0.02), 4.0), step)
    (coarse, below), (fine, above) = fits, exceeds
    share = 0.5 if streak > 2 else min(max((above - goal) / (above - below), 0.02), 0.98)
    return fine + share * (coarse - fine)
