"""A look ahead: what little text predicts is what much text predicts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_models import ARCHITECTURE, golf_model, random_sequences

from bytecap.compiler import outlook
from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.outlook import Outlook
from bytecap.interface import forecast
from bytecap.runtime.shards import write_shard

WIDTH = 96
SHAPES = ARCHITECTURE | {"model_dim": WIDTH, "num_heads": 4, "num_kv_heads": 2}


def test_a_few_tokens_predict_what_many_do(tmp_path, monkeypatch):
    """As many tokens as a matrix has inputs span no more than these; errors elsewhere seem to cost nothing."""
    model = golf_model(3, **SHAPES)
    names, values = [t.name for t in model.tensors], [t.values for t in model.tensors]
    export_checkpoint(names, values, ["float32"] * len(names), tmp_path / "model.pt")
    (tmp_path / "architecture.json").write_text(json.dumps(SHAPES))
    tokens = random_sequences(SHAPES["vocab_size"], 512, SHAPES["seq_len"], seed=3)
    write_shard(tmp_path / "text.bin", tokens.astype(np.uint16).reshape(-1))

    def look(tokens: int) -> Outlook:
        monkeypatch.setattr(outlook, "LEAST_TOKENS", tokens)
        monkeypatch.setattr(outlook, "MOST_TOKENS", tokens)
        inputs = {"architecture": tmp_path / "architecture.json", "calibration": tmp_path / "text.bin"}
        found = forecast(tmp_path / "model.pt", cap=40_000, effort=1, threads=1, **inputs)
        assert found.tokens == tokens
        return found

    few, many = look(WIDTH), look(64 * WIDTH)
    assert few.predicted_loss == pytest.approx(many.predicted_loss, rel=0.35)
    assert few.largest_useful == pytest.approx(many.largest_useful, rel=0.1)
