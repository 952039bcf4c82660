"""Weighted k-means: numbers against every possible cut, vectors against what they must find."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_clustering import least_error

from bytecap.compiler.menu.kinds.clustering import MOST_GROUPS, cluster_scalars, cluster_vectors
from bytecap.compiler.menu.kinds.row_clustering import cluster_rows, nearest_rows

NUMBERS = st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 9)), min_size=1, max_size=9)


def error_of(values: np.ndarray, weights: np.ndarray, means: np.ndarray) -> float:
    return float((weights * np.square(values[:, None] - means).min(1)).sum())


@settings(max_examples=100, deadline=None)
@given(NUMBERS, st.integers(1, 5))
def test_numbers_equal_the_best_of_all_cuts(numbers, count: int) -> None:
    values, weights = np.array(numbers, np.float64).T
    means, sums = cluster_scalars(values, weights, count)
    assert len(means) == len(sums) == count and (np.diff(means) >= 0).all()
    assert error_of(values, weights, means) == pytest.approx(least_error(values, weights, count), abs=1e-6)
    assert sums.sum() == pytest.approx(weights.sum())


def test_many_numbers_are_nearly_as_good_as_exact() -> None:
    """Three clusters of more numbers than bins: the means are the clusters' to the width of a bin."""
    random = np.random.default_rng(1)
    centres = np.array([-1.0, 0.2, 2.0])
    values = (centres[:, None] + 0.01 * random.standard_normal((3, 3000))).ravel()
    assert len(np.unique(values)) > MOST_GROUPS
    means, _ = cluster_scalars(values, np.ones(len(values)), 3)
    exact = values.reshape(3, -1).mean(1)
    assert np.abs(means - exact).max() < 1e-3


def test_vectors_find_separate_clusters_and_weigh_their_dimensions() -> None:
    random = np.random.default_rng(2)
    centres = np.array([[3.0, -3.0], [-3.0, 3.0], [3.0, 3.0]])
    values = (centres[:, None] + 0.05 * random.standard_normal((3, 200, 2))).reshape(-1, 2)
    words, sums = cluster_vectors(values, np.tile([1.0, 0.5], (600, 1)), 8)
    nearest = np.square(values[:, None] - words).sum(2).min(1)
    assert nearest.max() < 0.2
    assert sums[:, 0].sum() == pytest.approx(600) and sums[:, 1].sum() == pytest.approx(300)
    again, _ = cluster_vectors(values, np.tile([1.0, 0.5], (600, 1)), 8)
    assert np.array_equal(words, again)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_rows_take_the_nearest_codeword_and_the_best_factor(seed: int, gains: bool) -> None:
    random = np.random.default_rng(seed)
    vectors, words, weights = (
        random.standard_normal((17, 6)),
        random.standard_normal((5, 6)),
        random.uniform(0.1, 2, 17),
    )
    costs = random.uniform(0, 1, 5)
    found = nearest_rows(vectors, weights, words, gains=gains, costs=costs)
    for vector, weight, label, scale in zip(vectors, weights, found.labels, found.scales, strict=True):
        factors = [max(0.0, vector @ word / (word @ word)) if gains else 1.0 for word in words]
        totals = [
            weight * np.square(vector - f * word).sum() + cost
            for f, word, cost in zip(factors, words, costs, strict=True)
        ]
        assert label == np.argmin(totals) and scale == pytest.approx(factors[label])


@pytest.mark.parametrize("gains", [False, True])
def test_rows_that_are_multiples_of_a_few_are_found_and_their_means_are_exact(gains: bool) -> None:
    random = np.random.default_rng(2)
    few, labels, weights = random.standard_normal((6, 20)), random.integers(0, 6, 300), random.uniform(0.5, 2, 300)
    factors = np.exp2(random.uniform(-2, 2, 300)) if gains else np.ones(300)
    vectors = factors[:, None] * few[labels]
    clusters = cluster_rows(vectors, weights, 8, gains=gains, bit_value=1e-3)
    decoded = clusters.scales[:, None] * clusters.means(vectors, weights, 8)[clusters.labels]
    assert np.abs(decoded - vectors).max() < 1e-9
    assert clusters.claims(weights, 8).sum() == pytest.approx(weights @ np.square(clusters.scales))


def test_a_dear_bit_gathers_rows_in_fewer_codewords() -> None:
    random = np.random.default_rng(3)
    vectors, weights = random.standard_normal((200, 4)), np.ones(200)
    used = [len(np.unique(cluster_rows(vectors, weights, 32, gains=False, bit_value=v).labels)) for v in (0.0, 3.0)]
    assert used[1] < used[0]
