"""Order-0 entropy: the bits a symbol that a coder would need which knows how often each occurs and nothing else."""

from __future__ import annotations

import numpy as np

COUNTED_RANGE = 1 << 20  # integers within such a span are counted in a table, others are sorted


def symbol_counts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(symbols that occur, ascending; how often each does) of integers of any shape, at least one."""
    flat = values.ravel()
    least = int(flat.min())
    if int(flat.max()) - least >= COUNTED_RANGE:
        return np.unique(flat, return_counts=True)
    counts = np.bincount(flat - least)
    symbols = np.flatnonzero(counts)
    return symbols + least, counts[symbols]


def entropy_of_counts(counts: np.ndarray) -> float:
    """Bits a symbol of symbols that occur so often each."""
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def entropy_bits(values: np.ndarray) -> float:
    """Order-0 entropy of integers in bits an integer."""
    return entropy_of_counts(symbol_counts(values)[1])
