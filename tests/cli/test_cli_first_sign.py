"""The first sign of life: what is imported before a command shows anything, and the processor time until then."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bytecap.cli.progress import ERASED, FIRST_SIGN

HEAVY = {"torch", "numpy", "numba", "llvmlite", "rich", "tokenizers", "safetensors", "joblib", "tree_sitter", "gguf"}
SECONDS = 0.3
COMMANDS = {
    "compile": ["compile", "FILE", "--cap", "1MB", "--calibration", "FILE", "-o", "new.bcap"],
    "fit": ["fit", "FILE", "--cap", "1MB", "--calibration", "FILE", "-o", "new"],
    "verify": ["verify", "FILE"],
    "inspect": ["inspect", "FILE"],
    "export": ["export", "FILE", "-o", "new.pt"],
    "pack": ["pack", "FILE", "-o", "new"],
    "generate": ["generate", "FILE"],
    "eval": ["eval", "FILE", "--data", "FILE"],
    "diff": ["diff", "FILE", "FILE"],
    "sensitivity": ["sensitivity", "FILE", "--calibration", "FILE"],
    "curve": ["curve", "FILE", "--calibration", "FILE"],
    "diagnose": ["diagnose", "FILE", "--data", "FILE"],
    "lab run": ["lab", "run", "vq-head"],
}
UNTIL_THE_FIRST_SIGN = """
import json, os, sys, time

class Terminal:
    def isatty(self):
        return True

    def write(self, text):
        if text.strip():
            found = {name.split(".")[0] for name in sys.modules}
            print(json.dumps([text, sorted(found), time.process_time()]), flush=True)
            os._exit(0)

    def flush(self):
        pass

from bytecap.cli.main import run
sys.stderr = Terminal()
run(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def signs(tmp_path_factory):
    """By command: the first text on a terminal's stderr, the packages imported by then, seconds of processor."""
    file = tmp_path_factory.mktemp("sign") / "file"
    file.write_bytes(b"anything")
    found = {}
    for name, words in COMMANDS.items():
        arguments = [str(file) if word == "FILE" else word for word in words]
        environment = {"TERM": "xterm", "PATH": ""}
        done = subprocess.run(
            [sys.executable, "-c", UNTIL_THE_FIRST_SIGN, *arguments],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
            cwd=file.parent,
        )
        found[name] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_the_first_sign_comes_before_what_is_heavy(signs, command):
    text, imported, _ = signs[command]
    assert text == FIRST_SIGN
    assert HEAVY & set(imported) == set()


def test_the_first_sign_takes_less_than_a_third_of_a_second(signs):
    """Processor time, which other programs on the machine stretch by little; of the quickest of all commands."""
    assert min(seconds for _, _, seconds in signs.values()) < SECONDS


def test_the_sign_is_erased_before_bars_are_drawn():
    assert ERASED == "\r\x1b[K"
