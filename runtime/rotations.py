"""Cosine and sine of rotations at each position, for the instructions that turn heads.

Strategy: instructions with equal frequencies share one table, which is kept while it is small. A register may be a
million wide, and one instruction takes a few bytes of a file: larger tables are made some positions at a time, whenever
they are needed, so that no program takes more than MOST_KEPT tables of KEPT_FLOATS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .binding import Workspace

KEPT_FLOATS = 1 << 21  # of a table that is kept: 8 MiB of cosines, and as many of sines
MOST_KEPT = 16
BLOCK_FLOATS = 1 << 18  # of a larger one at once

Kernel = Callable[..., None]  # (x, heads, cosine, sine, out), see kernels_rows.rope_half_split


@dataclass(frozen=True, slots=True)
class Frequencies:
    """base**(-2i / dims) for i = 0 .. dims / 2 - 1, or the float32 numbers in `told`."""

    base: float
    dims: int
    told: bytes | None = None

    @property
    def count(self) -> int:
        """One for each pair of dimensions."""
        return self.dims // 2

    def values(self) -> np.ndarray:
        """float64 [count]"""
        if self.told is not None:
            return np.frombuffer(self.told, np.float32).astype(np.float64)
        return self.base ** (-np.arange(0, self.dims, 2) / self.dims)


@dataclass(frozen=True, slots=True)
class Rotation:
    """Angles of position times frequency; cosine and sine are multiplied by `factor`, the sine by `direction`, too."""

    frequencies: Frequencies
    factor: float = 1.0
    direction: int = 1


def rotation_table(rotation: Rotation, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """(cosine, sine), each float32 [stop - start, frequencies]; angles and products are float64."""
    angles = np.arange(start, stop)[:, None] * rotation.frequencies.values()
    return (
        (rotation.factor * np.cos(angles)).astype(np.float32),
        (rotation.direction * rotation.factor * np.sin(angles)).astype(np.float32),
    )


@lru_cache(maxsize=MOST_KEPT)
def kept_table(rotation: Rotation, length: int) -> tuple[np.ndarray, np.ndarray]:
    """`rotation_table` from the first position on."""
    return rotation_table(rotation, 0, length)


def turn(kernel: Kernel, rotation: Rotation, heads: int, workspace: Workspace, x: np.ndarray, out: np.ndarray) -> None:
    """Turn the heads of x, float32 [length, width], at the workspace's positions."""
    start, stop = workspace.start, workspace.start + workspace.tokens.size
    length = 1 << (stop - 1).bit_length()  # sequences of many lengths share a table
    if length * rotation.frequencies.count <= KEPT_FLOATS:
        cosine, sine = kept_table(rotation, length)
        return kernel(x, heads, cosine[start:stop], sine[start:stop], out)
    rows = max(1, BLOCK_FLOATS // rotation.frequencies.count)
    for first in range(0, stop - start, rows):
        block = slice(first, min(first + rows, stop - start))
        cosine, sine = rotation_table(rotation, start + block.start, start + block.stop)
        kernel(x[block], heads, cosine, sine, out[block])
    return None
