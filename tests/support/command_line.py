"""Running the `bytecap` command in tests: in this process for speed, in a fresh one where the process is tested."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from unittest.mock import patch

from json_schema import problems_of

from bytecap.cli.main import run

COLUMNS = "80"


@dataclass(frozen=True)
class Outcome:
    """What a command did: exit code and everything it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self):
        """The JSON document on stdout, which follows its published schema."""
        document = json.loads(self.stdout)
        problems = problems_of(document)
        assert not problems, f"docs/schemas: {'; '.join(problems[:5])}"
        return document


def bytecap_command(*arguments) -> Outcome:
    """Run the command line in this process, as it behaves off a terminal."""
    out, err = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, COLUMNS=COLUMNS), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())


def process_arguments(*arguments) -> list[str]:
    """The command line of a fresh process."""
    return [sys.executable, "-m", "bytecap.cli.main", *map(str, arguments)]


def heed_interrupts() -> None:
    """In a process to be interrupted: one that a shell started in the background would ignore interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def bytecap_process(*arguments) -> Outcome:
    """Run the command line in a fresh process."""
    environment = {**os.environ, "COLUMNS": COLUMNS}
    done = subprocess.run(process_arguments(*arguments), capture_output=True, text=True, env=environment, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)
