"""The kernels of a demo are compiled while its text is built and its model trained.

Strategy: numba compiles a kernel where it is first called and keeps it in its cache. All that a demo calls take as long
as the rest of its compile, on one core, and a new installation has none of them. So a process of its own does the same
work on next to nothing meanwhile. Whatever is not ready when the demo comes to it is compiled there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...compiler.pipeline import compile_checkpoint
from ...format.artifact import decode_tensors, read_artifact
from ...processes import prepare_worker
from ...runtime.interpreter import Interpreter
from ...runtime.shards import write_shard
from ..train.fresh_models import initial_model
from ..train.written_model import write_model

TOKENS = 2048
SMALL = {"vocab_size": 64, "num_layers": 2, "model_dim": 32, "num_heads": 2, "num_kv_heads": 1, "seq_len": 32}


@contextmanager
def kernels_compiled_meanwhile(architecture: Mapping[str, object], effort: int) -> Iterator[None]:
    """For the duration, by a process that ends with it; where that fails, nothing is lost but its time."""
    with tempfile.TemporaryDirectory(prefix="bytecap-kernels-") as folder:
        wanted = str(os.getpid()), folder, json.dumps({**architecture, **SMALL}), str(effort)
        unheard = {name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}
        process = subprocess.Popen([sys.executable, "-P", "-m", __name__, *wanted], **unheard)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def compile_kernels(folder: Path, architecture: Mapping[str, object], effort: int) -> None:
    """Call them all: compile random weights of this architecture in an empty folder, and run what came of it."""
    model, random = initial_model(architecture, 0), np.random.default_rng(0)
    values = (random.standard_normal(tensor.values.shape).astype(np.float32) / 8 for tensor in model.tensors)
    tensors = tuple(replace(tensor, values=drawn) for tensor, drawn in zip(model.tensors, values, strict=True))
    checkpoint, described = write_model(replace(model, tensors=tensors), architecture, folder, False)
    text = folder / "text.bin"
    write_shard(text, random.integers(0, model.program.vocabulary_size, TOKENS, np.uint16))
    cap = model.parameters  # a byte a weight, with which there is something to round and to code
    made = compile_checkpoint(checkpoint, cap=cap, calibration=text, architecture=described, effort=effort, threads=1)
    artifact = read_artifact(made.artifact)
    Interpreter(artifact.program, decode_tensors(artifact)).warm_up()


if __name__ == "__main__":
    prepare_worker(int(sys.argv[1]))
    compile_kernels(Path(sys.argv[2]), json.loads(sys.argv[3]), int(sys.argv[4]))
