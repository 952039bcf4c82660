"""`python -m benchmarks.large_model`: loading and evaluating a model of 135 million weights, beside torch.

Strategy: a model with the shapes of SmolLM2-135M (Llama's architecture, tied) and random Laplacian weights on a
plain grid of about three bits, so that nothing has to be downloaded or compiled. Its artifact is assembled once for
each integer codec and loaded in a fresh process, whose peak memory is its own. Evaluation runs the same float weights
through the numba runtime and through torch, with equal threads and in turn. What is measured is cost, not quality.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_info

from bytecap.compiler.model.program_builder import ProgramBuilder
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.compiler.profiles import profile_codecs
from bytecap.compiler.rate_control.artifacts import assign_streams
from bytecap.format.assembly import assemble_artifact
from bytecap.format.parallel import usable_cores
from bytecap.format.program import operations as op
from bytecap.format.program.program import Program
from bytecap.format.tensors.grid import GridValues
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import GridInStream, RawValues
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.scoring import score
from bytecap.runtime.tokens import Tokens

RESULTS = Path(__file__).resolve().parent / "results" / "large-model.json"
LENGTHS = (256, 1024)
TOKENS = 1024  # of one timing, for each thread
REPETITIONS = 3
DEVIATION = 1.7  # of the integers, about three bits
BASE = 0.015


@dataclass(frozen=True)
class Shapes:
    """A model of Llama's architecture; the defaults are those of SmolLM2-135M."""

    vocabulary: int = 49_152
    layers: int = 30
    width: int = 576
    hidden: int = 1536
    heads: int = 9
    kv_heads: int = 3
    sequence_length: int = 1024


SHAPES = {
    "small": Shapes(1024, 4, 256, 768, 4, 2),
    "middle": Shapes(1024, 9, 512, 1024, 8, 4),
    "large": Shapes(),
}


def make_program(shapes: Shapes) -> tuple[Program, dict[str, tuple[int, ...]]]:
    """The program, and the shapes of its tensors by name in directory order."""
    builder, sizes = ProgramBuilder(), {"table": (shapes.vocabulary, shapes.width)}
    head = shapes.width // shapes.heads

    def linear(x: int, name: str, rows: int, columns: int) -> int:
        sizes[name] = (rows, columns)
        return builder.emit(op.Linear(x, builder.tensor(name)))

    def norm(x: int, name: str) -> int:
        sizes[name] = (shapes.width,)
        return builder.emit(op.RmsNorm(x, 1, 1e-5, builder.row(name)))

    def rope(x: int, heads: int) -> int:
        return builder.emit(op.Rope(x, heads, 1e5, head, op.RopeLayout.HALF_SPLIT))

    x = builder.emit(op.Embed(builder.tensor("table")))
    for layer in range(shapes.layers):
        y, own = norm(x, f"{layer}.attention_norm"), shapes.kv_heads * head
        q = rope(linear(y, f"{layer}.q", shapes.width, shapes.width), shapes.heads)
        k = rope(linear(y, f"{layer}.k", own, shapes.width), shapes.kv_heads)
        v = linear(y, f"{layer}.v", own, shapes.width)
        y = builder.emit(op.Attention(q, k, v, shapes.heads, shapes.kv_heads, head**-0.5))
        x = builder.emit(op.Add(x, linear(y, f"{layer}.o", shapes.width, shapes.width)))
        y = norm(x, f"{layer}.mlp_norm")
        gate = builder.emit(
            op.Activation(linear(y, f"{layer}.gate", shapes.hidden, shapes.width), op.ActivationKind.SILU)
        )
        y = builder.emit(op.Multiply(gate, linear(y, f"{layer}.up", shapes.hidden, shapes.width)))
        x = builder.emit(op.Add(x, linear(y, f"{layer}.down", shapes.width, shapes.hidden)))
    linear(norm(x, "norm"), "table", shapes.vocabulary, shapes.width)
    return Program(tuple(builder.instructions), shapes.vocabulary, shapes.sequence_length, 0), sizes


def make_sources(sizes: dict[str, tuple[int, ...]]) -> list[TensorSource]:
    """Matrices on a grid with steps of rows, vectors of ones in half precision."""
    random, sources = np.random.default_rng(0), []
    matrices = [name for name, shape in sizes.items() if len(shape) == 2]
    streams = dict(zip(matrices, assign_streams([int(np.prod(sizes[name])) for name in matrices]), strict=True))
    for name, shape in sizes.items():
        if len(shape) == 2:
            codes = random.laplace(0, DEVIATION / 2**0.5, shape).round().astype(np.int32)
            grid = GridValues(codes, random.integers(-2, 3, shape[0]).astype(np.int32), None, BASE, 2)
            part: GridInStream | RawValues = GridInStream(grid, streams[name])
        else:
            part = RawValues(np.ones(shape, np.float32), "float16")
        sources.append(TensorSource(name, shape, "float16", (part,)))
    return sources


LOAD = """
import json, sys, time
from pathlib import Path
from benchmarks.large_model import peak_bytes
from bytecap.format.artifact import decode_tensors, read_artifact
imported = peak_bytes()
seconds, processor = [], []
for _ in range(int(sys.argv[2])):
    start, before = time.perf_counter(), time.process_time()
    arrays = decode_tensors(read_artifact(Path(sys.argv[1]).read_bytes()))
    seconds.append(time.perf_counter() - start)
    processor.append(time.process_time() - before)
    weights = sum(array.size for array in arrays)
    del arrays
print(json.dumps({"weights": weights, "first_seconds": seconds[0], "seconds": min(seconds),
                  "processor_seconds": min(processor), "peak_bytes_beside_imports": peak_bytes() - imported}))
"""


def peak_bytes() -> int:
    """Most resident memory that this process has had; Linux alone tells it without what the parent had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def loading(path: Path, repetitions: int = 3) -> dict:
    """Seconds from the file to the float32 tensors, digest included, and the peak memory of a process that does it."""
    run = subprocess.run(
        [sys.executable, "-c", LOAD, str(path), str(repetitions)], capture_output=True, text=True, check=True
    )
    return {"bytes": path.stat().st_size, **json.loads(run.stdout)}


def best_times(functions: dict[str, Callable[[], object]]) -> tuple[dict[str, float], dict[str, float]]:
    """Least seconds, and least seconds of processors, of each function over alternating repetitions."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in functions}
    for _ in range(REPETITIONS):
        for name, function in functions.items():
            start, before = time.perf_counter(), time.process_time()
            function()
            times[name].append((time.perf_counter() - start, time.process_time() - before))
    seconds, processor = ({name: min(t[k] for t in found) for name, found in times.items()} for k in (0, 1))
    return seconds, processor


def evaluation(program: Program, tensors: list[np.ndarray], length: int, threads: int) -> dict:
    """Tokens a second of both executors on the same sequences, with as many threads each, the way `eval` runs them and
    as torch is fastest: both cores in every product, losses of a flat array. Memory is what numpy allocates beside the
    weights.
    """
    random = np.random.default_rng(1)
    tokens = Tokens(random.integers(0, program.vocabulary_size, threads * TOKENS + 1), "random tokens")
    interpreter = Interpreter(program, tensors)
    executor = TorchExecutor(program, {i: torch.from_numpy(tensor) for i, tensor in enumerate(tensors)})
    torch.set_num_threads(threads)
    sequences = np.stack([tokens.ids[k : k + length + 1] for k in range(0, len(tokens.ids) - length, length)])

    def run_torch() -> np.ndarray:
        losses = []
        for batch in torch.from_numpy(sequences).split(max(1, TOKENS // length)):
            with torch.inference_mode():
                logits = executor.forward(batch[:, :-1]).flatten(0, 1)
                losses.append(F.cross_entropy(logits, batch[:, 1:].flatten(), reduction="none").view(len(batch), -1))
        return torch.cat(losses).sum(1).numpy()

    def run_bytecap() -> np.ndarray:
        return score(interpreter, tokens, text=None, sequence_length=length, threads=threads).sequence_losses

    difference = float(np.abs(run_bytecap() - run_torch()).max()) / length
    tracemalloc.start()
    run_bytecap()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    seconds, processor = best_times({"bytecap": run_bytecap, "torch": run_torch})
    return {
        "length": length,
        "threads": threads,
        "tokens_per_second": threads * TOKENS / seconds["bytecap"],
        "torch_tokens_per_second": threads * TOKENS / seconds["torch"],
        "ratio": seconds["torch"] / seconds["bytecap"],
        "processor_ratio": processor["torch"] / processor["bytecap"],
        "mean_difference_nats": difference,
        "peak_bytes_beside_weights": peak,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", choices=list(SHAPES), default="large", help="3.4, 21.8 or 134.5 million weights")
    parser.add_argument("--layers", type=int, help="fewer layers, for a quick look")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of both sides of an evaluation")
    parser.add_argument("--only", choices=["loading", "evaluation"])
    parser.add_argument("--keep", type=Path, help="folder for the artifacts, made once")
    arguments = parser.parse_args()
    shapes = SHAPES[arguments.shapes]
    shapes = replace(shapes, layers=arguments.layers or shapes.layers)
    program, sizes = make_program(shapes)
    sources, result = make_sources(sizes), {}
    if arguments.only != "evaluation":
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.keep or Path(temporary)
            for profile, codec in profile_codecs().items():
                path = folder / f"{profile}-{arguments.shapes}-{shapes.layers}.bcap"
                if not path.exists():
                    path.write_bytes(assemble_artifact(program, sources, None, codec))
                result[profile] = loading(path)
                print(profile, json.dumps(result[profile]), flush=True)
    if arguments.only != "loading":
        tensors = [source.parts[0].reconstruct(source.shape) for source in sources]
        del sources
        kernels = [library["architecture"] for library in threadpool_info() if library["internal_api"] == "openblas"]
        result["kernels"] = {"openblas": kernels, "torch": torch.backends.cpu.get_cpu_capability()}
        result["evaluation"] = [evaluation(program, tensors, length, arguments.threads) for length in LENGTHS]
        print(json.dumps({k: result[k] for k in ("kernels", "evaluation")}, indent=1), flush=True)
    if shapes == Shapes() and arguments.only is None:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
