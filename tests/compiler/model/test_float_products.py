"""Float32 products by either library, there and back, against products in double precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from bytecap.compiler import wide_products
from bytecap.compiler.instruction_sets import fingerprint, instruction_sets
from bytecap.compiler.model import float_products
from bytecap.compiler.model.float_products import linear

SHAPES = [((5, 7), (3, 7)), ((2, 9, 16), (33, 16)), ((1, 64), (1, 64)), ((4, 1, 1), (2, 1)), ((0, 8), (3, 8))]


LIBRARIES = [False, True] if torch.backends.mkldnn.is_available() else [False]


@pytest.fixture(params=LIBRARIES, ids=["torch", "oneDNN"][: len(LIBRARIES)])
def wide(request, monkeypatch):
    """Each library in turn, whatever the processor is: oneDNN multiplies on all of them."""
    monkeypatch.setattr(float_products, "has_wide_products", lambda: request.param)
    return request.param


def drawn(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def near(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shapes", SHAPES)
def test_products_are_those_of_double_precision(wide, shapes):
    x, weight = drawn(*shapes)
    near(linear(x, weight), F.linear(x.double(), weight.double()))


def test_any_layout_is_read_right(wide):
    x, weight = drawn((16, 6), (16, 5))
    near(linear(x.mT, weight.mT), x.double().mT @ weight.double())
    table = drawn((12, 40))[0][:, 3:31:2]  # neither rows nor columns lie side by side
    near(linear(table, table), table.double() @ table.double().mT)


@pytest.mark.parametrize("shapes", SHAPES[:4])
@pytest.mark.parametrize("differentiable", [(True, False), (False, True), (True, True)])
def test_gradients_are_those_of_double_precision(wide, shapes, differentiable):
    factors = drawn(*shapes)
    (given,) = drawn((*shapes[0][:-1], shapes[1][0]))
    own = [factor.clone().requires_grad_(wanted) for factor, wanted in zip(factors, differentiable, strict=True)]
    doubles = [factor.double().requires_grad_(wanted) for factor, wanted in zip(factors, differentiable, strict=True)]
    linear(*own).backward(given)
    F.linear(*doubles).backward(given.double())
    for found, expected in zip(own, doubles, strict=True):
        if expected.grad is None:
            assert found.grad is None
        else:
            near(found.grad, expected.grad)


def test_gradients_of_a_factor_that_is_used_twice_add_up(wide):
    x, weight = drawn((6, 8), (8, 8))
    weight.requires_grad_()
    linear(linear(x, weight), weight).square().sum().backward()
    double = weight.detach().double().requires_grad_()
    F.linear(F.linear(x.double(), double), double).square().sum().backward()
    torch.testing.assert_close(weight.grad.double(), double.grad, rtol=1e-4, atol=1e-3)


def test_other_types_and_places_are_left_to_torch(monkeypatch):
    monkeypatch.setattr(float_products, "has_wide_products", lambda: True)
    monkeypatch.setattr(float_products, "multiply_wide", lambda x, weight: pytest.fail("float32 on the processor only"))
    x, weight = drawn((4, 8), (3, 8))
    assert torch.equal(linear(x.double(), weight.double()), F.linear(x.double(), weight.double()))
    assert linear(x.bfloat16(), weight.bfloat16()).dtype == torch.bfloat16
    assert linear(x.to("meta"), weight.to("meta")).shape == (4, 3)


@pytest.mark.parametrize(
    ("processor", "capability", "environment", "expected"),
    [
        ("znver5", "AVX512", {}, True),
        ("znver4", "AVX512", {}, True),
        ("znver3", "AVX2", {}, False),
        ("sapphirerapids", "AVX512", {}, False),
        ("generic", "AVX512", {}, False),
        ("znver5", "AVX512", {"ONEDNN_MAX_CPU_ISA": "AVX2"}, False),
        ("znver5", "AVX512", {"DNNL_MAX_CPU_ISA": "AVX2"}, False),
        ("znver5", "DEFAULT", {}, False),
    ],
)
def test_wide_products_are_taken_where_the_other_library_has_none(
    monkeypatch, processor, capability, environment, expected
):
    for name in wide_products.RESTRICTED:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(wide_products, "processor", lambda: processor)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert wide_products.has_wide_products.__wrapped__() is (expected and torch.backends.mkldnn.is_available())


def test_the_fingerprint_and_the_instructions_tell_which_library_multiplies(monkeypatch):
    found = {}
    for wide in LIBRARIES:
        monkeypatch.setattr("bytecap.compiler.instruction_sets.has_wide_products", lambda wide=wide: wide)
        found[wide] = fingerprint(), instruction_sets()["torch"]
    assert len({numbers for numbers, _ in found.values()}) == len(found)
    assert [said.endswith(", products by oneDNN") for _, said in found.values()] == LIBRARIES
