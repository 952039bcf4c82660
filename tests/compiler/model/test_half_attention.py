"""Attention for gradients of tuning: what it may be off by, in blocks and with shared keys."""

from __future__ import annotations

import pytest
import torch

from bytecap.compiler.model import half_attention, half_products
from bytecap.compiler.model.half_products import HalfProducts
from bytecap.compiler.model.pass_context import EXACT

ROUNDED = 2.0**-7  # of bfloat16, relative, twice


def backward(arithmetic, mask: torch.Tensor | None = None, *, shared: bool = True) -> list[torch.Tensor]:
    """Attention and its gradients for an arbitrary cost."""
    generator = torch.Generator().manual_seed(4)
    shapes = (2, 6, 11, 8), *[(2, 3 if shared else 6, 11, 8)] * 2
    q, k, v = (torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)
    y = arithmetic.attention(q, k, v, mask, 0.3)
    weights = torch.randn(y.shape, generator=generator)
    return [y.detach(), *torch.autograd.grad((y * weights).sum(), (q, k, v))]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("block", [1, 4, 11, 128])
def test_it_is_attention_but_for_rounding(block: int, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half_attention, "BLOCK", block)
    for found, expected in zip(backward(HalfProducts(), shared=shared), backward(EXACT, shared=shared), strict=True):
        assert found.shape == expected.shape
        assert 0 < float((found - expected).norm() / expected.norm()) < ROUNDED


def test_masks_and_long_sequences_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    window = (torch.ones(11, 11).tril() - torch.ones(11, 11).tril(-3)).bool()[None, None]
    assert all(
        torch.equal(a, b) for a, b in zip(backward(HalfProducts(), window), backward(EXACT, window), strict=True)
    )
    monkeypatch.setattr(half_products, "LONGEST", 10)
    assert all(torch.equal(a, b) for a, b in zip(backward(HalfProducts()), backward(EXACT), strict=True))
