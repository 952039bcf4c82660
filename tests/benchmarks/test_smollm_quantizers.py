"""Quantizers of others on SmolLM2: their files, and bytecap's share of each; none of them is needed here."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks import smollm_quantizers
from benchmarks.points import CompressionPoint


def test_a_file_of_autoround_is_what_its_integers_say(tmp_path):
    """The integers that another environment made are in the folder, so that nothing is tuned here."""
    generator, name, norm = np.random.default_rng(0), "model.layers.0.mlp.up_proj.weight", "model.norm.weight"
    state = {name: torch.zeros(4, 128), norm: torch.linspace(0, 1, 128)}
    arrays = {
        "codes": generator.integers(0, 8, (4, 128), np.uint8),
        "steps": generator.uniform(0.5, 1, (4, 2)).astype(np.float16),
        "zeros": generator.integers(0, 8, (4, 2), np.uint8),
    }
    stem = name.removesuffix(".weight")
    np.savez(tmp_path / "autoround-3.npz", **{f"{stem}.{part}": array for part, array in arrays.items()})
    kept = smollm_quantizers.integers_of_another("autoround", state, tmp_path, np.zeros(0, np.int64), 3)
    data = smollm_quantizers.encode_integers(state, kept, 4)
    decoded = smollm_quantizers.hqq.decode(data, "entropy")
    groups = arrays["codes"].reshape(4, 2, 64).astype(np.float32) - arrays["zeros"][..., None]
    expected = groups * arrays["steps"][..., None].astype(np.float32)
    assert np.array_equal(decoded[name].numpy(), expected.reshape(4, 128))
    assert torch.equal(decoded[norm], state[norm].half().float())


@pytest.mark.parametrize("pipeline", list(smollm_quantizers.PYTHON_VARIABLES))
def test_what_another_environment_is_given_is_written_for_it(pipeline, tmp_path, monkeypatch):
    """Its program is started for real; this environment has no such package."""
    monkeypatch.setenv(smollm_quantizers.PYTHON_VARIABLES[pipeline], sys.executable)
    tokens = np.arange(smollm_quantizers.SEQUENCES * smollm_quantizers.LENGTH + 5, dtype=np.uint16)
    with pytest.raises(subprocess.CalledProcessError):
        smollm_quantizers.integers_of_another(pipeline, {"a": torch.ones(2, 64)}, tmp_path, tokens, 3)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["config.json", "model.safetensors", "tokens.npy"]
    given = np.load(tmp_path / "transformers" / "tokens.npy")
    assert given.dtype == np.int64 and given[1, 0] == smollm_quantizers.LENGTH


def test_the_table_has_the_name_that_the_peers_know():
    state = {smollm_quantizers.TABLE: torch.ones(2), "model.norm.weight": torch.ones(1)}
    assert list(smollm_quantizers.golf_names(state)) == ["tok_emb.weight", "model.norm.weight"]
    assert list(smollm_quantizers.smollm_names(smollm_quantizers.golf_names(state))) == list(state)


def test_a_share_is_told_where_the_artifacts_reach_a_divergence():
    points = [CompressionPoint("bytecap", "a", 100, 1, 0, 0.4), CompressionPoint("bytecap", "b", 200, 1, 0, 0.1)]
    points += [CompressionPoint("hqq", "c", 300, 1, 0, 0.2), CompressionPoint("hqq", "d", 900, 1, 0, 0.01)]
    assert smollm_quantizers.shares(points) == {"hqq c": pytest.approx(0.5)}
