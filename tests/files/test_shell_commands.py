"""The command that makes a result again: what is written, what is left out, and that a shell reads it back."""

from __future__ import annotations

import shlex
from pathlib import Path

from bytecap.files.shell_commands import shell_command


def test_one_option_a_line():
    options = [
        ("cap", 5),
        ("dry_run", True),
        ("force", False),
        ("seed", None),
        ("code", ["a.py", Path("b c/d.py")]),
        ("minutes", 10.0),
    ]
    found = shell_command(["bytecap", "compile", "my model.pt"], options)
    assert found.split(" \\\n  ") == [
        "bytecap compile 'my model.pt'",
        "--cap 5",
        "--dry-run",
        "--code a.py",
        "--code 'b c/d.py'",
        "--minutes 10",
    ]
    assert shlex.split(found.replace("\\\n", "")) == [
        "bytecap",
        "compile",
        "my model.pt",
        *"--cap 5 --dry-run --code a.py --code".split(),
        "b c/d.py",
        "--minutes",
        "10",
    ]
