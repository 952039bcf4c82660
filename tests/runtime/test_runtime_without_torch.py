"""Inspecting, verifying, scoring and exporting where torch cannot be imported, and what the compiler says there."""

from __future__ import annotations

import json

import pytest
from without_torch import run_without_torch


@pytest.fixture(scope="module")
def outcomes(small_job, tmp_path_factory):
    """The commands that a machine without torch can run, by name; `exported` scores what `export` wrote."""
    exported = tmp_path_factory.mktemp("exported") / "model.safetensors"
    scoring = [*small_job.score_arguments(), "--json"]
    commands = {
        "inspect": ["inspect", small_job.artifact, "--json"],
        "verify": ["verify", small_job.artifact, *scoring],
        "eval": ["eval", small_job.artifact, *scoring],
        "export": ["export", small_job.artifact, "-o", exported, "--json"],
        "exported": ["eval", exported, "--architecture", small_job.architecture, *scoring],
    }
    return dict(zip(commands, run_without_torch(*commands.values()), strict=True))


@pytest.mark.parametrize("command", ["inspect", "verify", "eval", "export"])
def test_what_reads_an_artifact_works_without_torch(outcomes, command):
    code, stdout, stderr = outcomes[command]
    assert (code, stderr) == (0, "")
    assert json.loads(stdout)["command"] == command


def test_the_export_scores_as_the_artifact(outcomes):
    artifact, exported = (json.loads(outcomes[name][1])["score"] for name in ("eval", "exported"))
    assert exported["bits_per_byte"] == artifact["bits_per_byte"] > 0


def test_what_needs_torch_says_so(small_job, tmp_path):
    output = tmp_path / "model.pt"
    compiling, exporting = run_without_torch(
        small_job.compile_arguments(tmp_path / "out.bcap"), ["export", small_job.artifact, "-o", output]
    )
    for (code, stdout, stderr), expected in ((compiling, 1), (exporting, 9)):
        assert (code, stdout, stderr.count("\n")) == (expected, "", 1)
        assert "torch" in stderr.lower() and "install" in stderr
    assert list(tmp_path.iterdir()) == []
