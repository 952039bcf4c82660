"""Tables of rotations and masks in a state_dict are held against the model; a module's prefix is seen through."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from naive_llama import Llama

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.selection import Selection
from bytecap.compiler.frontends import build_model
from bytecap.errors import CheckpointError

NAIVE = Llama(tied=True, theta=5e4)
FREQUENCIES = 5e4 ** (-np.arange(0, NAIVE.head, 2) / NAIVE.head)
ANGLES = np.arange(20)[:, None] * FREQUENCIES
TABLES = {
    "model.layers.0.self_attn.rotary_emb.inv_freq": FREQUENCIES,
    "rotary.inv_freq": FREQUENCIES[None],
    "freqs_cos": np.cos(ANGLES),
    "rope.sin_cached": np.sin(np.concatenate([ANGLES, ANGLES], 1))[None, None],
    "interleaved.cos_cached": np.cos(np.repeat(ANGLES, 2, 1)),
    "freqs_cis": np.exp(1j * ANGLES),
    "blocks.0.freqs_cis": np.stack([np.cos(ANGLES), np.sin(ANGLES)], -1),  # view_as_real
    "rope_cache": np.stack([np.cos(ANGLES), np.sin(ANGLES)], -1)[None],
    "freqs": ANGLES,
    "sin_cos": np.concatenate([np.sin(ANGLES), np.cos(ANGLES)], 1),
    "rotary_emb_freqs": FREQUENCIES,
}


def folder_with(path, tables):
    state = {name: torch.from_numpy(values) for name, values in NAIVE.state(0).items()}
    kinds = {name: torch.complex64 if np.iscomplexobj(values) else torch.float32 for name, values in tables.items()}
    extra = {name: torch.from_numpy(values.copy()).to(kinds[name]) for name, values in tables.items()}
    return saved(path, state | extra)


def saved(folder, content):
    torch.save(content, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(NAIVE.config()))
    return folder


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_the_models_own_rotations_are_left_out(tmp_path, name):
    model = build_model(read_checkpoint(folder_with(tmp_path, {name: TABLES[name]})))
    assert model.notes == (f"left out, since the model computes them: {name}",)
    assert name not in {tensor.name for tensor in model.tensors}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_other_rotations_are_refused(tmp_path, name):
    other = TABLES[name].swapaxes(-1, -2)[..., ::-1].swapaxes(-1, -2) if TABLES[name].shape[-1] == 2 else TABLES[name]
    folder = folder_with(tmp_path, {name: other[..., ::-1]})
    with pytest.raises(CheckpointError, match=r"holds other rotations than the model would have \(.*base 50000\)"):
        build_model(read_checkpoint(folder))
    assert build_model(read_checkpoint(folder, Selection(ignore=(name,))))


def windowed(length, seen, hidden):
    square = torch.ones(length, length).bool()
    return torch.zeros(length, length).masked_fill(~(torch.tril(square) & torch.triu(square, 1 - seen)), hidden)


@pytest.mark.parametrize("name", ["model.layers.0.self_attn.window_mask", "blocks.0.attn.bias"])
def test_a_mask_of_a_window_is_held_against_the_model(tmp_path, name):
    """It was left out as if it were that of a whole context, and the program saw everything."""
    state = {name: torch.from_numpy(values) for name, values in NAIVE.state(0).items()}
    saved(tmp_path, state | {name: windowed(12, 5, -1e9)})
    with pytest.raises(CheckpointError) as caught:
        build_model(read_checkpoint(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path}: {name} is a mask that shows each position 5 positions, its own among them, and the model would "
        "have none; give sliding_window = 5 and the layers that have it, sliding_layers, in an --architecture file, or "
        "leave the mask out with --ignore"
    )
    assert build_model(read_checkpoint(tmp_path, Selection(ignore=(name,))))
    own = {"family": "mistral", "sliding_window": 4}
    with pytest.raises(CheckpointError, match="the model would have windows of 4; give sliding_window = 5"):
        build_model(read_checkpoint(tmp_path), own)
    assert build_model(read_checkpoint(tmp_path), own | {"sliding_window": 5})
    saved(tmp_path, state | {name: windowed(12, 12, -1e9)})
    assert build_model(read_checkpoint(tmp_path)).notes == (f"left out, since the model computes them: {name}",)


def test_a_prefix_of_a_module_around_the_model_is_left_out_and_said(tmp_path):
    state = {f"net.{name}": torch.from_numpy(values) for name, values in NAIVE.state(0).items()}
    model = build_model(read_checkpoint(saved(tmp_path, state)))
    assert {tensor.name for tensor in model.tensors} == set(NAIVE.state(0))
    assert model.notes == ("all names without the 'net.' before them",)


def test_the_set_of_weights_that_was_read_stays_with_the_model(tmp_path):
    state = {name: torch.from_numpy(values) for name, values in NAIVE.state(0).items()}
    model = build_model(read_checkpoint(saved(tmp_path, {"model": state, "ema": state}), Selection(weights="ema")))
    assert model.weights == "ema" and model.notes == ("read 'ema'; the file also holds model (--weights chooses)",)
