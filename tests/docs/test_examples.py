"""The programs of examples/ run by themselves and print what they promise."""

from __future__ import annotations

import subprocess
import sys

import pytest
from source_tree import ROOT

EXAMPLES = ROOT / "examples"
RUNS = {  # program: its arguments, and the first words that its output has to have
    "compile_and_score.py": ([], {"compiled", "score", "gap", "passed", "skipped"}),
    "own_frontend.py": ([], {"compiled", "frontend", "score"}),
    "own_scorer.py": ([], {"scorer", "passed", "failed"}),
    "read_without_bytecap.py": (["spec/vectors/good-stream-trellis-64.bcap"], {"table", "sha256"}),
}
HELPERS = {"small_data.py"}


def run(program: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(EXAMPLES / program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.parametrize("program", RUNS)
def test_an_example_runs(program):
    arguments, words = RUNS[program]
    done = run(program, *arguments)
    assert done.returncode == 0, done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()} == words


def test_every_example_is_run_and_listed():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*RUNS, *HELPERS}
    assert all(f"({program})" in (EXAMPLES / "README.md").read_text(encoding="utf-8") for program in RUNS)


def test_reading_without_bytecap_imports_nothing_of_it_and_names_a_broken_rule():
    code = "import sys; sys.path.insert(0, 'examples'); import read_without_bytecap; print('bytecap' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "False\n"
    refused = run("read_without_bytecap.py", "spec/vectors/bad-digest.bcap")
    assert refused.returncode == 1
    assert "R-DIG-1" in refused.stderr
