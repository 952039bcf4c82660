"""`python -m benchmarks.generate --llama2c FOLDER`: tokens a second beside llama2.c's run.c on the same weights.

Strategy: FOLDER is a clone of https://github.com/karpathy/llama2.c, of which nothing is part of this repository. Its
run.c is built in a temporary folder, as its Makefile does by default (-O3) and for speed (-Ofast), and all programs
draw from the same llama2.c files: a given one (--model), and random weights in the shapes of the published models,
since speed does not depend on their values. Runs alternate, one thread each, for at least SECONDS, and the best of each
is kept, so that a shared machine's other work is left out; all rates leave out the first token, as run.c's does.
"""

from __future__ import annotations

import argparse
import json
import re
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

import bytecap

RESULTS = Path(__file__).resolve().parent / "results" / "generate.json"
OPTIMIZATIONS = ("-O3", "-Ofast")
RATE = re.compile(rb"achieved tok/s: ([\d.]+)")
BEGINNING = 1  # token that begins a text for llama2.c
REPETITIONS, SECONDS = 5, 10.0  # of both programs on one file, at least


@dataclass(frozen=True)
class Shapes:
    """The numbers of a llama2.c file's header, in their order."""

    width: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    length: int


RANDOM = {
    "15M": Shapes(288, 768, 6, 6, 6, 32_000, 256),
    "42M": Shapes(512, 1376, 8, 8, 8, 32_000, 1024),
    "110M": Shapes(768, 2048, 12, 12, 12, 32_000, 1024),
}


def random_model(shapes: Shapes) -> bytes:
    """A llama2.c file of random weights, its head tied to its table."""
    random, s = np.random.default_rng(0), shapes
    keys = s.width // s.heads * s.kv_heads
    matrices = {
        "before": [(s.vocabulary, s.width)],
        "attention": [(s.width, s.width), (keys, s.width), (keys, s.width), (s.width, s.width)],
        "mlp": [(s.hidden, s.width), (s.width, s.hidden), (s.hidden, s.width)],
    }

    def drawn(name: str, times: int) -> list[np.ndarray]:
        return [
            (random.standard_normal((times, *shape), np.float32) * shape[1] ** -0.5).ravel() for shape in matrices[name]
        ]

    gains = np.ones(s.layers * s.width, np.float32)
    parts = [*drawn("before", 1), gains, *drawn("attention", s.layers), gains, *drawn("mlp", s.layers)]
    parts += [np.ones(s.width, np.float32), rotation_tables(s)]
    return struct.pack("<7i", *astuple(s)) + b"".join(part.tobytes() for part in parts)


def rotation_tables(s: Shapes) -> np.ndarray:
    """Cosines, then sines, [length, head width / 2] each."""
    half = s.width // s.heads // 2
    angles = np.arange(s.length)[:, None] * 10_000.0 ** (-np.arange(half) / half)
    return np.concatenate([np.cos(angles), np.sin(angles)]).astype(np.float32).ravel()


def pieces_file(count: int) -> bytes:
    """A tokenizer for run.c that writes each token's number."""
    pieces = [f"{number} ".encode() for number in range(count)]
    return struct.pack("<i", max(map(len, pieces))) + b"".join(struct.pack("<fi", 0.0, len(p)) + p for p in pieces)


def build(source: Path, folder: Path) -> dict[str, Path]:
    """run.c, compiled, by optimization."""
    programs = {f"run.c {option}": folder / f"run{option}" for option in OPTIMIZATIONS}
    for option, program in zip(OPTIMIZATIONS, programs.values(), strict=True):
        command = ["gcc", option, "-march=native", "-o", program, source / "run.c", "-lm"]
        subprocess.run(command, check=True)
    return programs


def rate_of_run_c(program: Path, model: Path, pieces: Path, tokens: int, seed: int) -> float:
    """Tokens a second as run.c says; it ends early where the model draws the token that begins a text."""
    options = ["-z", pieces, "-t", "1.0", "-p", "1.0", "-n", str(tokens), "-s", str(seed)]
    done = subprocess.run([program, model, *options], capture_output=True, check=True)
    found = RATE.search(done.stderr)
    return float(found[1]) if found else 0.0


def rate_of_bytecap(model: bytecap.interface.LoadedModel, tokens: int, seed: int) -> float:
    """Tokens a second after the first."""
    times: list[float] = []
    model.generate(
        [BEGINNING],
        tokens=tokens,
        temperature=1.0,
        seed=seed,
        ignore_end=True,
        on_token=lambda token, text: times.append(time.perf_counter()),
    )
    return (len(times) - 1) / (times[-1] - times[0])


def measure(path: Path, programs: dict[str, Path], folder: Path, tokens: int) -> dict:
    """The rates on one file."""
    loaded = bytecap.load(path)
    pieces = folder / "pieces.bin"
    pieces.write_bytes(pieces_file(loaded.program.vocabulary_size))
    tokens = min(tokens, loaded.program.sequence_length)
    best = dict.fromkeys([*programs, "bytecap"], 0.0)
    start, seed = time.perf_counter(), 0
    while seed < REPETITIONS or time.perf_counter() - start < SECONDS:
        seed += 1
        for name, program in programs.items():
            best[name] = max(best[name], rate_of_run_c(program, path, pieces, tokens, seed))
        best["bytecap"] = max(best["bytecap"], rate_of_bytecap(loaded, tokens, seed))
    return {"bytes": path.stat().st_size, "tokens": tokens, **best}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama2c", type=Path, required=True, metavar="FOLDER", help="folder that holds run.c")
    parser.add_argument("--model", type=Path, metavar="FILE", help="a llama2.c file, measured beside the random ones")
    parser.add_argument("--shapes", nargs="*", choices=list(RANDOM), default=list(RANDOM), help="random models")
    parser.add_argument("--tokens", type=int, default=256, help="tokens to draw, at most")
    arguments = parser.parse_args()
    if not (arguments.llama2c / "run.c").is_file():
        sys.exit(
            f"{arguments.llama2c} has no run.c; git clone https://github.com/karpathy/llama2.c and name its folder"
        )
    result = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        programs = build(arguments.llama2c, folder)
        given = {} if arguments.model is None else {arguments.model.stem: arguments.model}
        for name in [*given, *arguments.shapes]:
            path = given.get(name, folder / f"{name}.bin")
            if name not in given:
                path.write_bytes(random_model(RANDOM[name]))
            result[name] = measure(path, programs, folder, arguments.tokens)
            print(name, json.dumps(result[name]), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
