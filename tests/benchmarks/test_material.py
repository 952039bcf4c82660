"""What the benchmarks run on: which folder is meant, what a missing one says, and text drawn from a model."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from baseline_model import BaselineModel, Sizes

from benchmarks import material, stories
from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.frontends import build_model
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.shards import read_shard

SIZES = Sizes(vocabulary=64, layers=1, width=32, heads=4, kv_heads=2, mlp_width=64)


@pytest.mark.parametrize("name", list(material.MATERIALS))
def test_missing_files_are_named_with_the_way_out(name, tmp_path, monkeypatch):
    for folder in ("SHARED", "ADAMW", "STORIES", "DEMO"):
        monkeypatch.setattr(material, folder, tmp_path / folder)
    monkeypatch.setattr(material.demo, "__defaults__", (tmp_path / "DEMO",))
    with pytest.raises(SystemExit, match=rf"{tmp_path}.* is not there; \w+"):
        material.find_material(name)


def test_a_demo_is_meant_by_its_folder_or_where_nothing_else_is(tmp_path, monkeypatch):
    (tmp_path / "checkpoint.pt").touch()
    parser = argparse.ArgumentParser()
    material.add_material_options(parser)
    chosen = parser.parse_args(["--demo", str(tmp_path)])
    assert material.find_material(chosen.material, chosen.demo).calibration == tmp_path / "calibration.bin"
    monkeypatch.setattr(material, "SHARED", tmp_path / "nowhere")
    monkeypatch.setattr(material.demo, "__defaults__", (tmp_path,))
    assert material.find_material().name == "demo"


def test_a_damaged_copy_of_the_stories_model_is_refused(tmp_path, monkeypatch):
    names = "stories260K.bin", "tok512.bin", "stories_train_000000.bin", "stories_val_000000.bin"
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.setattr(material, "STORIES", tmp_path)
    with pytest.raises(SystemExit, match=rf"{names[0]} is not the published stories260K.bin: its SHA-256 is [0-9a-f]+"):
        material.find_material("stories260k")
    monkeypatch.setattr(material, "STORIES_SHA256", hashlib.sha256(names[0].encode()).hexdigest())
    assert material.find_material("stories260k").checkpoint == tmp_path / names[0]


def test_drawn_text_begins_documents_and_repeats_and_its_bytes_stand_beside_it(tmp_path, monkeypatch):
    state = {name: tensor.detach().numpy() for name, tensor in BaselineModel(SIZES).randomize(1).state_dict().items()}
    model = build_model(Checkpoint(state, dict.fromkeys(state, "float32"), Path("model.pt")))
    length = model.program.sequence_length
    monkeypatch.setattr(stories, "CALIBRATION_TOKENS", 1)
    tokenizer = SimpleNamespace(pieces=SimpleNamespace(texts=[b"x" * (token % 5) for token in range(64)]))
    calibration, evaluation = tmp_path / "a_train_0.bin", tmp_path / "a_val_0.bin"
    stories.write_sampled_shards(model, tokenizer, calibration, evaluation, length)
    ids, counts = read_shard(evaluation), read_shard(tmp_path / "a_val_bytes_0.bin")
    assert ids.shape == (2 * length,) and counts.tolist() == (ids % 5).tolist()  # a token beyond the last window
    assert ids[::length].tolist() == [model.program.boundary_token] * 2
    interpreter = Interpreter(model.program, [tensor.values for tensor in model.tensors])
    assert np.array_equal(stories.sample_sequence(interpreter, stories.EVALUATION_SEED + 1, length), ids[length:])
    assert not np.array_equal(read_shard(calibration), ids[:length])
