"""Gradients drawn at random against the formula, and their second moment against the Fisher information."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bytecap.compiler.statistics.fisher_kernels import draw_gradients

SHARES = st.sampled_from([0.0, 1e-30, 0.1, 0.5, 1.0])


def drawn(probabilities: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """float32 [positions, vocabulary], for signs of -1 and 1 in the same shape."""
    gradients = np.array(probabilities, np.float32)
    draw_gradients(gradients, np.packbits(signs < 0, axis=1, bitorder="little"))
    return gradients


def naive_gradient(row: np.ndarray, signs: np.ndarray) -> np.ndarray:
    row = row.astype(np.float64)
    return np.sqrt(row) * signs - row * (np.sqrt(row) * signs).sum()


@given(arrays(np.float32, (3, 11), elements=SHARES), arrays(np.int8, (3, 11), elements=st.sampled_from([-1, 1])))
def test_gradients_are_those_of_the_formula(probabilities, signs):
    expected = [naive_gradient(row, of_row) for row, of_row in zip(probabilities, signs, strict=True)]
    np.testing.assert_allclose(drawn(probabilities, signs), expected, rtol=1e-5, atol=1e-6)


def test_their_second_moment_over_all_signs_is_the_fisher_information():
    share = np.array([0.0, 0.45, 0.05, 0.3, 0.2])
    signs = np.array(list(product((-1, 1), repeat=5)), np.int8)
    found = drawn(np.tile(share, (len(signs), 1)), signs).astype(np.float64)
    np.testing.assert_allclose(found.T @ found / len(signs), np.diag(share) - np.outer(share, share), atol=1e-7)


def test_a_position_that_the_model_is_sure_of_has_no_gradient():
    assert not drawn(np.array([[0.0, 1.0, 0.0]]), np.array([[1, -1, 1]])).any()
