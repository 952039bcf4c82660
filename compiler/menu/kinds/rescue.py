"""What a coarse description of a matrix leaves out, put right on a grid where that pays: for all rows,
or for those that lose most.

Strategy: a row is rescued when the loss and bits of coding its error (prices.py) are less than the loss
of leaving it. Where a grid codes an error of u distortions a weight anyhow, an error of the description
below it costs 1 / (1 + u) of what it would by itself: the bits 1/2 log2(1 + u) of the grid, not a loss.
So whatever is corrected may be that much coarser.
"""

from __future__ import annotations

import numpy as np

from ....format.tensors.terms import GridInStream, Part
from .prices import coded_costs
from .subsets import ROWS, lines_part
from .unit import Unit

ALL_SHARE = 0.75  # of the rows: from here on all of them get a grid of the difference


def worst_rows(unit: Unit, error: np.ndarray, count: int) -> np.ndarray:
    """int64[count]: the rows of an error that lose most, ascending."""
    return _largest(unit.error_losses(error), count)


def _largest(losses: np.ndarray, count: int) -> np.ndarray:
    return np.sort(np.argsort(-losses, kind="stable")[:count]).astype(np.int64)


def rescue_rows(unit: Unit, error: np.ndarray, count: int) -> Part:
    """A grid of the `count` rows of an error that lose most, of the whole error when that is all of them."""
    if count >= len(error):
        return GridInStream(unit.grid(error).grid, 1)
    return lines_part(unit, error, worst_rows(unit, error, count), ROWS, 0.0)


def rescue_discounts(unit: Unit, error: np.ndarray, count: int) -> np.ndarray:
    """float64[rows]: share of its own cost that one more error of a row has when the `count` rows that
    lose most are rescued.
    """
    shares, losses = np.ones(len(error)), unit.error_losses(error)
    members = _largest(losses, count)
    shares[members] += 2 * losses[members] / (error.shape[1] * unit.distortion)
    return 1 / shares


def paying_rows(unit: Unit, error: np.ndarray) -> tuple[float, int]:
    """(estimated nats of an error whose rows are rescued where that pays, how many these are)."""
    coded, left = coded_costs(unit, error).sum(1), unit.error_losses(error)
    count = int((coded < left).sum())
    if count >= ALL_SHARE * len(error):
        return float(coded.sum()), len(error)
    return float(np.minimum(coded, left).sum()), count
