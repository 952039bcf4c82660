"""Additive codebooks: the search against all sums, the fit against the normal equations of the written problem."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytecap.compiler.menu.kinds.additive import BEAM, fit_additive, refit_tables, search_choices


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_beam_as_wide_as_a_table_finds_the_best_sum(seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors, words = random.standard_normal((9, 3)), random.standard_normal((2, BEAM, 3))
    found = search_choices(vectors, words)
    for vector, labels in zip(vectors, found, strict=True):
        errors = {(i, j): np.square(vector - words[0][i] - words[1][j]).sum() for i in range(BEAM) for j in range(BEAM)}
        assert errors[tuple(labels)] == pytest.approx(min(errors.values()))


def test_refitted_tables_cannot_be_improved_by_any_step() -> None:
    random = np.random.default_rng(1)
    vectors, weights, labels = (
        random.standard_normal((60, 4)),
        random.uniform(0.5, 2, 60),
        random.integers(0, 5, (60, 2)),
    )

    def error(words: np.ndarray) -> float:
        return float(weights @ np.square(vectors - words[0][labels[:, 0]] - words[1][labels[:, 1]]).sum(1))

    words = refit_tables(vectors, weights, labels, 5)
    for _ in range(20):
        assert error(words + 1e-2 * random.standard_normal(words.shape)) > error(words)


def test_two_tables_explain_what_one_cannot() -> None:
    random = np.random.default_rng(2)
    tables = random.standard_normal((2, 6, 5)) * np.array([1.0, 0.4])[:, None, None]
    vectors = tables[0][random.integers(0, 6, 500)] + tables[1][random.integers(0, 6, 500)]
    left = []
    for count in (1, 2):
        words, labels = fit_additive(vectors, np.ones(500), 8, count, 0.0)
        left.append(np.square(vectors - sum(words[m][labels[:, m]] for m in range(count))).sum())
    assert left[1] < 0.15 * left[0]
    again, _ = fit_additive(vectors, np.ones(500), 8, 2, 0.0)
    assert np.array_equal(again, words)
