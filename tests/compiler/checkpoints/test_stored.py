"""Tensors that a file stores otherwise than as plain numbers are read, or named: never a traceback of a library."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zlib

import pytest
import torch

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.holdings import read_holdings
from bytecap.compiler.checkpoints.selection import Selection
from bytecap.errors import CheckpointError

PLAIN = torch.ones(4, 4)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch about kinds of tensors that it may give up
    UNUSUAL = {
        "absent": torch.empty(4, 4, device="meta"),
        "nested": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
        "sparse_coo": PLAIN.to_sparse(),
        "sparse_csr": PLAIN.to_sparse_csr(),
        "quantized": torch.quantize_per_tensor(PLAIN, 0.1, 0, torch.qint8),
        "70-dimensional": torch.ones([1] * 70),
    }


def saved(content: object, path):
    torch.save(content, path)
    return path


def int8_file(path, **parts):
    """A file of the challenge's int8 format with these parts."""
    empty = {"quantized": {}, "scales": {}, "dtypes": {"a": "float32"}, "passthrough": {}}
    buffer = io.BytesIO()
    torch.save({"__quant_format__": "int8_clean_per_row_v1", **empty, **parts}, buffer)
    path.write_bytes(zlib.compress(buffer.getvalue()))
    return path


@pytest.mark.parametrize("kind", UNUSUAL)
def test_a_state_dict_names_what_is_not_plainly_stored(kind, tmp_path):
    path = saved({"a.weight": PLAIN, "x.weight": UNUSUAL[kind]}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=rf"x\.weight \({kind}"):
        read_checkpoint(path, Selection())
    held = read_holdings(path)
    assert [tensor.name for tensor in held.tensors] == ["a.weight"] and "x.weight" in "".join(held.notes)


@pytest.mark.parametrize("part", ["quantized", "scales", "passthrough"])
@pytest.mark.parametrize("kind", UNUSUAL)
def test_the_int8_format_names_what_is_not_plainly_stored(kind, part, tmp_path):
    parts = {"quantized": {"a": torch.zeros(4, 4, dtype=torch.int8)}, "scales": {"a": torch.ones(4)}}
    path = int8_file(tmp_path / "final.int8.ptz", **{**parts, part: {"a": UNUSUAL[kind]}})
    with pytest.raises(CheckpointError, match=rf"{part}\.a' is {kind}"):
        read_checkpoint(path, Selection())


def test_a_negative_bit_is_a_minus_sign(tmp_path):
    path = saved({"a": torch._neg_view(PLAIN)}, tmp_path / "model.pt")
    assert (read_checkpoint(path, Selection()).tensors["a"] == -1).all()
    read_holdings(path)
    path = int8_file(tmp_path / "final.int8.ptz", passthrough={"a": torch._neg_view(PLAIN)})
    assert (read_checkpoint(path, Selection()).tensors["a"] == -1).all()


@pytest.mark.parametrize("shape", [[1] * 100, [0, 1 << 70], [0, 1 << 62, 1 << 62]], ids=["many", "long", "large"])
@pytest.mark.parametrize("dtype", ["F32", "I64", "BF16"])
def test_shapes_beyond_any_array_are_refused_by_name(shape, dtype, tmp_path):
    size = 0 if 0 in shape else {"F32": 4, "I64": 8, "BF16": 2}[dtype]
    header = json.dumps({"wide": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
    for read in (lambda: read_checkpoint(path, Selection()), lambda: read_holdings(path)):
        with pytest.raises(CheckpointError, match="'wide' has"):
            read()
