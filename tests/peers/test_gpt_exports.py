"""GPT families through the compiler and out again: transformers reads the export and computes the same."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from golden_logits import drawn_tokens, golden_logits
from gpt_configurations import GPT_CONFIGURATIONS
from peer_models import peer_logits
from safetensors.numpy import save_file
from tiny_models import random_sequences
from transformers import AutoModelForCausalLM

import bytecap
from bytecap.compiler.pipeline import compile_checkpoint
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.shards import write_shard

RECIPE = "[calibrate]\ntokens = 768\n\n[correct-drift]\nenabled = false\n\n[distil]\nsteps = 0\n"


@pytest.mark.parametrize("name", GPT_CONFIGURATIONS)
def test_an_exported_folder_computes_what_the_artifact_computes(name, tmp_path):
    golden = golden_logits(name)
    state = golden.state()
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps(golden.config))
    (tmp_path / "quick.toml").write_text(RECIPE)
    write_shard(tmp_path / "calibration.bin", random_sequences(29, 60, 32).ravel())
    cap = 1_500 + sum(values.size for values in state.values()) * 7 // 10
    given = {"calibration": tmp_path / "calibration.bin", "recipe": tmp_path / "quick.toml", "threads": 1}
    result = compile_checkpoint(tmp_path, cap=cap, output=tmp_path / "model.bcap", **given)
    assert 0.98 * cap < result.ledger.total_bytes <= cap
    bytecap.export(tmp_path / "model.bcap", tmp_path / "exported")
    peer = AutoModelForCausalLM.from_pretrained(tmp_path / "exported", dtype=torch.float32).eval()
    artifact, tokens = read_artifact(result.artifact), drawn_tokens(29)
    logits = Interpreter(artifact.program, decode_tensors(artifact)).logits(tokens)
    assert np.abs(logits - peer_logits(peer, tokens)).max() < 1e-5 * np.abs(logits).max()
