"""What is compiled while a demo trains: all that it calls afterwards, by a process that leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time

from bytecap.lab.demo.demo import EFFORT, STANDARD_SCALE
from bytecap.lab.demo.first_kernels import SMALL, kernels_compiled_meanwhile

# Prints the kernels that a larger model, and more text, call in types in which a tiny one did not.
MISSED = """
import json, sys
from pathlib import Path
from numba.core.dispatcher import Dispatcher
from bytecap.lab.demo import first_kernels

def known():
    modules = [module for name, module in sys.modules.items() if name.startswith("bytecap.")]
    kernels = {id(k): k for module in modules for k in vars(module).values() if isinstance(k, Dispatcher)}
    return {f"{k.__module__}.{k.__name__} {types}" for k in kernels.values() for types in k.signatures}

folder, larger, small, effort = Path(sys.argv[1]), *map(json.loads, sys.argv[2:])
(folder / "small").mkdir(), (folder / "larger").mkdir()
first_kernels.compile_kernels(folder / "small", small, effort)
before = known()
first_kernels.TOKENS = 8192
first_kernels.compile_kernels(folder / "larger", larger, effort)
print(len(before), *sorted(known() - before), sep="\\n")
"""


def test_nothing_is_left_to_compile(tmp_path):
    """In a process of its own: others would have called kernels in types of theirs."""
    small = {**STANDARD_SCALE.architecture, **SMALL}
    larger = small | {"vocab_size": 512, "model_dim": 64, "num_layers": 3, "seq_len": 128}
    wanted = [json.dumps(each) for each in (larger, small, EFFORT)]
    run = [sys.executable, "-P", "-c", MISSED, str(tmp_path), *wanted]
    count, *missed = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    assert int(count) > 20
    assert missed == []


def test_the_process_ends_and_leaves_no_folder(tmp_path, monkeypatch):
    """However far it is."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    started: list[subprocess.Popen] = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **how: started.append(popen(*words, **how)) or started[-1])
    with kernels_compiled_meanwhile(STANDARD_SCALE.architecture, EFFORT):
        (folder,) = tmp_path.iterdir()
        while not (folder / "text.bin").is_file():  # it has begun
            assert started[0].poll() is None
            time.sleep(0.05)
    assert started[0].returncode is not None
    assert list(tmp_path.iterdir()) == []
