"""Which commands work where torch cannot be imported, and what all the others say there."""

from __future__ import annotations

import json

import pytest
from without_torch import run_without_torch

from bytecap.cli.command_group import COMMANDS

WORK_WITHOUT_TORCH = ("inspect", "diff", "verify", "eval", "generate", "export", "plugins")
NEED_TORCH = ("compile", "fit", "sensitivity", "curve", "diagnose", "lab", "demo", "pack")


@pytest.fixture(scope="module")
def outcomes(small_job, tmp_path_factory):
    """The commands that a machine without torch can run, by name; `exported` scores what `export` wrote."""
    exported = tmp_path_factory.mktemp("exported") / "model.safetensors"
    scoring = [*small_job.score_arguments(), "--json"]
    commands = {
        "inspect": ["inspect", small_job.artifact, "--json"],
        "diff": ["diff", small_job.artifact, small_job.artifact, "--json"],
        "verify": ["verify", small_job.artifact, *scoring],
        "eval": ["eval", small_job.artifact, *scoring],
        "generate": ["generate", small_job.artifact, "--tokens", 3, "--json"],
        "export": ["export", small_job.artifact, "-o", exported, "--json"],
        "plugins": ["plugins", "--json"],
        "lab list": ["lab", "list", "--json"],
        "inspect --tensor": ["inspect", small_job.artifact, "--tensor", "tok_emb.weight", "--json"],
        "inspect --hex": ["inspect", small_job.artifact, "--hex", "--json"],
        "exported": ["eval", exported, "--architecture", small_job.architecture, *scoring],
    }
    return dict(zip(commands, run_without_torch(*commands.values()), strict=True))


def test_every_command_is_known_to_need_torch_or_not():
    assert sorted((*WORK_WITHOUT_TORCH, *NEED_TORCH)) == sorted(COMMANDS)


@pytest.mark.parametrize("command", [*WORK_WITHOUT_TORCH, "inspect --tensor", "inspect --hex", "lab list"])
def test_what_reads_an_artifact_works_without_torch(outcomes, command):
    code, stdout, stderr = outcomes[command]
    assert (code, stderr) == (0, "")
    assert json.loads(stdout)["command"] == command.split(" --")[0]


def test_the_export_scores_as_the_artifact(outcomes):
    artifact, exported = (json.loads(outcomes[name][1])["score"] for name in ("eval", "exported"))
    assert exported["bits_per_byte"] == artifact["bits_per_byte"] > 0


def test_what_needs_torch_says_so(small_job, tmp_path):
    calibrated = [small_job.checkpoint, "--calibration", small_job.calibration]
    commands = {
        "compile": small_job.compile_arguments(tmp_path / "out.bcap"),
        "fit": ["fit", *calibrated, "--cap", 20_000, "-o", tmp_path / "fitted"],
        "sensitivity": ["sensitivity", *calibrated],
        "curve": ["curve", *calibrated],
        "diagnose": ["diagnose", small_job.checkpoint, "--data", small_job.calibration],
        "demo": ["demo", tmp_path / "demo"],
        "lab": [
            *["lab", "run", "vq-head", "--checkpoint", small_job.checkpoint, "--calibration", small_job.calibration],
            *["--evaluation", small_job.data, "--tokenizer", small_job.tokenizer, "--folder", tmp_path / "lab"],
        ],
        "pack": ["pack", small_job.artifact, "-o", tmp_path / "folder"],
        "export to .pt": ["export", small_job.artifact, "-o", tmp_path / "model.pt"],
        "eval of .pt": ["eval", small_job.checkpoint, *small_job.score_arguments()],
    }
    assert set(NEED_TORCH) <= set(commands)
    codes = {"export to .pt": 9, "eval of .pt": 8}
    for name, (code, stdout, stderr) in zip(commands, run_without_torch(*commands.values()), strict=True):
        assert (code, stdout, stderr.count("\n")) == (codes.get(name, 1), "", 1), name
        assert "torch" in stderr.lower() and "install" in stderr, name
    assert list(tmp_path.iterdir()) == []
