"""Tables of rotations in a state_dict are held against the model, and names with a module's prefix are seen through."""

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
    folder = folder_with(tmp_path, {name: TABLES[name][..., ::-1]})
    with pytest.raises(CheckpointError, match=r"holds other rotations than the model would have \(.*base 50000\)"):
        build_model(read_checkpoint(folder))
    assert build_model(read_checkpoint(folder, Selection(ignore=(name,))))


def test_a_prefix_of_a_module_around_the_model_is_left_out_and_said(tmp_path):
    state = {f"net.{name}": torch.from_numpy(values) for name, values in NAIVE.state(0).items()}
    model = build_model(read_checkpoint(saved(tmp_path, state)))
    assert {tensor.name for tensor in model.tensors} == set(NAIVE.state(0))
    assert model.notes == ("all names without the 'net.' before them",)


def test_the_set_of_weights_that_was_read_stays_with_the_model(tmp_path):
    state = {name: torch.from_numpy(values) for name, values in NAIVE.state(0).items()}
    model = build_model(read_checkpoint(saved(tmp_path, {"model": state, "ema": state}), Selection(weights="ema")))
    assert model.weights == "ema" and model.notes == ("read 'ema'; the file also holds model (--weights chooses)",)
