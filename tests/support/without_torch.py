"""Running commands in a process that cannot import torch.

Strategy: a finder at the head of `sys.meta_path` refuses torch, then the command line runs as always.
"""

from __future__ import annotations

import json
import subprocess
import sys

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
