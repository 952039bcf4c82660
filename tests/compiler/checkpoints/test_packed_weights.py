"""Weights in few bits beside their scales: decoded to the values that they stand for, else named."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.torch
import torch
from naive_llama import Llama, write_folder

from bytecap.compiler.checkpoints import stored
from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model
from bytecap.errors import CheckpointError


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_the_values_of_8_bit_floats_are_torchs(dtype):
    codes = torch.arange(256, dtype=torch.uint8)
    table = stored.stored_bytes(bytes(range(256)), str(dtype).removeprefix("torch."), (256,)).values
    np.testing.assert_array_equal(table, codes.view(dtype).float().numpy())


MATRIX = torch.randn(6, 256, generator=torch.Generator().manual_seed(0))
ROWS = MATRIX.abs().amax(1, keepdim=True) / 448
BLOCKS = torch.tensor([[0.5, 0.25]])
SCALES = {
    "w_scale": MATRIX.abs().max().reshape(1) / 448,
    "w_scale_inv": BLOCKS,
    "w.scale": ROWS[:, 0],
    "w_scale ": ROWS,  # the same name, by the row as a column
}


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize("name", SCALES)
def test_8_bit_floats_times_their_scales(tmp_path, name, suffix):
    scale = SCALES[name]
    wide = scale.repeat_interleave(128, 1) if name == "w_scale_inv" else scale.reshape(-1, 1)
    codes = (MATRIX / wide).to(torch.float8_e4m3fn)
    state = {"w": codes, name.strip(): scale, "layer.input_scale": torch.ones(1), "b": torch.ones(3)}
    path = tmp_path / f"m.{suffix}"
    safetensors.torch.save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    read = read_checkpoint(path)
    assert read.tensors.keys() == {"w", "b"} and read.dtypes["w"] == "float32"
    np.testing.assert_array_equal(read.tensors["w"], (codes.float() * wide).numpy())
    assert read.notes == (
        "1 tensor of float8_e4m3fn times their scales",
        "left out, scales of activations: layer.input_scale",
    )


def test_8_bit_floats_and_integers_without_scales(tmp_path):
    path = tmp_path / "m.pt"
    torch.save({"w": MATRIX.to(torch.float8_e5m2)}, path)
    read = read_checkpoint(path)
    np.testing.assert_array_equal(read.tensors["w"], MATRIX.to(torch.float8_e5m2).float().numpy())
    assert read.notes == ("1 tensor of float8_e5m2 without scales",)
    integers = torch.randint(-127, 127, (4, 5), dtype=torch.int8)
    torch.save({"w": integers, "w_scale": torch.full((4, 1), 0.5)}, path)
    np.testing.assert_array_equal(read_checkpoint(path).tensors["w"], (integers * 0.5).numpy())
    torch.save({"w": integers}, path)
    with pytest.raises(CheckpointError, match=r"not plain floating point: w \(int8\)"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("weight", "scale", "shape"),
    [
        ("q.weight", "q.scales", (4,)),  # gpt-fast
        ("q.weight._data", "q.weight._scale", (4, 1)),  # quanto
        ("q.weight", "q.weight_scale", (4, 1)),
    ],
)
def test_integers_times_scales_under_the_names_of_other_tools(tmp_path, weight, scale, shape):
    integers = torch.randint(-127, 127, (4, 5), dtype=torch.int8)
    scales = torch.rand(4) + 0.1
    torch.save(
        {"a": torch.ones(1), weight: integers, scale: scales.reshape(shape), "z": torch.ones(1)}, tmp_path / "m.pt"
    )
    read = read_checkpoint(tmp_path / "m.pt")
    assert [*read.tensors] == ["a", "q.weight", "z"]
    np.testing.assert_array_equal(read.tensors["q.weight"], (integers * scales[:, None]).numpy())


WRONG = [
    (
        {"w": MATRIX.to(torch.float8_e5m2), "w_scale": torch.ones(5)},
        "the [5] scales of 'w' do not fit its shape [6, 256]",
    ),
    ({"w": MATRIX.to(torch.float8_e5m2), "w_scale": torch.ones(1, dtype=torch.int32)}, "'w_scale' is of type int32"),
    (
        {"q.weight._data": torch.ones(4, 2, dtype=torch.uint8), "q.weight._scale": torch.ones(4)},
        "not plain floating point: q.weight._data (uint8)",
    ),
    ({"q.qweight": torch.ones(2, 2, dtype=torch.int32)}, "that GPTQ or AWQ packed in few bits (q.qweight)"),
    ({"q.weight.quant_state.bitsandbytes__nf4": torch.ones(2, dtype=torch.uint8)}, "that bitsandbytes packed"),
    (
        {"q.weight": torch.ones(2, 8, dtype=torch.uint32), "q.scales": torch.ones(2, 1), "q.biases": torch.ones(2, 1)},
        "holds weights that MLX packed; put the config.json with its `quantization` beside it",
    ),
]


@pytest.mark.parametrize(("state", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_what_does_not_fit_or_is_not_known_is_named(tmp_path, state, message):
    torch.save(state, tmp_path / "m.pt")
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path / "m.pt")
    assert message in str(caught.value) and "m.pt" in str(caught.value)


def packed_by_mlx(values: np.ndarray, bits: int, group: int) -> dict[str, np.ndarray]:
    """The three parts of a matrix, and what they stand for."""
    groups = values.reshape(len(values), -1, group)
    low, high = groups.min(2), groups.max(2)
    scales = ((high - low) / (2**bits - 1)).astype(np.float32)
    codes = np.clip(np.rint((groups - low[:, :, None]) / scales[:, :, None]), 0, 2**bits - 1).astype(np.uint8)
    ordered = np.unpackbits(codes.reshape(len(values), -1, 1), axis=2, bitorder="little")[:, :, :bits]
    words = np.packbits(ordered.reshape(len(values), -1), axis=1, bitorder="little").view("<u4")
    shown = codes * scales[:, :, None] + low[:, :, None]
    parts = {"weight": words, "scales": scales, "biases": low.astype(np.float32)}
    return parts | {"shown": shown.reshape(values.shape).astype(np.float32)}


@pytest.mark.parametrize(("bits", "group"), [(2, 32), (3, 32), (4, 32), (6, 32), (8, 64)])
def test_a_folder_of_mlx(tmp_path, bits, group):
    naive = Llama(width=64, hidden=64, heads=4, head=16)
    state, shown, tensors = naive.state(0), {}, {}
    for name, values in state.items():
        if values.ndim == 1:
            tensors[name] = shown[name] = values
            continue
        parts = packed_by_mlx(values, bits, group)
        shown[name] = parts.pop("shown")
        tensors |= {f"{name.removesuffix('weight')}{part}": array for part, array in parts.items()}
    folder = write_folder(tmp_path / "m", naive, {})
    safetensors.torch.save_file(
        {n: torch.from_numpy(v.copy()) for n, v in tensors.items()}, folder / "model.safetensors"
    )
    how = {
        "quantization": {"group_size": group, "bits": bits},
        "quantization_config": {"group_size": group, "bits": bits},
    }
    (folder / "config.json").write_text(json.dumps(naive.config() | how))
    read = read_checkpoint(folder)
    assert read.tensors.keys() == state.keys()
    for name, values in shown.items():
        np.testing.assert_allclose(read.tensors[name], values, rtol=1e-6, atol=1e-6)
    matrices = sum(values.ndim == 2 for values in state.values())
    assert read.notes == (f"{matrices} tensors of MLX's {bits} bits decoded to float32",)
    assert build_model(read).parameters == sum(values.size for values in state.values())
