"""Models that carry a state, beside attention or in its place, through a compile with distillation, and out again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from golden_logits import drawn_tokens, golden_logits
from safetensors.numpy import save_file
from tiny_models import random_sequences

import bytecap
from bytecap.compiler.pipeline import compile_checkpoint
from bytecap.runtime.shards import write_shard

RECIPE = "[calibrate]\ntokens = 768\n\n[distil]\nsteps = 60\nfinal-steps = 2\nbatch-tokens = 64\n"


@pytest.mark.parametrize("name", ["falcon-h1", "qwen3-5"])
def test_an_exported_folder_is_the_artifact(name, tmp_path):
    golden = golden_logits(name)
    state = golden.state()
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(golden.config))
    (tmp_path / "quick.toml").write_text(RECIPE)
    write_shard(tmp_path / "calibration.bin", random_sequences(29, 60, 64).ravel())
    (tmp_path / "short.json").write_text(json.dumps({"seq_len": 64}))
    compile_checkpoint(
        tmp_path,
        cap=int(0.9 * sum(values.size for values in state.values())) + 3000,
        output=tmp_path / "model.bcap",
        calibration=tmp_path / "calibration.bin",
        recipe=tmp_path / "quick.toml",
        architecture=tmp_path / "short.json",
        threads=1,
    )
    bytecap.export(tmp_path / "model.bcap", tmp_path / "out")
    tokens = drawn_tokens(29)
    artifact, folder = bytecap.load(tmp_path / "model.bcap"), bytecap.load(tmp_path / "out")
    logits = artifact.logits(tokens)
    assert np.array_equal(folder.logits(tokens), logits)
    assert 0 < np.abs(logits - golden.logits).max() < 0.5 * np.abs(golden.logits).max()
