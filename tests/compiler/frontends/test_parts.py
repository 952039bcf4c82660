"""Parts of tensors: named after their place, and joined again to what was stored."""

from __future__ import annotations

import numpy as np
import pytest

from bytecap.compiler.frontends.parts import join_parts, split_bank, split_rows, whole_name
from bytecap.compiler.model.model import ModelTensor
from bytecap.errors import CheckpointError

FUSED = np.arange(24, dtype=np.float32).reshape(6, 4)
BANK = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def tensors_of(parts: dict[str, np.ndarray], dtype: str = "bfloat16") -> list[ModelTensor]:
    return [ModelTensor(name, values, dtype) for name, values in parts.items()]


def test_parts_are_named_after_their_place():
    parts = split_rows("qkv.weight", FUSED, [3, 2, 1])
    assert [*parts] == ["qkv.weight[0:3]", "qkv.weight[3:5]", "qkv.weight[5:6]"]
    assert [*split_bank("bank", BANK)] == ["bank[0]", "bank[1]"]
    assert {whole_name(name) for name in parts} == {"qkv.weight"} and whole_name("a.weight") == "a.weight"


def test_parts_are_joined_in_whatever_order_they_come():
    other = ModelTensor("norm", np.ones(4, np.float32), "float32")
    rows, bank = tensors_of(split_rows("qkv", FUSED, [3, 2, 1])), tensors_of(split_bank("bank", BANK), "float16")
    joined = join_parts([bank[1], rows[2], other, rows[0], bank[0], rows[1]])
    assert [(tensor.name, tensor.dtype) for tensor in joined] == [
        ("bank", "float16"),
        ("qkv", "bfloat16"),
        ("norm", "float32"),
    ]
    assert np.array_equal(joined[0].values, BANK) and np.array_equal(joined[1].values, FUSED) and joined[2] is other


def test_what_does_not_add_up_is_refused():
    with pytest.raises(CheckpointError, match=r"qkv has 6 rows, and its parts have 3 \+ 2"):
        split_rows("qkv", FUSED, [3, 2])
    parts = tensors_of(split_rows("qkv", FUSED, [3, 2, 1]))
    with pytest.raises(CheckpointError, match=r"parts of qkv are missing; there are qkv\[0:3\], qkv\[5:6\]"):
        join_parts([parts[0], parts[2]])
