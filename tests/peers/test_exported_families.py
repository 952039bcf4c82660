"""Every family through a compile and out again: the exported folder, read by transformers, computes what the artifact
does.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from golden_logits import drawn_tokens, golden_logits
from gpt_configurations import GPT_CONFIGURATIONS
from llama_configurations import LLAMA_CONFIGURATIONS, SEQUENCE_LENGTHS
from mamba_configurations import MAMBA_CONFIGURATIONS
from peer_models import peer_logits
from safetensors.numpy import save_file
from tiny_models import random_sequences
from transformers import AutoModelForCausalLM

from bytecap import export
from bytecap.compiler.pipeline import compile_checkpoint
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.shards import write_shard

RECIPE = "[calibrate]\ntokens = 768\n\n[correct-drift]\nenabled = false\n\n[distil]\nenabled = false\n"
BYTES_A_WEIGHT = 0.9


@pytest.mark.parametrize("name", [*GPT_CONFIGURATIONS, *LLAMA_CONFIGURATIONS, *MAMBA_CONFIGURATIONS])
def test_an_exported_folder_is_the_artifact_to_transformers(name, tmp_path):
    golden = golden_logits(name)
    state = golden.state()
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(golden.config))
    (tmp_path / "quick.toml").write_text(RECIPE)
    write_shard(tmp_path / "calibration.bin", random_sequences(29, 60, 64).ravel())
    given = {"seq_len": SEQUENCE_LENGTHS[name]} if name in SEQUENCE_LENGTHS else {}
    (tmp_path / "given.json").write_text(json.dumps(given))
    result = compile_checkpoint(
        tmp_path,
        cap=int(BYTES_A_WEIGHT * sum(values.size for values in state.values())) + 3000,
        output=tmp_path / "model.bcap",
        calibration=tmp_path / "calibration.bin",
        recipe=tmp_path / "quick.toml",
        architecture=tmp_path / "given.json",
        threads=1,
    )
    export(tmp_path / "model.bcap", tmp_path / "out")
    peer, found = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32, output_loading_info=True)
    assert not any(found[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    artifact, tokens = read_artifact(result.artifact), drawn_tokens(29)
    logits = Interpreter(artifact.program, decode_tensors(artifact)).logits(tokens)
    assert np.abs(peer_logits(peer.eval(), tokens) - logits).max() < 1e-5 * np.abs(logits).max()
    assert np.abs(logits - golden.logits).max() < 0.5 * np.abs(golden.logits).max()
