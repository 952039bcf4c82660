"""Files of checkpoints take the memory of their tensors: they are mapped, unfolded only as what they begin as, and not
believed where a few bytes describe much.
"""

from __future__ import annotations

import io
import json
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from compressions import COMPRESSIONS

from bytecap.compiler.checkpoints import compressed, containers, stored, torch_file
from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.holdings import read_holdings
from bytecap.compiler.checkpoints.llama2c import HEADER
from bytecap.errors import CheckpointError

WEIGHTS = torch.arange(600.0).reshape(20, 30)


def saved(content, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def llama2c_of_zeros() -> bytes:
    """Version 0, one layer of width 4 with two heads, tied, 8 pieces and 2 positions."""
    width, hidden, vocabulary, length = 4, 8, 8, 2
    numbers = vocabulary * width + 3 * width + 4 * width * width + 3 * width * hidden + length * width // 2
    return HEADER.pack(width, hidden, 1, 2, 2, vocabulary, length) + bytes(4 * numbers)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("m.pt", saved({"w": WEIGHTS})),
        ("legacy.pt", saved({"w": WEIGHTS}, _use_new_zipfile_serialization=False)),
        ("m.ptz", zlib.compress(saved({"w": WEIGHTS}))),
        ("m.bin", llama2c_of_zeros()),
    ],
)
def test_no_file_is_read_whole_and_length_is_that_of_the_file(tmp_path, monkeypatch, name, data):
    """A llama2.c file is known by its length, which its first bytes do not have."""
    path = tmp_path / name
    path.write_bytes(data)
    monkeypatch.setattr(containers, "MARK_BYTES", 64)
    monkeypatch.setattr(containers, "BEGIN_BYTES", 64)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail(f"read {self} whole"))
    assert read_checkpoint(path).tensors
    assert read_holdings(path).tensors


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_a_bomb_of_anything_else_is_refused_by_its_first_piece(tmp_path, kind):
    path = tmp_path / "final_model.int8.ptz"
    path.write_bytes(COMPRESSIONS[kind](bytes(24 << 20)))
    for read in (read_checkpoint, read_holdings):
        tracemalloc.start()
        with pytest.raises(CheckpointError, match=r"what it holds is not a checkpoint: it begins with 00 00"):
            read(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 12 << 20


def test_what_is_unfolded_takes_its_memory_once(monkeypatch):
    content = b"PK\3\4" + np.random.default_rng(0).bytes(1 << 20) * 16
    data = zlib.compress(content, 1)
    tracemalloc.start()
    assert compressed.decompress(data, Path("m.ptz"), "zlib") == content
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * len(content)


def test_tensors_that_repeat_themselves_are_few(tmp_path, monkeypatch):
    path = tmp_path / "m.pt"
    torch.save({"w": WEIGHTS, "tied": WEIGHTS.T, "same": torch.zeros(1).expand(10, 3)}, path)
    assert read_checkpoint(path).tensors["same"].shape == (10, 3)
    monkeypatch.setattr(stored, "MOST_REPEATED", 29)
    for read in (read_checkpoint, read_holdings):
        with pytest.raises(CheckpointError, match="30 weights in views that show the same few numbers"):
            read(path)


def test_lists_that_hold_each_other_again_and_again_are_refused(tmp_path, monkeypatch):
    path, laughs = tmp_path / "m.pt", [0] * 30
    for _ in range(9):
        laughs = [laughs] * 30
    around = []
    around.append(around)
    for inside in (laughs, {"a": (laughs, laughs)}):
        torch.save({"w": WEIGHTS, "x": inside}, path)
        for read in (read_checkpoint, read_holdings):
            with pytest.raises(CheckpointError, match="hold one another again and again"):
                read(path)
    monkeypatch.setattr(torch_file, "MOST_REPEATED", 10)
    torch.save({"model": {"w": WEIGHTS}, "log": [float(n) for n in range(100)], "around": around}, path)
    assert read_checkpoint(path).tensors.keys() == {"w"}


def places(*offsets) -> bytes:
    tensor = {"dtype": "F32", "shape": [2]}
    entries = {name: tensor | {"data_offsets": place} for name, place in zip("ab", offsets, strict=True)}
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + bytes(max(end for _, end in offsets))


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        (((0, 8), (4, 12)), "two of its tensors overlap"),
        (((0, 8), (12, 20)), "two of its tensors leave 4 bytes between them"),
        (((4, 12), (12, 20)), "leave 4 bytes between them"),
    ],
)
def test_tensors_of_safetensors_stand_one_right_behind_the_other(tmp_path, offsets, message):
    path = tmp_path / "m.safetensors"
    path.write_bytes(places((8, 16), (0, 8)))
    assert read_checkpoint(path).tensors.keys() == {"a", "b"}
    path.write_bytes(places(*offsets))
    for read in (read_checkpoint, read_holdings):
        with pytest.raises(CheckpointError, match=message):
            read(path)
