"""Products that round their factors: where the processor has tiles, for the duration, and to no more than 8 bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bytecap.compiler import instruction_sets, tile_products
from bytecap.compiler.tile_products import are_rounded, full_products, has_tiles, rounded_products
from bytecap.compiler.wide_products import RESTRICTED


@pytest.mark.parametrize("tiles", [False, True])
def test_a_stage_asks_for_them_and_puts_back_what_was_there(tiles, monkeypatch):
    monkeypatch.setattr(tile_products, "has_tiles", lambda: tiles)
    for outer in (full_products, rounded_products):
        with outer():
            before = torch.get_float32_matmul_precision()
            with rounded_products():
                assert are_rounded() is tiles
                with full_products():
                    assert not are_rounded()
                assert are_rounded() is tiles
            with rounded_products("cuda"):
                assert not are_rounded()
            with pytest.raises(KeyError), rounded_products():
                raise KeyError("a stage fails")
            assert torch.get_float32_matmul_precision() == before
    assert not are_rounded()


@pytest.mark.parametrize(
    ("tiles", "capability", "environment", "expected"),
    [
        (True, "AVX512", {}, True),
        (False, "AVX512", {}, False),
        (True, "AVX2", {}, False),  # as `--reproducible` pins it
        (True, "AVX512", {"ONEDNN_MAX_CPU_ISA": "AVX2"}, False),
        (True, "AVX512", {"DNNL_MAX_CPU_ISA": "AVX2"}, False),
    ],
)
def test_where_a_processor_has_them_and_torch_may_take_them(monkeypatch, tiles, capability, environment, expected):
    for name in RESTRICTED:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert has_tiles.__wrapped__() is expected


@pytest.mark.parametrize("shape", [(3, 5, 7), (64, 512, 96), (257, 96, 33)])
def test_factors_are_rounded_once_and_their_products_added_in_float32(shape):
    """On a processor without tiles the product is that of float32."""
    rows, inner, columns = shape
    random = np.random.default_rng(1)
    x, y = (
        torch.from_numpy(random.standard_normal(size).astype(np.float32)) for size in ((rows, inner), (inner, columns))
    )
    with rounded_products():
        found = (x @ y).double()
    exact, sizes = x.double() @ y.double(), x.double().abs() @ y.double().abs()
    halves = x.bfloat16().double() @ y.bfloat16().double()
    near = [bool((abs(found - wanted) <= 2.0**-20 * sizes).all()) for wanted in (exact, halves)]
    assert any(near) and (has_tiles() or near[0])


def test_the_fingerprint_and_the_instructions_tell_that_there_are_tiles(monkeypatch):
    found = {}
    for tiles in (False, True):
        monkeypatch.setattr(instruction_sets, "has_tiles", lambda tiles=tiles: tiles)
        monkeypatch.setattr(instruction_sets, "has_half_products", lambda: True)
        monkeypatch.setattr(instruction_sets, "has_wide_products", lambda: False)
        found[tiles] = instruction_sets.fingerprint(), instruction_sets.instruction_sets()["torch"]
    assert found[False][0] != found[True][0]
    assert found[False][1].endswith(" with bfloat16") and found[True][1].endswith(" with bfloat16 and tiles")
