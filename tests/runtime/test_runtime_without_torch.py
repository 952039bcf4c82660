"""Inspecting, verifying, scoring and exporting where torch cannot be imported, and what the compiler says there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

WITHOUT_TORCH = """
import contextlib, io, json, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name="torch")

sys.meta_path.insert(0, NoTorch())
from bytecap.cli.main import run

outcomes = []
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    outcomes.append([code, out.getvalue(), err.getvalue()])
print(json.dumps({"outcomes": outcomes, "torch": "torch" in sys.modules}))
"""


def run_without_torch(*commands):
    """Exit code, stdout and stderr of each command, all run in one process that cannot import torch."""
    texts = json.dumps([[str(argument) for argument in command] for command in commands])
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, texts], capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert result["torch"] is False
    return result["outcomes"]


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
