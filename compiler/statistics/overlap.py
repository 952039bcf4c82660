"""Keeping evaluation text out of calibration.

Strategy: hash windows of WINDOW tokens of both texts and look the evaluation's up in the calibration's, block by block,
so that a shard of a hundred million tokens takes seconds and little memory. Of a long evaluation text as many windows
are taken, spread evenly, as tell the share to a hundredth of a percent. Natural texts share some windows (licences,
quotations: 0.1 % of the held-out prose that this was tried on), the same documents share nearly all; the border lies
between. A window that only collides in its 64-bit hash is too rare to matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import DataError

WINDOW = 64
MOST_SHARED = 0.01
MOST_WINDOWS = 1 << 20  # of the evaluation text
BLOCK = 1 << 20  # tokens that are hashed at once
MULTIPLIER = 0x9E3779B97F4A7C15  # odd, so that no token is lost modulo 2**64, and that it has an inverse
LIKELY_BITS = 24  # by the first bits of a hash most windows of the calibration text are passed over


class SharedWindows(NamedTuple):
    """Of the evaluation's windows of so many tokens those that were compared, int64 where they begin, ascending, and
    bool whether each occurs anywhere in the calibration tokens.
    """

    window: int
    starts: np.ndarray
    shared: np.ndarray

    @property
    def share(self) -> float:
        """Of the windows those that are shared, 0 to 1."""
        return float(self.shared.mean())

    @property
    def first(self) -> int:
        """The first token of the first shared one, where there is one."""
        return int(self.starts[np.argmax(self.shared)])


def shared_windows(calibration: np.ndarray, evaluation: np.ndarray, window: int = WINDOW) -> SharedWindows:
    """Compare tokens int[m] and int[n] in windows that are no longer than either: all n - window + 1 of the evaluation,
    or MOST_WINDOWS of them, spread evenly.
    """
    window = min(window, len(calibration), len(evaluation))
    starts = _spread(len(evaluation) - window + 1)
    wanted, places = np.unique(np.concatenate(list(_hashes_at(evaluation, window, starts))), return_inverse=True)
    likely = np.zeros(1 << LIKELY_BITS, dtype=bool)
    likely[_first_bits(wanted)] = True
    shared = np.zeros(len(wanted), dtype=bool)
    for hashes in _hashes(calibration, window):
        hashes = hashes[likely[_first_bits(hashes)]]
        found = np.minimum(np.searchsorted(wanted, hashes), len(wanted) - 1)
        shared[found[wanted[found] == hashes]] = True
    return SharedWindows(window, starts, shared[places])


def _spread(windows: int) -> np.ndarray:
    """int64: the windows of so many that are compared."""
    count = min(windows, MOST_WINDOWS)
    return np.arange(count, dtype=np.int64) * windows // count


def check_no_overlap(
    calibration: np.ndarray, evaluation: np.ndarray, calibration_path: Path, evaluation_path: Path
) -> None:
    """DataError when more than MOST_SHARED of the evaluation text is calibration text too."""
    found = shared_windows(calibration, evaluation)
    if found.share > MOST_SHARED:
        raise DataError(
            f"{calibration_path} holds {100 * found.share:.1f} % of the windows of {found.window} tokens of "
            f"{evaluation_path}, the first at token {found.first} there; calibrate on text that is not evaluated"
        )


def _first_bits(hashes: np.ndarray) -> np.ndarray:
    return hashes >> np.uint64(64 - LIKELY_BITS)


def _hashes_at(tokens: np.ndarray, window: int, starts: np.ndarray) -> Iterator[np.ndarray]:
    """Hashes of the windows that begin at `starts`, ascending, in parts."""
    first = 0
    for hashes in _hashes(tokens, window):
        within = starts[np.searchsorted(starts, first) : np.searchsorted(starts, first + len(hashes))]
        yield hashes[within - first]
        first += len(hashes)


def _hashes(tokens: np.ndarray, window: int) -> Iterator[np.ndarray]:
    """uint64 polynomial hashes of all n - window + 1 windows, in parts.

    With C_i the sum over j < i of v_j M**-j a window's hash is (C_(i + window) - C_i) M**(i + window - 1) modulo 2**64.
    """
    size = min(BLOCK, len(tokens)) + window - 1
    powers, inverses = _powers(MULTIPLIER, size), _powers(pow(MULTIPLIER, -1, 1 << 64), size)
    for start in range(0, len(tokens) - window + 1, BLOCK):
        values = np.asarray(tokens[start : start + BLOCK + window - 1]).astype(np.uint64) + np.uint64(1)
        sums = np.zeros(len(values) + 1, dtype=np.uint64)
        np.cumsum(values * inverses[: len(values)], out=sums[1:])
        yield (sums[window:] - sums[:-window]) * powers[window - 1 : len(values)]


def _powers(base: int, count: int) -> np.ndarray:
    """uint64 [count]: base**0, base**1, ... modulo 2**64."""
    found = np.full(count, base, dtype=np.uint64)
    found[0] = 1
    return np.cumprod(found)
