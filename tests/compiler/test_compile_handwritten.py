"""A whole compile of a model of somebody's own code, one of whose names words do not tell."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from golden_logits import drawn_tokens
from handwritten_models import RaschkaGpt
from handwritten_parts import HEADS, VOCABULARY, with_weights
from safetensors.numpy import load_file
from tiny_models import random_sequences

from bytecap import export
from bytecap.compiler.checkpoints.selection import Selection
from bytecap.compiler.pipeline import compile_checkpoint
from bytecap.errors import CheckpointError
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.shards import write_shard

RECIPE = "[calibrate]\ntokens = 768\n\n[correct-drift]\ntokens = 256\n\n[distil]\nsteps = 0\n"
RULE = "lookup.*=tok_emb.*"


def test_it_lands_under_the_cap_and_keeps_how_names_were_changed(tmp_path):
    module, file, out = with_weights(RaschkaGpt()), tmp_path / "model.pth", tmp_path / "model.bcap"
    state = {f"_orig_mod.{name.replace('tok_emb', 'lookup')}": values for name, values in module.state_dict().items()}
    torch.save({"model_state_dict": state, "epoch": 3}, file)
    (tmp_path / "architecture.json").write_text(json.dumps({"num_attention_heads": HEADS}))
    (tmp_path / "quick.toml").write_text(RECIPE)
    write_shard(tmp_path / "calibration.bin", random_sequences(29, 60, 32).ravel())
    given = {"calibration": tmp_path / "calibration.bin", "recipe": tmp_path / "quick.toml", "threads": 1}
    given |= {"architecture": tmp_path / "architecture.json", "cap": 12_000, "output": out}
    with pytest.raises(CheckpointError, match=r"plays the part of table; --rename FROM=TO .* such as tok_emb\.weight"):
        compile_checkpoint(file, **given)
    result = compile_checkpoint(file, selection=Selection(rename=(RULE,)), **given)
    artifact = read_artifact(result.artifact)
    assert result.ledger.total_bytes <= 12_000 and artifact.provenance["rename"] == [RULE]
    assert "renamed as asked: lookup.weight to tok_emb.weight" in result.reading.notes
    tokens = drawn_tokens(VOCABULARY)
    with torch.no_grad():
        logits = module(torch.from_numpy(tokens)).numpy()
    found = Interpreter(artifact.program, decode_tensors(artifact)).logits(tokens)
    assert np.abs(found - logits).max() / np.abs(logits).max() < 0.25
    export(out, tmp_path / "out.safetensors")
    shapes = {name: tuple(values.shape) for name, values in module.state_dict().items() if "mask" not in name}
    assert {name: values.shape for name, values in load_file(tmp_path / "out.safetensors").items()} == shapes
