"""A model that guesses worse than the same chance for every token is told before it is compiled."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from tiny_models import ARCHITECTURE, golf_model, random_sequences

import bytecap
from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.statistics.guessing import Guessing
from bytecap.runtime.shards import write_shard

SAID = "worse than guessing on the calibration text: "


@pytest.mark.parametrize(
    ("loss", "error", "told"),
    [
        (math.log(64) + 0.4, 0.1, True),
        (math.log(64) + 0.2, 0.1, False),  # which an untrained model's loss may be by chance
        (math.log(64) - 1, 0.1, False),
    ],
)
def test_only_what_is_beyond_chance_is_told(loss, error, told):
    notes = Guessing(entropy=1.0, loss=loss, loss_error=error, vocabulary=64).notes()
    assert bool(notes) is told
    if told:
        bits = loss / math.log(2)
        assert notes == [
            f"{SAID}{bits:.2f} bits a token, where the same probability for each of 64 tokens gives 6.00; probably "
            "another architecture or tokenizer"
        ]


@pytest.mark.parametrize("sure", [False, True])
def test_a_compile_and_a_dry_run_tell_a_model_that_is_sure_and_wrong(tmp_path, sure):
    """Logits of a model that was read as another are as sure as those of the model, and of other tokens."""
    names, values = [], []
    for tensor in golf_model(3, **ARCHITECTURE).tensors:
        names.append(tensor.name)
        scale = (40 if sure else 0.01) if tensor.name == "tok_emb.weight" else 1
        values.append(tensor.values * scale)
    export_checkpoint(names, values, ["float32"] * len(names), tmp_path / "model.pt")
    (tmp_path / "architecture.json").write_text(json.dumps(ARCHITECTURE))
    tokens = random_sequences(ARCHITECTURE["vocab_size"], 64, ARCHITECTURE["seq_len"], seed=3)
    write_shard(tmp_path / "text.bin", tokens.astype(np.uint16).reshape(-1))
    inputs = {"architecture": tmp_path / "architecture.json", "calibration": tmp_path / "text.bin", "effort": 1}
    ahead = bytecap.forecast(tmp_path / "model.pt", cap=20_000, threads=1, **inputs)
    assert any(SAID in note for note in ahead.notes) is sure
    found = bytecap.compile(tmp_path / "model.pt", cap=20_000, threads=1, output=tmp_path / "a.bcap", **inputs)
    assert any(note.startswith(SAID) for note in found.report["calibration_notes"]) is sure
