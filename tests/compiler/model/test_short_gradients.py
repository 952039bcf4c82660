"""Gradients that are written out are those of the plain formulas, and so are the values, to the bit."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bytecap.compiler.model.short_gradients import HalfSplitTurn, RmsNorm, SquaredRelu, TanhSoftcap

ANGLES = torch.linspace(0, 3, 5 * 4).reshape(5, 1, 4)


def plain_turn(heads: torch.Tensor) -> torch.Tensor:
    (first, second), cosine, sine = heads.chunk(2, dim=-1), ANGLES.cos().to(heads), ANGLES.sin().to(heads)
    return torch.cat((first * cosine + second * sine, second * cosine - first * sine), dim=-1)


CASES = {
    "norm": (lambda x: RmsNorm.apply(x, 1e-3), lambda x: F.rms_norm(x, (8,), eps=1e-3)),
    "squared relu": (SquaredRelu.apply, lambda x: F.relu(x).square()),
    "softcap": (lambda x: TanhSoftcap.apply(x, 2.5), lambda x: 2.5 * torch.tanh(x / 2.5)),
    "turn": (lambda x: HalfSplitTurn.apply(x, ANGLES.cos().to(x), ANGLES.sin().to(x)), plain_turn),
}


def value_and_gradient(function, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, 5, 3, 8, generator=generator).to(dtype).requires_grad_()
    weights = torch.randn(2, 5, 3, 8, generator=generator).to(dtype)
    y = function(x)
    return y.detach(), torch.autograd.grad((y * weights).sum(), x)[0]


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_formula(name: str) -> None:
    short, plain = CASES[name]
    value, gradient = value_and_gradient(short, torch.float64)
    expected, expected_gradient = value_and_gradient(plain, torch.float64)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-12)
    assert torch.equal(value_and_gradient(short, torch.float32)[0], value_and_gradient(plain, torch.float32)[0])
