"""Compressed checkpoints: every compression around torch and safetensors, cut, padded and endless ones refused."""

from __future__ import annotations

import io
import lzma
import zlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from compressions import COMPRESSIONS

from bytecap.compiler.checkpoints import compressed
from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.errors import CheckpointError

STATE = {"a": torch.arange(600.0).reshape(20, 30), "b": torch.ones(3)}


def shuffled(data: bytes, stride: int) -> bytes:
    """Plane by plane, as some of the public challenge's records do it."""
    return b"BSHF" + bytes([stride]) + b"".join(data[place::stride] for place in range(stride))


def torch_bytes(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", COMPRESSIONS)
@pytest.mark.parametrize("inner", [torch_bytes, safetensors.torch.save])
@pytest.mark.parametrize("order", [lambda data: data, lambda data: shuffled(data, 2), lambda data: shuffled(data, 3)])
def test_every_compression_around_torch_and_safetensors(tmp_path, kind, inner, order):
    path = tmp_path / "final_model.ptz"
    path.write_bytes(COMPRESSIONS[kind](order(inner(STATE))))
    read = read_checkpoint(path)
    assert read.tensors.keys() == STATE.keys()
    assert all(np.array_equal(read.tensors[name], values.numpy()) for name, values in STATE.items())


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_cut_padded_and_endless_streams(tmp_path, monkeypatch, kind):
    whole, path = COMPRESSIONS[kind](bytes(3 << 20)), Path("m.ptz")
    monkeypatch.setattr(compressed, "CONTENT_BYTES", 3 << 20)
    assert compressed.decompress(whole, path, kind) == bytes(3 << 20)
    for data in (whole[:-1], whole[: len(whole) // 2], whole + b"more"):
        with pytest.raises(CheckpointError, match=r"m\.ptz.*copy it again"):
            compressed.decompress(data, path, kind)
    monkeypatch.setattr(compressed, "CONTENT_BYTES", (3 << 20) - 1)
    with pytest.raises(CheckpointError, match="unfolds into more than 3,145,727 bytes"):
        compressed.decompress(whole, path, kind)


OTHERS = [
    (b"optimized_weights", "compressed with zlib, and what it holds is not a checkpoint: it is a text"),
    (b"<!DOCTYPE html><html>", "compressed with zlib, and what it holds is not a checkpoint: it is a web page"),
    (b"", "compressed with zlib, and what it holds is not a checkpoint: it is empty"),
]


@pytest.mark.parametrize(("content", "message"), OTHERS)
def test_content_of_another_kind_is_named_and_not_accused(tmp_path, content, message):
    path = tmp_path / "final_model.ptz"
    path.write_bytes(zlib.compress(content))
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert message in str(caught.value) and "code" not in str(caught.value)


def test_the_quantized_files_of_records(tmp_path):
    random = np.random.default_rng(0)
    codes = torch.from_numpy(random.integers(-31, 32, (4, 6), dtype=np.int8))
    rows = torch.rand(4, generator=torch.Generator().manual_seed(0)).half()
    weights = {
        "w.q": codes,
        "w.scale": rows,
        "one.q": codes,
        "one.scale": torch.tensor(0.5),
        "gate.gq": codes,
        "gate.gs": rows,
        "gain": torch.ones(3).half(),
        "ctrl": torch.ones(2),
    }
    kinds = {"w": {"type": "int6"}, "one": {"type": "int8"}, "gate": "gate_int8_row", "gain": "passthrough"}
    kinds["ctrl"] = "passthrough_ctrl"
    path = tmp_path / "final_model.int6.ptz"
    path.write_bytes(lzma.compress(torch_bytes({"w": weights, "m": kinds})))
    read = read_checkpoint(path)
    assert read.tensors.keys() == kinds.keys() and read.dtypes["gain"] == "float16"
    expected = codes.float() * rows.float()[:, None]
    np.testing.assert_array_equal(read.tensors["w"], expected.numpy())
    np.testing.assert_array_equal(read.tensors["gate"], expected.numpy())
    np.testing.assert_array_equal(read.tensors["one"], (codes.float() / 2).numpy())
    for change, message in (
        ({"w.scale": None}, "lacks the codes or the scales of 'w'"),
        ({"w.scale": torch.ones(3)}, "[3] scales do not fit the codes of 'w', [4, 6]"),
    ):
        path.write_bytes(lzma.compress(torch_bytes({"w": weights | change, "m": kinds})))
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(path)
        assert message in str(caught.value)


def test_corrections_of_records_are_added(tmp_path):
    """LQER: an error's product of two narrow matrices, with scales by row or, of the second, by group."""
    generator = torch.Generator().manual_seed(1)

    def whole(*shape: int) -> torch.Tensor:
        return torch.randint(-7, 8, shape, generator=generator, dtype=torch.int8)

    weights = {f"{name}.q": whole(4, 6) for name in ("a", "b")} | {
        f"{name}.scale": torch.ones(4) for name in ("a", "b")
    }

    def scales(count: int) -> torch.Tensor:
        return torch.rand(count, generator=generator)

    a = {"lqA": whole(4, 2), "lqAs": scales(4), "lqB": whole(2, 6), "lqBs": scales(2)}
    b = {"lqA_a": whole(4, 2), "lqAs_a": torch.tensor(0.25), "lqB_a": whole(2, 6), "lqBs_a": scales(4)}
    weights |= {f"a.{name}": values for name, values in a.items()} | {f"b.{name}": values for name, values in b.items()}
    kinds = {"a": "gptq (int6)+lqer", "b": "gptq (int6)+lqer_asym"}
    path = tmp_path / "final_model.int6.ptz"
    path.write_bytes(lzma.compress(torch_bytes({"w": weights, "m": kinds})))
    read = read_checkpoint(path).tensors
    first = (a["lqA"] * a["lqAs"][:, None]) @ (a["lqB"] * a["lqBs"][:, None])
    np.testing.assert_allclose(read["a"], (weights["a.q"] + first).numpy(), rtol=1e-6)
    groups = (b["lqB_a"].reshape(4, 3) * b["lqBs_a"][:, None]).reshape(2, 6)
    np.testing.assert_allclose(read["b"], (weights["b.q"] + 0.25 * b["lqA_a"].float() @ groups).numpy(), rtol=1e-6)
    for change, message in (
        ({"b.lqBs_a": None}, "lacks a factor of the correction of 'b'"),
        ({"a.lqB": whole(3, 6)}, "the factors of the correction of 'a' do not fit each other"),
        ({"a.lqBs": scales(5)}, "the factors of the correction of 'a' do not fit each other"),
    ):
        path.write_bytes(lzma.compress(torch_bytes({"w": weights | change, "m": kinds})))
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(path)
        assert message in str(caught.value)


def test_the_packed_file_of_the_ternary_record(tmp_path):
    trits = np.array([[1, 0, -1, -1, 0, 0], [0, 1, 1, 0, -1, 1]], np.int8)
    padded = np.zeros((2, 8), np.int8)
    padded[:, :6] = trits
    scale = torch.tensor([0.5, 0.25, 1.0, 2.0]).half()  # of groups of four
    shape = {"shape": [2, 6], "orig_shape": [2, 6], "padded_cols": 8, "group_size": 4, "n_trits": 16, "scale": scale}
    digits = np.concatenate([padded.ravel() + 1, np.zeros(4, np.int8)]).reshape(-1, 5)
    five = (digits * 3 ** np.arange(5)).sum(1).astype(np.uint8).tobytes()
    flat = padded.ravel()
    masks = np.packbits(flat != 0).tobytes() + np.packbits(flat[flat != 0] > 0).tobytes()
    narrow = torch.tensor([[0.3, -1.7], [2.1, 0.04]])
    content = {
        "digits": {"type": "ternary", "packed": five, **shape},
        "masks": {"type": "ternary_bitmask", "packed": masks, **shape},
        "eight": {"type": "fp8", "data": narrow.to(torch.float8_e4m3fn)},
        "half": {"type": "fp16", "data": narrow.half()},
        "four": {"type": "fp4", "packed": torch.tensor([0x19, 0xF8], dtype=torch.uint8), "shape": [2, 2]},
    }
    content["four"]["scale"] = torch.tensor([0.5, 2.0]).half()
    path = tmp_path / "final_model.ternary.ptz"
    path.write_bytes(lzma.compress(torch_bytes(content)))
    read = read_checkpoint(path)
    share = np.maximum(np.abs(padded).reshape(-1, 4).mean(1, keepdims=True), 1e-8)
    expected = (padded.reshape(-1, 4) * (scale.float().numpy()[:, None] / share)).reshape(2, 8)[:, :6]
    rounded = torch.from_numpy(expected.astype(np.float32)).bfloat16().float().numpy()
    np.testing.assert_array_equal(read.tensors["digits"], rounded)
    np.testing.assert_array_equal(read.tensors["masks"], rounded)
    np.testing.assert_array_equal(
        read.tensors["eight"], narrow.to(torch.float8_e4m3fn).float().bfloat16().float().numpy()
    )
    np.testing.assert_array_equal(read.tensors["half"], narrow.half().bfloat16().float().numpy())
    np.testing.assert_array_equal(read.tensors["four"], [[0.5, -3.5], [0.0, 14.0]])
    assert set(read.dtypes.values()) == {"bfloat16"}
    for change in ({"packed": five[:2]}, {"scale": None}, {"group_size": 5}):
        path.write_bytes(lzma.compress(torch_bytes(content | {"digits": content["digits"] | change})))
        with pytest.raises(CheckpointError, match="'digits' is not whole"):
            read_checkpoint(path)


def test_ternary_weights_that_count_more_than_their_bits_are_refused(tmp_path):
    entry = {"type": "ternary_bitmask", "packed": bytes(3), "shape": [2, 6], "padded_cols": 8, "group_size": 4}
    path = tmp_path / "final_model.ternary.ptz"
    for count in (25, 1 << 24, 1 << 50, -1):
        content = {"w": entry | {"n_trits": count, "scale": torch.ones(4)}}
        path.write_bytes(lzma.compress(torch_bytes(content)))
        with pytest.raises(CheckpointError, match=r"'w' is not whole \(24 bits cannot tell"):
            read_checkpoint(path)
