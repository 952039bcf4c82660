"""Labels drawn from predictions against numpy's cumulative sums, and how often each is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bytecap.compiler.statistics.label_kernels import draw_labels

SHARES = st.sampled_from([0.0, 1e-30, 0.1, 0.5, 1.0])


def drawn(probabilities: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    labels = np.full(len(probabilities), -1)
    draw_labels(np.ascontiguousarray(probabilities, np.float32), np.asarray(uniforms, np.float64), labels)
    return labels


def naive_label(row: np.ndarray, uniform: float) -> int:
    sums = np.cumsum(row.astype(np.float64))
    return int(np.argmax(sums > uniform * sums[-1]))


@given(arrays(np.float32, (3, 6), elements=SHARES), st.lists(st.floats(0, 0.999), min_size=3, max_size=3))
def test_labels_are_those_of_cumulative_sums(probabilities, uniforms):
    probabilities[:, 2] += 0.25  # no row is all zeros
    found = drawn(probabilities, np.array(uniforms))
    assert found.tolist() == [naive_label(row, at) for row, at in zip(probabilities, uniforms, strict=True)]
    assert (probabilities[np.arange(3), found] > 0).all()


@pytest.mark.parametrize("row", [[0, 0.1, 0.3, 0.6, 0], [0.5, 0.5, 0, 0], [3e-39, 0, 0], [0, 0, 1]])
def test_the_ends_of_the_uniforms_draw_the_first_and_the_last_that_are_possible(row):
    """The largest number below 1 times the sum is rounded to the sum at times: no label behind the last is drawn."""
    probabilities = np.array([row, row])
    found = drawn(probabilities, np.array([0.0, np.nextafter(1.0, 0.0)]))
    possible = np.flatnonzero(np.float32(row))
    assert found.tolist() == [possible[0], possible[-1]]


def test_labels_are_drawn_as_often_as_they_are_probable():
    share, count = np.array([0.0, 0.5, 0.05, 0.25, 0.2]), 200_000
    found = drawn(np.tile(share, (count, 1)), np.random.default_rng(0).random(count))
    often = np.bincount(found, minlength=5) / count
    assert (np.abs(often - share) <= 4 * np.sqrt(share * (1 - share) / count)).all()
