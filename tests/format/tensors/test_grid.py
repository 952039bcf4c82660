"""Grids: exact float32 bits of steps and weights, and what the steps tell the coder."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_grid import naive_step, naive_weights, octave_fraction, round_to_float32

from bytecap.format.tensors.grid import (
    EIGHTH_OCTAVES,
    MAX_BASE,
    MAX_INITIAL_SCALE,
    MAX_STEP_OCTAVES,
    MIN_BASE,
    GridValues,
    expected_scales,
    fit_initial_scale,
    matrix_shape,
    reconstruct_grid,
    step_table,
)

LARGEST_CODE = (1 << 24) - 1

# code, row exponent, column exponent, base, resolution -> the weight's float32, in hexadecimal
WEIGHTS = [
    (0, 7, -3, 0.1, 3, "0x0.0p+0"),
    (3, 0, 0, 1.0, 0, "0x1.800000p+1"),
    (-3, 2, 1, 1.0, 0, "-0x1.800000p+4"),
    (1, -1, -1, 1.0, 0, "0x1.000000p-2"),
    (1, 0, 1, 1.0, 1, "0x1.6a09e6p+0"),  # sqrt 2
    (1, -1, 0, 1.0, 1, "0x1.6a09e6p-1"),  # -1 = -2 halves + 1 half
    (1, 1, 0, 1.0, 2, "0x1.306fe0p+0"),
    (1, 3, 4, 1.0, 2, "0x1.ae89fap+1"),
    (1, 0, 1, 1.0, 3, "0x1.172b84p+0"),
    (7, 2, 3, 1.0, 3, "0x1.59748ap+3"),
    (1, 0, 0, 0.1, 0, "0x1.99999ap-4"),
    (5, 4, 1, 0.1, 3, "0x1.8ace54p-1"),
    (-1000, -9, 2, 0.3, 3, "-0x1.472700p+7"),
    (LARGEST_CODE, 160, 160, MAX_BASE, 3, "0x1.fffffep+103"),
    (1, -160, -160, MIN_BASE, 3, "0x1.000000p-80"),
    (16777213, 1, 0, 3.0, 3, "0x1.a2c142p+25"),
]


def one_weight(code: int, row: int, column: int, base: float, resolution: int) -> np.float32:
    grid = GridValues(
        np.array([[code]], np.int32), np.array([row]), np.array([column]), float(np.float32(base)), resolution
    )
    return reconstruct_grid(grid)[0, 0]


@pytest.mark.parametrize(("code", "row", "column", "base", "resolution", "expected"), WEIGHTS)
def test_weight_bits(code, row, column, base, resolution, expected) -> None:
    found = one_weight(code, row, column, base, resolution)
    assert found.tobytes() == np.float32(float.fromhex(expected)).tobytes()


@pytest.mark.parametrize("eighths", range(8))
def test_octave_constants_are_the_nearest_floats(eighths: int) -> None:
    assert float(EIGHTH_OCTAVES[eighths]) == float(octave_fraction(eighths))


def test_the_twin_rounds_half_to_even() -> None:
    """The twin itself against numpy, where float64 still holds the exact value."""
    for value in (1 + 2.0**-24, 1 + 3 * 2.0**-24, 2.0**-149 * 1.5, 2.0**-149 * 2.5, -7.3, 1e-45, 16777217.0, 3e38):
        assert float(round_to_float32(type(octave_fraction(0))(value))) == float(np.float32(value))


@given(st.integers(0, 3), st.floats(MIN_BASE, MAX_BASE, width=32), st.integers(-320, 320), st.integers(0, 20))
def test_step_table_equals_the_twin(resolution: int, base: float, lowest: int, more: int) -> None:
    bound = 2 * MAX_STEP_OCTAVES << resolution
    lowest = max(-bound, min(lowest, bound - more))
    table = step_table(base, resolution, lowest, lowest + more)
    assert table.dtype == np.float32
    assert [float(step) for step in table] == [
        float(naive_step(base, resolution, e)) for e in range(lowest, lowest + more + 1)
    ]


@st.composite
def grids(draw) -> GridValues:
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    resolution = draw(st.integers(0, 3))
    bound = MAX_STEP_OCTAVES << resolution
    top = draw(st.sampled_from([1, 5, 300, LARGEST_CODE]))
    exponents = st.integers(-bound, bound)

    def side(length: int) -> np.ndarray | None:
        return np.array(draw(st.lists(exponents, min_size=length, max_size=length))) if draw(st.booleans()) else None

    codes = draw(st.lists(st.integers(-top, top), min_size=rows * columns, max_size=rows * columns))
    base = draw(st.floats(MIN_BASE, MAX_BASE, width=32))
    return GridValues(np.array(codes, np.int32).reshape(rows, columns), side(rows), side(columns), base, resolution)


@given(grids())
def test_weights_equal_the_twin_bit_for_bit(grid: GridValues) -> None:
    expected = naive_weights(grid.codes, grid.row_exponents, grid.column_exponents, grid.base, grid.resolution)
    found = reconstruct_grid(grid)
    assert found.dtype == np.float32 and np.isfinite(found).all()
    assert np.array_equal(found, expected)


@given(grids())
def test_a_side_without_steps_has_exponents_zero(grid: GridValues) -> None:
    rows, columns = grid.codes.shape
    zeros = GridValues(
        grid.codes,
        np.zeros(rows, np.int64) if grid.row_exponents is None else grid.row_exponents,
        np.zeros(columns, np.int64) if grid.column_exponents is None else grid.column_exponents,
        grid.base,
        grid.resolution,
    )
    assert np.array_equal(reconstruct_grid(grid), reconstruct_grid(zeros))


@pytest.mark.parametrize(
    ("shape", "matrix"),
    [
        ((), (1, 1)),
        ((1,), (1, 1)),
        ((7,), (1, 7)),
        ((3, 4), (3, 4)),
        ((1, 9), (1, 9)),
        ((5, 2, 3), (5, 6)),
        ((2, 1, 1, 8), (2, 8)),
    ],
)
def test_matrix_shape(shape, matrix) -> None:
    assert matrix_shape(shape) == matrix


@pytest.mark.parametrize(
    ("rows", "columns", "resolution", "initial", "row_scales", "column_scales"),
    [
        ([0], [0], 0, 0, [0], [0]),
        ([1, -2], [0, 3], 0, 4, [-65536, 131072], [65536, -131072]),  # a step an octave coarser halves the integers
        ([1], [1], 3, -1, [-8192], [-24576]),
        ([-5], [2], 2, 1, [81920], [-16384]),
        ([3], [-3], 1, 256, [-98304], [4194304 + 98304]),
    ],
)
def test_expected_scales(rows, columns, resolution, initial, row_scales, column_scales) -> None:
    scales = expected_scales(np.array(rows), np.array(columns), resolution, initial)
    assert scales.rows.tolist() == row_scales and scales.columns.tolist() == column_scales
    assert scales.symbols == len(rows) * len(columns)


@given(grids())
def test_initial_scale_makes_the_expected_mean_magnitude_the_real_one(grid: GridValues) -> None:
    scale = fit_initial_scale(grid)
    assert abs(scale) <= MAX_INITIAL_SCALE
    mean = np.abs(grid.codes).mean()
    if mean == 0:
        assert scale == -MAX_INITIAL_SCALE
        return
    rows, columns = grid.codes.shape
    row_exponents = np.zeros(rows, np.int64) if grid.row_exponents is None else grid.row_exponents
    column_exponents = np.zeros(columns, np.int64) if grid.column_exponents is None else grid.column_exponents
    scales = expected_scales(row_exponents, column_exponents, grid.resolution, scale)
    expected = np.exp2((scales.rows[:, None] + scales.columns[None, :]) / 65536).mean()
    if abs(scale) < MAX_INITIAL_SCALE:
        assert abs(math.log2(expected / mean)) <= 0.125 + 1e-9
