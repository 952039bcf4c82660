"""Whole compiles of models of Parameter Golf records: bigrams and smearing, banks and lanes, ternary weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from record_states import Record, random_state
from tiny_models import random_sequences

from bytecap import export
from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model
from bytecap.compiler.pipeline import CompileResult, compile_checkpoint
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.shards import write_shard

RECIPE = "[calibrate]\ntokens = 1536\n\n[correct-drift]\ntokens = 256\n\n[distil]\nsteps = 0\n"
LOOP = {"encoder": [0, 1, 2], "decoder": [1, 2, 3]}
BANKED = {"banks", "skip_gates", "lane lambdas", "smear gate", "gate"}
MODELS = {
    "bigrams and smearing": (
        Record(parts={"bigram"}, exclusive=2),
        {"xsa_last_n": 2, "rope_dims": 0, "ln_scale": False, "seq_len": 32},
        11_000,
    ),
    "banks, lanes and gates": (
        Record(parts=BANKED, **LOOP),
        {"preset": "2026-04-29", "num_loops": 1, "loop_start": 1, "loop_end": 2, "parallel_start_layer": 3}
        | {"rope_dims": 4, "seq_len": 32},
        11_500,
    ),
}


@pytest.fixture(scope="module", params=MODELS)
def compiled(request, tmp_path_factory) -> tuple[str, Path, CompileResult]:
    name, folder = request.param, tmp_path_factory.mktemp("record")
    record, said, cap = MODELS[name]
    torch.save(random_state(record, 3), folder / "model.pt")
    (folder / "said.json").write_text(json.dumps(said))
    (folder / "quick.toml").write_text(RECIPE)
    write_shard(folder / "calibration.bin", random_sequences(record.vocabulary, 100, 32).ravel())
    given = {"calibration": folder / "calibration.bin", "recipe": folder / "quick.toml", "threads": 1}
    given |= {"architecture": folder / "said.json", "output": folder / "model.bcap"}
    return name, folder, compile_checkpoint(folder / "model.pt", cap=cap, **given)


def logits(path: Path, said: dict) -> np.ndarray:
    """Of random tokens, by the program and tensors of a checkpoint or an artifact."""
    if path.suffix == ".bcap":
        artifact = read_artifact(path.read_bytes())
        program, tensors = artifact.program, decode_tensors(artifact)
    else:
        model = build_model(read_checkpoint(path), said)
        program, tensors = model.program, [tensor.values for tensor in model.tensors]
    tokens = random_sequences(program.vocabulary_size, 2, 32, seed=4)
    return Interpreter(program, tensors).logits(tokens)


def test_it_lands_on_the_cap_and_loses_what_was_predicted(compiled):
    name, folder, result = compiled
    _, said, cap = MODELS[name]
    assert 0.98 * cap < result.ledger.total_bytes <= cap
    # Random weights and 1,536 tokens: the order of magnitude is all that such a prediction has.
    assert 0.1 < result.report["predicted_loss"] / result.report["measured_loss"] < 2.5
    whole, coded = logits(folder / "model.pt", said), logits(folder / "model.bcap", said)
    assert 1e-3 < (coded - whole).std() / whole.std() < 0.25


def test_the_export_is_the_artifact_under_the_checkpoints_names(compiled):
    name, folder, _ = compiled
    record, said, _ = MODELS[name]
    export(folder / "model.bcap", folder / "out.pt", force=True)
    out = torch.load(folder / "out.pt", weights_only=True)
    assert {n: v.shape for n, v in out.items()} == {n: v.shape for n, v in random_state(record, 3).items()}
    np.testing.assert_allclose(logits(folder / "out.pt", said), logits(folder / "model.bcap", said), atol=2e-4)
