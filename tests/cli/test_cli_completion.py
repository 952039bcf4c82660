"""Shell completion: the scripts that the documentation names, run in bash; what the ones of zsh and fish ask for."""

from __future__ import annotations

import os
import shlex
import subprocess

import pytest
from command_line import process_arguments
from source_tree import ROOT

from bytecap.cli.command_group import COMMANDS

ASKS_BASH = """
eval "$(_BYTECAP_COMPLETE=bash_source bytecap)"
ask() { COMP_WORDS=(bytecap "$@") COMP_CWORD=$# COMPREPLY=(); _bytecap_completion bytecap; echo "${COMPREPLY[*]}"; }
"""
COMPLETED = {
    "": list(COMMANDS),
    "ins": ["inspect"],
    "inspect --so": ["--sort"],
    "inspect model.bcap --sort ": ["size", "name", "bits"],
    "lab ": ["list", "run"],
    "lab run vq": ["vq-head"],
    "compile --profile m": ["max"],
}


def test_the_script_of_bash_completes(tmp_path):
    """The function that the script defines is called as bash would call it for the Tab key."""
    command = tmp_path / "bytecap"
    command.write_text(f'#!/bin/sh\nexec {" ".join(map(shlex.quote, process_arguments()))} "$@"\n')
    command.chmod(0o700)
    asks = [f"ask {' '.join(map(shlex.quote, line.split(' ')))}" for line in COMPLETED]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = "\n".join([ASKS_BASH, *asks])
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == ""
    assert dict(zip(COMPLETED, done.stdout.splitlines(), strict=True)) == {
        line: " ".join(words) for line, words in COMPLETED.items()
    }


@pytest.mark.parametrize(
    ("shell", "answer"),
    [
        ("zsh", "plain\nmax\n_\n"),
        ("fish", "plain,max\n"),
    ],
)
def test_the_scripts_of_zsh_and_fish_complete(shell, answer):
    """Both define the function of the script and ask the command in their own form, which is answered here."""
    script = asked(f"{shell}_source").stdout
    assert "_bytecap_completion" in script and f"_BYTECAP_COMPLETE={shell}_complete" in script
    place = {"zsh": "3", "fish": "m"}[shell]
    assert asked(f"{shell}_complete", COMP_WORDS="bytecap compile --profile m", COMP_CWORD=place).stdout == answer


def test_files_are_left_to_the_shell():
    words = {"COMP_WORDS": "bytecap eval model.bcap --data v", "COMP_CWORD": "4"}
    assert asked("bash_complete", **words).stdout == "file,v\n"


def test_the_documentation_names_every_shell():
    page = (ROOT / "docs" / "commands" / "README.md").read_text(encoding="utf-8")
    assert all(f"_BYTECAP_COMPLETE={shell}_source bytecap >" in page for shell in ("bash", "zsh", "fish"))


def asked(what, **variables):
    environment = {**os.environ, "_BYTECAP_COMPLETE": what, **variables}
    return subprocess.run(process_arguments(), capture_output=True, text=True, env=environment, check=True)
