"""Decoding and evaluation speed beside torch, compile time and memory, in one run.

Strategy: JIT compilation is warmed up and reported apart; repeated timings of both sides alternate, so that noise of a
shared machine hits both, and the best of each is kept. Memory is measured in fresh processes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from bytecap.compiler.model.model import Model
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.interpreter import Interpreter

from .material import Material

REPETITIONS = 7
BATCH_SEQUENCES = 16


def best_seconds(functions: dict[str, Callable[[], object]], repetitions: int = REPETITIONS) -> dict[str, float]:
    """Least seconds of each function over alternating repetitions."""
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(repetitions):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def decoding(data: bytes) -> dict:
    """Weights a second on one core, entropy decoding, reconstruction and digest."""
    start = time.perf_counter()
    weights = sum(array.size for array in decode_tensors(read_artifact(data)))
    first = time.perf_counter() - start
    with threadpool_limits(1):
        seconds = best_seconds(
            {
                "decode": lambda: decode_tensors(read_artifact(data), check_digest=False),
                "with digest": lambda: decode_tensors(read_artifact(data)),
            }
        )
    return {
        "weights": weights,
        "first_call_seconds": first,
        "weights_per_second": weights / seconds["decode"],
        "weights_per_second_with_digest": weights / seconds["with digest"],
    }


def evaluation(material: Material, model: Model) -> dict:
    """Tokens a second of the numba runtime and of torch: same float checkpoint, batch and one thread each."""
    length = model.program.sequence_length
    tokens = (
        material.calibration_tokens()[: BATCH_SEQUENCES * (length + 1)]
        .astype(np.int64)
        .reshape(BATCH_SEQUENCES, length + 1)
    )
    interpreter = Interpreter(model.program, [t.values for t in model.tensors])
    executor = TorchExecutor(model.program, {i: torch.from_numpy(t.values) for i, t in enumerate(model.tensors)})
    batch = torch.from_numpy(tokens)
    torch.set_num_threads(1)

    def run_torch() -> None:
        with torch.no_grad():
            executor.losses(batch)

    with threadpool_limits(1):
        interpreter.token_losses(tokens)
        run_torch()
        seconds = best_seconds({"bytecap": lambda: interpreter.token_losses(tokens), "torch": run_torch})
    count = BATCH_SEQUENCES * length
    return {
        "tokens_per_second": count / seconds["bytecap"],
        "torch_tokens_per_second": count / seconds["torch"],
        "ratio": seconds["torch"] / seconds["bytecap"],
    }


def evaluation_memory(material: Material, data: bytes) -> dict:
    """Peak of what loading, decoding and scoring an artifact allocate, beside its float32 weights."""
    from bytecap.runtime.evaluation import evaluate_program

    artifact = read_artifact(data)
    weights = 4 * sum(entry.elements for entry in artifact.directory)
    evaluate_program(
        artifact.program, decode_tensors(artifact), material.validation, material.tokenizer, max_tokens=4096
    )
    del artifact
    tracemalloc.start()
    artifact = read_artifact(data)
    arrays = decode_tensors(artifact)
    decoded = tracemalloc.get_traced_memory()[1]
    evaluate_program(artifact.program, arrays, material.validation, material.tokenizer, max_tokens=16_384)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"float32_weights_bytes": weights, "peak_decoding_bytes": decoded, "peak_bytes": peak}


COMPILE = """
import json, sys, time
from bytecap import interface
start = time.perf_counter()
options = json.loads(sys.argv[1])
result = interface.compile(options.pop("checkpoint"), **options)
peak = result.report["peak_bytes"]
print(json.dumps({"seconds": time.perf_counter() - start, "peak_rss_bytes": peak, "bytes": len(result.artifact),
                  "stages": result.report["seconds"]}))
"""


def compiling(material: Material, cap: int, output: str) -> dict:
    """Wall seconds and peak resident memory of one compile in a fresh process, JIT compilation included."""
    options = {
        "checkpoint": str(material.checkpoint),
        "cap": cap,
        "calibration": str(material.calibration),
        "output": output,
        "tokenizer": str(material.tokenizer),
        "architecture": str(material.architecture) if material.architecture else None,
        "force": True,
    }
    run = subprocess.run(
        [sys.executable, "-c", COMPILE, json.dumps(options)], capture_output=True, text=True, check=True
    )
    return {"cap": cap, **json.loads(run.stdout)}
