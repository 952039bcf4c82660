"""A Hugging Face folder as it lies on a disk: compiled, scored and exported by the commands, and read again."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import bytecap_command
from naive_llama import Llama, write_folder
from tiny_models import random_sequences

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.runtime.shards import write_shard

NAIVE = Llama("qwen3", vocabulary=420, head_norms=True, head=8, tied=True)


@pytest.fixture(scope="module")
def folder_job(tmp_path_factory):
    """A folder in two shards without `hidden_act`, a calibration shard, and the artifact compiled from both."""
    root = tmp_path_factory.mktemp("folder-job")
    write_folder(root / "model", NAIVE, NAIVE.state(0), shards=2, hidden_act=None)
    tokens = random_sequences(NAIVE.vocabulary, 60, 32)
    tokens[:, 0] = 1
    write_shard(root / "calibration.bin", tokens.ravel())
    outcome = bytecap_command(
        "compile", root / "model", "-o", root / "model.bcap", "--cap", "40KB", "--calibration", root / "calibration.bin"
    )
    assert outcome.code == 0, outcome.stderr
    return root, outcome


def test_compile_says_who_told_what_and_what_was_assumed(folder_job):
    lines = folder_job[1].stdout.splitlines()
    told = next(line for line in lines if line.startswith("told by"))
    assert "config.json beside it: " in told and "rope_theta" in told and "shapes: vocab_size" in told
    assert next(line for line in lines if line.startswith("from defaults")).split(maxsplit=2)[2] == "hidden_act silu"


def test_the_export_is_the_checkpoint_again_and_scores_as_the_artifact(folder_job, small_job, tmp_path):
    root, _ = folder_job
    write_folder(tmp_path / "again", NAIVE, {}, hidden_act=None)
    exported = tmp_path / "again" / "model.safetensors"
    assert bytecap_command("export", root / "model.bcap", "-o", exported, "--force").code == 0
    original, again = read_checkpoint(root / "model"), read_checkpoint(exported.parent)
    assert {n: v.shape for n, v in again.tensors.items()} == {n: v.shape for n, v in original.tensors.items()}
    queries = [c.tensors["model.layers.0.self_attn.q_proj.weight"] for c in (original, again)]
    assert np.corrcoef(*(values.ravel() for values in queries))[0, 1] > 0.99  # the signs of the rotation are undone
    arguments = [*small_job.score_arguments(), "--sequence-length", 32, "--json"]
    scores = [bytecap_command("eval", path, *arguments).document for path in (root / "model.bcap", exported.parent)]
    assert scores[1]["score"]["bits_per_byte"] == pytest.approx(scores[0]["score"]["bits_per_byte"], abs=1e-6)
    assert scores[1]["assumed"] == {"hidden_act": "silu"} and scores[1]["told"]["rope_theta"] == "'config' in the file"
    assert (scores[0]["assumed"], scores[0]["told"]) == ({}, {})


def test_eval_notes_what_was_assumed(folder_job, small_job):
    outcome = bytecap_command("eval", folder_job[0] / "model", *small_job.score_arguments(), "--sequence-length", 32)
    assert outcome.code == 0
    told, _, rest = outcome.stderr.partition("\n")
    assert told.startswith("bytecap: note: the checkpoint: config.json beside it tells ") and "rope_theta" in told
    assert rest.startswith(
        "bytecap: note: assumed of the checkpoint: hidden_act silu; the rest is told by config.json beside it, shapes; "
        "--architecture changes that\nbytecap: note: worse than guessing: "  # the weights are random
    )
