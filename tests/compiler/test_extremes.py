"""Weights that arithmetic fails on: every command says which tensor they are in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import ARCHITECTURE, golf_model, random_sequences

from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.extremes import Extreme, find_extreme, naming_extremes, naming_tensor
from bytecap.errors import CheckpointError, CompileError
from bytecap.interface import compile as compile_artifact
from bytecap.interface import diagnose, forecast, sensitivity
from bytecap.runtime.shards import write_shard

QUERY, GAIN, TABLE = "blocks.0.attn.c_q.weight", "blocks.0.attn.q_gain", "tok_emb.weight"
SAMPLED = "[calibrate]\ntokens = 512\n\n[sample-rows]\nenabled = true\nleast = 8\n\n[distil]\nenabled = false\n"
WHOLE = "[calibrate]\ntokens = 512\n\n[distil]\nenabled = false\n"


def changed(folder: Path, name: str, change: Callable[[np.ndarray], None]) -> dict[str, Path]:
    """The inputs of a compile of a model in which one tensor is changed."""
    model = golf_model(3, **ARCHITECTURE)
    for tensor in model.tensors:
        if tensor.name == name:
            change(tensor.values)
    export_checkpoint(
        [t.name for t in model.tensors],
        [t.values for t in model.tensors],
        ["float32"] * len(model.tensors),
        folder / "model.pt",
    )
    (folder / "architecture.json").write_text(json.dumps(ARCHITECTURE))
    tokens = random_sequences(ARCHITECTURE["vocab_size"], 64, ARCHITECTURE["seq_len"], seed=3)
    write_shard(folder / "text.bin", tokens.astype(np.uint16).reshape(-1))
    return {"checkpoint": folder / "model.pt", "architecture": folder / "architecture.json"}


def one(value: float) -> Callable[[np.ndarray], None]:
    return lambda values: values.reshape(-1).__setitem__(values.size // 2, value)


def all_times(value: float) -> Callable[[np.ndarray], None]:
    return lambda values: np.multiply(values, np.float32(value), out=values)


CHANGES = [(QUERY, one(1e20)), (QUERY, one(-1e37)), (GAIN, one(1e30)), (TABLE, all_times(1e20))]


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize("recipe", [SAMPLED, WHOLE], ids=["sampled", "whole"])
@pytest.mark.parametrize(("name", "change"), CHANGES, ids=["large", "largest", "gain", "table"])
def test_a_compile_names_the_tensor_that_it_fails_on(tmp_path, name, change, recipe):
    (tmp_path / "recipe.toml").write_text(recipe)
    given = changed(tmp_path, name, change)
    with pytest.raises(CompileError, match=rf"^{name}: its largest weight is .*e\+(20|37|30)"):
        compile_artifact(
            **given, calibration=tmp_path / "text.bin", cap=5_000, recipe=tmp_path / "recipe.toml", threads=1
        )


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_other_measurements_name_it_too(tmp_path):
    given = changed(tmp_path, TABLE, all_times(1e20))
    text = tmp_path / "text.bin"
    for measure, options in (
        (forecast, {"cap": 5_000, "calibration": text}),
        (sensitivity, {"calibration": text, "tokens": 512}),
        (diagnose, {"data": text, "tokens": 512}),
    ):
        with pytest.raises(CompileError, match=rf"^{TABLE}: its largest weight is"):
            measure(**given, **options, threads=1)


def test_ordinary_weights_are_not_accused():
    model = golf_model(3, **ARCHITECTURE)
    assert find_extreme(model) is None
    with pytest.raises(ZeroDivisionError), naming_extremes(None):
        raise ZeroDivisionError
    with (
        pytest.raises(CompileError, match=r"^here: its rows and columns"),
        naming_extremes(None),
        naming_tensor("here"),
    ):
        raise OverflowError("codes")
    model.tensors[0].values[:] = 0
    model.tensors[1].values[:] = 1e-20
    assert find_extreme(model) == Extreme(model.tensors[1].name, pytest.approx(1e-20))
    model.tensors[2].values.flat[0] = -1e9
    assert find_extreme(model) == Extreme(model.tensors[2].name, 1e9)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"blocks.0.mlp.fc.weight": 1e30}, "activation behind blocks.0.mlp.fc.weight"),
        ({"blocks.0.mlp.fc.weight": 1e17, "blocks.0.mlp.proj.weight": 1e30}, "linear of blocks.0.mlp.proj.weight"),
    ],
)
def test_logits_that_are_no_numbers_name_where_they_begin(tmp_path, changes, place):
    given = changed(tmp_path, "", one(0))
    state = torch.load(given["checkpoint"], weights_only=True)
    for name, factor in changes.items():
        state[name] = (state[name].double() * factor).float()
    torch.save(state, given["checkpoint"])
    with pytest.raises(CheckpointError, match=rf"the first such values are those of instruction \d+, {place}; "):
        forecast(given["checkpoint"], cap=20_000, calibration=tmp_path / "text.bin", architecture=given["architecture"])
