"""The operations on lanes against the loops they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from bytecap.format.codecs.lanes import LANES, count_not_above, move_row


@njit
def count(table, row, shift, unit, limit):
    return count_not_above(table, row, shift, unit, limit)


@njit
def move(table, row, targets, target_row, shift):
    move_row(table, row, targets, target_row, shift)


def naive_count(numbers: list[int], shift: int, unit: int, limit: int) -> int:
    return sum((number >> shift) * unit <= limit for number in numbers)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 1 << 30), min_size=LANES, max_size=LANES),
    st.integers(0, (1 << 16) - 1),
    st.integers(0, (1 << 32) - 1),
)
def test_count_of_products_that_are_not_above(numbers, unit, limit) -> None:
    table = np.array([[7] * LANES, numbers, [9] * LANES], np.int32)
    assert count(table, 1, 14, unit, limit) == naive_count(numbers, 14, unit, limit)
    edge = (max(numbers) >> 14) * unit
    assert count(table, 1, 14, unit, edge) == LANES == naive_count(numbers, 14, unit, edge)


@pytest.mark.parametrize("columns", [LANES, LANES + 1])
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shift=st.integers(0, 20))
def test_a_row_moves_and_no_other_number_does(columns, seed, shift) -> None:
    random = np.random.default_rng(seed)
    table = random.integers(0, 1 << 30, (4, columns)).astype(np.int32)
    targets = random.integers(0, 1 << 30, (3, LANES)).astype(np.int32)
    expected = table.copy()
    for k in range(LANES):
        expected[2, k] += (int(targets[1, k]) - int(table[2, k])) >> shift
    move(table, 2, targets, 1, shift)
    assert np.array_equal(table, expected)
