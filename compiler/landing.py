"""Landing on the cap: the byte price whose artifact is as large as allowed and not a byte larger.

Strategy: the size of a real artifact, assembled in full, falls smoothly with log2 of the byte price, by about one
eighth of the number of weights an octave while rates are high. Bracket the budget by steps of that slope, then close in
by interpolation that falls back to halving. Only artifacts that fit are ever kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..format.errors import CapError
from .quantization import QuantizedMatrix


@dataclass(frozen=True, slots=True)
class Trial:
    """One complete artifact: its byte price, its bytes and what it was made from, by tensor index."""

    byte_price: float
    data: bytes
    quantized: Mapping[int, QuantizedMatrix]


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
    progress: Callable[[int, int], None],
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
        position = _next_position(position, size, fits, exceeds, budget, weights, finest, tolerance)
    progress(trials, trials)
    return Landing(best, tuple(tried), at_finest=len(best.data) < budget * (1 - tolerance) and position <= finest)


def _next_position(position, size, fits, exceeds, budget, weights, finest, tolerance) -> float:
    """Next log2 price: along the slope until the budget is bracketed, then inside the bracket."""
    goal = budget * (1 - tolerance / 2)
    if fits is None or exceeds is None:
        step = 8 * (size - goal) / weights
        step = math.copysign(min(max(abs(step) * 1.1, 0.02), 4.0), step)
        return max(finest, position + step)
    (coarse, below), (fine, above) = fits, exceeds
    share = (above - goal) / (above - below)
    share = min(max(share, 0.02), 0.98)
    return fine + share * (coarse - fine)
