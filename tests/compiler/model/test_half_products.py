"""Products in bfloat16: what they may be off by, what stays exact, and where they are not used."""

from __future__ import annotations

import pytest
import torch

from bytecap.compiler.instruction_sets import has_half_products
from bytecap.compiler.model.half_products import HalfProducts
from bytecap.compiler.wide_products import RESTRICTED

ROUNDED = 2.0**-8  # of bfloat16, relative


def factors() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = (2, 9, 24), (16, 24)
    x, weight = (torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)
    return x, weight


def backward(product) -> list[torch.Tensor]:
    """x Wᵀ and its gradients for an arbitrary cost; of floats without a product."""
    x, weight = factors()
    y = x @ weight.T if product is None else product.product(7, x, weight)
    cost = (y * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum()
    return [y.detach(), *torch.autograd.grad(cost, (x, weight))]


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("exact", [False, True])
def test_products_and_gradients_are_those_of_floats_but_for_rounding(exact: bool) -> None:
    found = backward(HalfProducts([7] if exact else [3]))
    expected = backward(None)
    assert all(part.dtype is torch.float32 for part in found)
    assert (error(found[0], expected[0]) < 1e-6) is exact
    assert all(1e-6 < error(a, b) < ROUNDED for a, b in zip(found[exact:], expected[exact:], strict=True))


def test_only_gradients_that_are_asked_for_are_computed() -> None:
    x, weight = factors()
    with torch.no_grad():
        assert not HalfProducts().product(0, x, weight).requires_grad
    y = HalfProducts().product(0, x.detach(), weight)
    (gradient,) = torch.autograd.grad(y.sum(), (weight,))
    assert gradient.shape == weight.shape
    assert not HalfProducts().product(0, x.detach(), weight.detach()).requires_grad


def test_a_processor_without_them_and_a_reproducible_compile_multiply_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RESTRICTED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert has_half_products() and not has_half_products("cuda")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")  # as `--reproducible` pins it
    assert not has_half_products()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert not has_half_products()
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert not has_half_products()
