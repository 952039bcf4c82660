"""Whole compiles of folders of other families: fused and turned tensors, position tables, parallel residuals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden_logits import drawn_tokens, golden_logits
from safetensors.numpy import load_file, save_file
from tiny_models import random_sequences

from bytecap import export
from bytecap.compiler.pipeline import CompileResult, compile_checkpoint
from bytecap.compiler.statistics.calibration import measure_statistics
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.shards import write_shard

RECIPE = "[calibrate]\ntokens = 768\n\n[correct-drift]\ntokens = 256\n\n[distil]\nsteps = 0\n"
CAPS = {"gpt2": 9_400, "gpt-neox": 5_700, "opt": 5_800, "qwen2": 15_000, "gemma2": 14_500, "phi3-longrope": 15_000}


@pytest.fixture(scope="module", params=CAPS)
def compiled(request, tmp_path_factory) -> tuple[str, Path, CompileResult]:
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    golden = golden_logits(name)
    save_file(golden.state(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(golden.config))
    (folder / "quick.toml").write_text(RECIPE)
    write_shard(folder / "calibration.bin", random_sequences(29, 60, 32).ravel())
    given = {"calibration": folder / "calibration.bin", "recipe": folder / "quick.toml", "threads": 1}
    return name, folder, compile_checkpoint(folder, cap=CAPS[name], output=folder / "model.bcap", **given)


def test_it_lands_on_the_cap_and_loses_what_was_predicted(compiled):
    name, _, result = compiled
    assert 0.98 * CAPS[name] < result.ledger.total_bytes <= CAPS[name]
    assert 0.4 < result.report["predicted_loss"] / result.report["measured_loss"] < 2.5
    artifact = read_artifact(result.artifact)
    logits = Interpreter(artifact.program, decode_tensors(artifact)).logits(drawn_tokens(29))
    golden = golden_logits(name).logits
    assert 1e-4 < np.abs(logits - golden).max() / np.abs(golden).max() < 0.25


def test_frequencies_of_rotations_are_stored_as_they_are(compiled):
    name, _, result = compiled
    own = {tensor.name: tensor.values for tensor in golden_logits(name).model().tensors}
    artifact = read_artifact(result.artifact)
    decoded = dict(zip([entry.name for entry in artifact.directory], decode_tensors(artifact), strict=True))
    assert ("rope_frequencies" in own) == (name == "phi3-longrope")
    if name == "phi3-longrope":
        assert np.array_equal(decoded["rope_frequencies"], own["rope_frequencies"])


def test_the_export_has_the_checkpoints_tensors(compiled):
    name, folder, _ = compiled
    export(folder / "model.bcap", folder / "out.safetensors", force=True)
    out, state = load_file(folder / "out.safetensors"), golden_logits(name).state()
    assert {tensor: values.shape for tensor, values in out.items()} == {n: v.shape for n, v in state.items()}


def test_a_tied_table_is_measured_as_a_head_too():
    model = golden_logits("gpt2").model()
    statistics = measure_statistics(
        model, random_sequences(29, 24, 32), batch_sequences=4, seed=0, device="cpu", threads=1
    )
    table = statistics.matrices[[tensor.name for tensor in model.tensors].index("transformer.wte.weight")]
    rest = table.hessian - np.diag(table.hessian.diagonal())
    assert np.abs(rest).max() > 0.01 * table.hessian.diagonal().mean()  # of what the head reads; a table has none
