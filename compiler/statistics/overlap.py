"""Keeping evaluation text out of calibration.

Strategy: hash every window of WINDOW tokens of both texts and compare the sets. Natural texts share
some windows (licences, quotations: 0.1 % of the held-out prose that this was tried on), the same
documents share nearly all; the border lies between. A window that only collides in its 64-bit hash is
too rare to matter.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import DataError

WINDOW = 64
MOST_SHARED = 0.01
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no token is lost modulo 2**64


def shared_windows(calibration: np.ndarray, evaluation: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """bool[n - window + 1]: which windows of the evaluation tokens (int[n]) occur anywhere in the
    calibration tokens (int[m]).
    """
    window = min(window, len(calibration), len(evaluation))
    return np.isin(_window_hashes(evaluation, window), _window_hashes(calibration, window))


def check_no_overlap(
    calibration: np.ndarray, evaluation: np.ndarray, calibration_path: Path, evaluation_path: Path
) -> None:
    """DataError when more than MOST_SHARED of the evaluation text is calibration text too."""
    shared = shared_windows(calibration, evaluation)
    if shared.mean() > MOST_SHARED:
        first = int(np.argmax(shared))
        message = (
            f"{100 * shared.mean():.1f} % of its windows of {WINDOW} tokens are in {evaluation_path} too, "
            f"first at token {first} there"
        )
        raise DataError(f"{calibration_path}: {message}; calibrate on text that is not evaluated")


def _window_hashes(tokens: np.ndarray, window: int) -> np.ndarray:
    """uint64[n - window + 1] polynomial hashes."""
    values = tokens.astype(np.uint64) + np.uint64(1)
    hashes = np.zeros(len(values) - window + 1, np.uint64)
    for k in range(window):
        hashes = hashes * MULTIPLIER + values[k : len(hashes) + k]
    return hashes
