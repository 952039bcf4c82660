"""Tokens whose gradients are far larger than others': cut down, with their inputs weighing as much more."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from second_order import measured
from tiny_models import golf_model, random_sequences

from bytecap.compiler.statistics import outlying_tokens
from bytecap.compiler.statistics.outlying_tokens import OUTLYING, without_excess

SIZES = st.sampled_from([0.0, 0.5, 1.0, 10.0, 1e4])


def drawn(sizes: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients [positions, 3] of these lengths, and inputs [positions, 4]."""
    random = np.random.default_rng(0)
    directions = random.standard_normal((len(sizes), 3))
    gradients = directions / np.linalg.norm(directions, axis=1, keepdims=True) * sizes[:, None]
    return torch.from_numpy(gradients).float(), torch.from_numpy(random.standard_normal((len(sizes), 4))).float()


@given(arrays(np.float64, 9, elements=SIZES))
def test_what_gradients_lose_inputs_gain(sizes: np.ndarray) -> None:
    """By token the product of both squares stays, and outlying gradients become as long as the others' mean."""
    gradients, inputs = drawn(sizes)
    cut, heavy = without_excess(gradients, inputs)
    squares, before = cut.square().sum(1), gradients.square().sum(1)
    outlying = (before > OUTLYING * before.median()) & (before.median() > 0)
    assert torch.equal(cut[~outlying], gradients[~outlying])
    assert len(heavy) == int(outlying.sum())
    usual = before[~outlying].mean().expand(len(heavy))
    torch.testing.assert_close(squares[outlying], usual, rtol=1e-4, atol=0.0)
    whole = before[outlying, None] * inputs[outlying].square()
    found = squares[outlying, None] * (inputs[outlying].square() + heavy.square())
    torch.testing.assert_close(found, whole, rtol=1e-3, atol=0.0)


def test_loss_of_errors_that_know_no_input_is_what_it_was() -> None:
    """Of one token in a hundred that makes nearly all of E|δ|²: E|x|² times E|δ|² stays, |x| being alike."""
    gradients, inputs = drawn(np.where(np.arange(100) == 7, 300.0, 1.0))
    inputs = inputs / inputs.norm(dim=1, keepdim=True)
    cut, heavy = without_excess(gradients, inputs)
    weighed = (inputs.square().sum() + heavy.square().sum()) / 100
    assert float(weighed * cut.square().sum()) == pytest.approx(float(gradients.square().sum()), rel=1e-4)
    assert float(cut.square().sum()) == pytest.approx(100, rel=1e-4)


def test_where_most_gradients_are_zero_none_is_cut() -> None:
    gradients, inputs = drawn(np.array([0.0, 0.0, 0.0, 5.0]))
    cut, heavy = without_excess(gradients, inputs)
    assert torch.equal(cut, gradients) and heavy.shape == (0, 4)


def test_keys_and_values_have_an_excess_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a low bound half of their tokens are outlying; the moments of inputs without it are what they were."""
    model, sequences = golf_model(1), random_sequences(24, 6, 16)
    plain, found = (_measured_with(bound, monkeypatch, model, sequences) for bound in (1e9, 1.0))
    names = {t.name: i for i, t in enumerate(model.tensors)}
    expected = {names[f"blocks.{layer}.attn.{name}.weight"] for layer in (0, 1) for name in ("c_k", "c_v")}
    for i, matrix in found.items():
        assert (matrix.excess is not None) == (plain[i].excess is not None) == (i in expected)
        excess, fisher = (0.0, 1.0) if i not in expected else (matrix.excess, 0.8)
        assert np.any(excess != 0) == (i in expected)
        np.testing.assert_allclose(
            matrix.hessian - excess, plain[i].hessian, rtol=1e-4, atol=1e-5 * plain[i].hessian.max()
        )
        assert matrix.row_fisher.sum() <= fisher * plain[i].row_fisher.sum() * (1 + 1e-6)
    assert not any(plain[i].excess.any() for i in expected)


def _measured_with(bound: float, monkeypatch: pytest.MonkeyPatch, *of):
    monkeypatch.setattr(outlying_tokens, "OUTLYING", bound)
    return measured(*of).matrices
