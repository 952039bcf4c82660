"""Grids: integers times steps, and the exact arithmetic of the steps (spec/tensors.md).

Strategy: a step is base * 2**((row_exponent + column_exponent) / steps_per_octave). The fraction of an octave comes
from a table of eight float32 constants and the whole octaves are an exact power of two, so a weight is rounded exactly
twice (base * constant, code * step) and every platform reconstructs the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..codecs import ExpectedScales
from ..kernels import kernel

MAX_RESOLUTION = 3  # steps per octave = 2**resolution
MAX_STEP_OCTAVES = 20  # bound of row and of column exponents, in octaves
MIN_BASE, MAX_BASE = 2.0**-40, 2.0**40  # with the bound above every weight is a finite float32
MAX_INITIAL_SCALE = 256  # quarter octaves
EIGHTH_OCTAVES = np.array(
    [float.fromhex(h) for h in (
        "0x1.000000p+0", "0x1.172b84p+0", "0x1.306fe0p+0", "0x1.4bfdaep+0",
        "0x1.6a09e6p+0", "0x1.8ace54p+0", "0x1.ae89fap+0", "0x1.d5818ep+0",
    )],
    np.float32,
)  # fmt: skip


Exponents = tuple[np.ndarray | None, np.ndarray | None]  # of rows and of columns; None: a side without steps


@dataclass(frozen=True, slots=True)
class GridValues:
    """A quantized matrix.

    codes : int32[rows, columns]            |code| < 2**24
    row_exponents : int32[rows] or None     None: all zero, not stored
    column_exponents : int32[columns] or None
    base : float                            float32 value in [2**-40, 2**40]
    resolution : int                        0..3, steps per octave = 2**resolution
    trellis_states : int                    0: any integers; 8 or 64: each column follows that trellis
    initial_scale : int or None             where the coder starts, quarter octaves; None: fitted when coded (a trellis
                                            must fix it beforehand, since it decides where the trellis runs)
    """

    codes: np.ndarray
    row_exponents: np.ndarray | None
    column_exponents: np.ndarray | None
    base: float
    resolution: int
    trellis_states: int = 0
    initial_scale: int | None = None

    def expected_scales(self) -> ExpectedScales:
        """What the codes are expected to be."""
        rows, columns = self.codes.shape
        sides = exponents_or_zeros(self.row_exponents, rows), exponents_or_zeros(self.column_exponents, columns)
        return expected_scales(*sides, self.resolution, fit_initial_scale(self), self.trellis_states)


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """How a tensor is seen as a matrix: first dimension by the rest; vectors and scalars are one row."""
    if len(shape) < 2:
        return 1, shape[0] if shape else 1
    columns = 1
    for size in shape[1:]:
        columns *= size
    return shape[0], columns


def step_table(base: float, resolution: int, lowest: int, highest: int) -> np.ndarray:
    """float32[highest - lowest + 1]: the step of every exponent sum in [lowest, highest]. Bit-exact."""
    exponents = np.arange(lowest, highest + 1)
    fractions = EIGHTH_OCTAVES[(exponents & ((1 << resolution) - 1)) << (MAX_RESOLUTION - resolution)]
    return np.ldexp(np.float32(base) * fractions, exponents >> resolution).astype(np.float32)


@kernel()
def _multiply_steps(codes, row_exponents, column_exponents, steps, lowest, weights):
    for i in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            weights[i, j] = np.float32(codes[i, j]) * steps[row_exponents[i] + column_exponents[j] - lowest]


@kernel()
def _steps_into_codes(codes, row_exponents, column_exponents, steps, lowest):
    for i in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            step = steps[row_exponents[i] + column_exponents[j] - lowest]
            codes[i, j] = np.float32(np.float32(codes[i, j]) * step).view(np.int32)


def exponents_or_zeros(exponents: np.ndarray | None, size: int) -> np.ndarray:
    """int64[size]: the exponents of a side; a side without steps has zeros."""
    return np.zeros(size, np.int64) if exponents is None else exponents.astype(np.int64)


def reconstruct_grid(values: GridValues) -> np.ndarray:
    """float32[rows, columns] weights of a grid. Bit-exact on every platform."""
    weights = np.empty(values.codes.shape, np.float32)
    if weights.size:
        _multiply_steps(values.codes, *_sides_and_steps(values), weights)
    return weights


def reconstruct_grid_in_place(values: GridValues) -> np.ndarray:
    """`reconstruct_grid`, the same bits, in the memory of the codes (C-contiguous, writable), which are gone then."""
    if values.codes.size:
        _steps_into_codes(values.codes, *_sides_and_steps(values))
    return values.codes.view(np.float32)


def _sides_and_steps(values: GridValues) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Exponents of rows and columns, the steps of their sums, and the lowest sum."""
    rows, columns = values.codes.shape
    row_exponents = exponents_or_zeros(values.row_exponents, rows)
    column_exponents = exponents_or_zeros(values.column_exponents, columns)
    lowest = int(row_exponents.min() + column_exponents.min())
    highest = int(row_exponents.max() + column_exponents.max())
    return row_exponents, column_exponents, step_table(values.base, values.resolution, lowest, highest), lowest


def expected_scales(
    row_exponents: np.ndarray,
    column_exponents: np.ndarray,
    resolution: int,
    initial_scale: int,
    trellis_states: int = 0,
) -> ExpectedScales:
    """What the steps say of the integers: a step twice as coarse halves the expected magnitude (spec/codecs.md)."""
    unit = -(1 << (16 - resolution))
    rows, columns = (np.multiply(side, unit, dtype=np.int64) for side in (row_exponents, column_exponents))
    columns += np.int64(initial_scale) << 14
    return ExpectedScales(rows, columns, trellis_states)


def fit_initial_scale(values: GridValues) -> int:
    """Quarter octaves that make the expected mean magnitude equal the measured one, unless they are fixed already."""
    if values.initial_scale is not None:
        return values.initial_scale
    if not values.codes.any():
        return scale_of_magnitudes(0.0)
    mean = float(np.abs(values.codes).mean())
    octaves = np.zeros(values.codes.shape)
    if values.row_exponents is not None:
        octaves -= values.row_exponents[:, None] / 2.0**values.resolution
    if values.column_exponents is not None:
        octaves -= values.column_exponents[None, :] / 2.0**values.resolution
    return scale_of_magnitudes(mean / float(np.exp2(octaves).mean()))


def scale_of_magnitudes(mean: float) -> int:
    """An initial scale: quarter octaves nearest to a mean magnitude; OverflowError for one that is not finite."""
    if not math.isfinite(mean):
        raise OverflowError(f"the mean magnitude of its integers is {mean}")
    if mean <= 0.0:
        return -MAX_INITIAL_SCALE
    return min(max(round(4 * math.log2(mean)), -MAX_INITIAL_SCALE), MAX_INITIAL_SCALE)
