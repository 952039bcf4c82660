"""`python -m benchmarks.scaling MILLIONS...`: time and memory of a compile against the number of weights.

Strategy: models of the challenge's architecture, with random weights whose rows and columns have the
spread of trained ones (columns falling as a power law, rows log-normal), and random calibration text
with Zipf frequencies; each compile runs in a process of its own, so that its peak memory is its own.
What is measured is cost, not quality.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from bytecap import interface
from bytecap.compiler.model.model import Model, ModelTensor
from bytecap.lab.train.fresh_models import initial_model
from bytecap.lab.train.written_model import write_model
from bytecap.runtime.shards import write_shard

from .own_process import answer_alone

RESULTS = Path(__file__).resolve().parent / "results" / "scaling.json"
# Millions of weights -> layers and width; heads of 64, a quarter of the challenge's sequence length.
SHAPES = {1: (5, 128), 3: (4, 256), 10: (6, 384), 30: (10, 512)}
VOCABULARY, SEQUENCE_LENGTH, TOKENS = 1024, 256, 1_200_000
BITS_PER_WEIGHT = 3.0


def trained_looking(tensor: ModelTensor, random: np.random.Generator) -> ModelTensor:
    """The tensor with power-law columns and log-normal rows at the norm that it had; vectors stay as they are."""
    if tensor.values.ndim < 2 or min(tensor.values.shape) < 8:
        return tensor
    rows, columns = tensor.values.shape
    spectrum = random.permutation(np.arange(1, columns + 1)) ** -0.25
    values = random.standard_normal((rows, columns)) * spectrum * np.exp(0.3 * random.standard_normal((rows, 1)))
    norm = np.linalg.norm(tensor.values) or (0.5 * rows * columns / max(rows, columns)) ** 0.5
    return replace(tensor, values=np.ascontiguousarray(values * norm / np.linalg.norm(values), np.float32))


def make_model(millions: int) -> Model:
    layers, width = SHAPES[millions]
    architecture = {
        "vocab_size": VOCABULARY,
        "num_layers": layers,
        "model_dim": width,
        "num_heads": width // 64,
        "num_kv_heads": width // 64 // 2 or 1,
        "mlp_mult": 4,
        "seq_len": SEQUENCE_LENGTH,
    }
    model = initial_model(architecture, 0)
    random = np.random.default_rng(1)
    return replace(model, tensors=tuple(trained_looking(t, random) for t in model.tensors))


def compile_one(folder: Path, model: Model, recipe: str, effort: int, answers) -> None:
    """Compile in this process; puts seconds and peak bytes."""
    start = time.perf_counter()
    result = interface.compile(
        folder / "checkpoint.pt",
        cap=int(model.parameters * BITS_PER_WEIGHT / 8),
        calibration=folder / "calibration.bin",
        output=folder / "model.bcap",
        architecture=folder / "architecture.json",
        recipe=recipe,
        effort=effort,
    )
    seconds = time.perf_counter() - start
    answers.put(
        {
            "weights": model.parameters,
            "seconds": seconds,
            "processor_seconds": time.process_time(),
            "peak_bytes": result.report["peak_bytes"],
            "artifact_bytes": result.ledger.artifact_bytes,
            "cap": result.ledger.cap,
            "stages": result.report["seconds"],
        }
    )


def measure(millions: int, recipe: str, effort: int) -> dict:
    model = make_model(millions)
    share = 1.0 / np.arange(1, VOCABULARY + 1)
    tokens = np.random.default_rng(2).choice(VOCABULARY, size=TOKENS, p=share / share.sum())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(model, model.architecture, folder, force=False)
        write_shard(folder / "calibration.bin", tokens.astype(np.uint16))
        return answer_alone(f"the compile of {millions} million weights", compile_one, folder, model, recipe, effort)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("millions", type=int, nargs="*", choices=sorted(SHAPES), default=sorted(SHAPES))
    parser.add_argument("--recipe", default="default", help="recipe to compile with")
    parser.add_argument("--effort", type=int, default=5)
    arguments = parser.parse_args()
    known = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for millions in arguments.millions:
        answer = measure(millions, arguments.recipe, arguments.effort)
        effort = f", effort {arguments.effort}" if arguments.effort != 5 else ""
        known[f"{millions} million, {Path(arguments.recipe).stem}{effort}"] = answer
        rate = 1e6 * answer["seconds"] / answer["weights"]
        line = (
            f"{answer['weights']:>12,} weights  {answer['seconds']:8.1f} s  {rate:6.1f} s a million  "
            f"{answer['peak_bytes'] / 1e9:5.2f} GB"
        )
        print(f"{line}  {answer['artifact_bytes']:,} of {answer['cap']:,} bytes", flush=True)
        RESULTS.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
