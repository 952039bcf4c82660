"""The whole compile as one straight function: checkpoint and cap in, artifact and report out.

Strategy: every line of `compile_checkpoint` is a stage; what a stage needs is an argument, what it found is a value.
Nothing here measures or prints: progress goes through a callback and the report is data.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..format.assembly import GridInStream, TensorSource, assemble_artifact
from ..format.code_files import import_closure
from ..format.errors import CapError, DataError
from ..format.grid import GridValues, matrix_shape
from ..format.ledger import Ledger, build_ledger
from ..format.version import VERSION
from ..runtime.tokenizer import Tokenizer
from ..runtime.tokens import read_tokens
from . import passes  # noqa: F401 - registers the passes
from .checkpoint import read_checkpoint
from .frontends import build_model, read_architecture
from .landing import Trial
from .model import Model
from .output import check_output, write_output
from .quantization import QuantizedMatrix
from .recipe import read_recipe
from .report import build_report
from .workers import available_threads

Progress = Callable[[str, int, int], None]
START_PRICE = 3e-4  # only where the search starts
MAX_STREAMS = 8
WEIGHTS_PER_STREAM = 1 << 18


@dataclass(frozen=True, slots=True)
class CompileResult:
    """A compiled artifact: its bytes, the ledger of every byte, the report and the provenance stored in it."""

    artifact: bytes
    ledger: Ledger
    report: dict
    provenance: dict


def compile_checkpoint(
    checkpoint_path: Path | str,
    *,
    cap: int,
    calibration: Path | str,
    output: Path | str | None = None,
    tokenizer: Path | str | None = None,
    code: Sequence[Path | str] = (),
    architecture: Path | str | None = None,
    recipe: str | Path = "default",
    device: str = "cpu",
    seed: int = 0,
    threads: int | None = None,
    dry_run: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> CompileResult:
    """Compile a checkpoint into the largest artifact that fits, with its code files, under `cap` bytes.

    Deterministic: equal inputs and options give equal bytes, whatever `threads`. Writes `output` (atomically, refused
    when it exists unless `force`) except on a dry run. Raises CheckpointError, DataError, CapError, CompileError or
    OutputError, each naming the file and the way out.
    """
    progress = progress or (lambda stage, done, total: None)
    threads = threads or available_threads()
    clock = _Clock()
    if output is not None and not dry_run:
        check_output(Path(output), force)
    plan = read_recipe(recipe)
    code_files = import_closure([Path(c) for c in code])
    budget = _artifact_budget(cap, code_files)
    checkpoint = read_checkpoint(Path(checkpoint_path))
    model = build_model(checkpoint, read_architecture(Path(architecture)) if architecture else None)
    text = _read_calibration(Path(calibration), tokenizer, model)
    clock.lap("read")

    statistics = plan["calibrate"].run(
        model, text, seed=seed, device=device, threads=threads, progress=lambda d, t: progress("calibrate", d, t)
    )
    clock.lap("calibrate")
    provenance = {"bytecap": VERSION, "calibration": _file_digest(Path(calibration)), "recipe": plan.digest, "seed": seed}
    vectors_at = plan["quantize-vectors"].run(model, statistics)
    matrices_at = plan["quantize-matrices"].run(model, statistics, threads=threads)
    corrected_at = plan["correct-drift"].run(model, statistics, text, plan["quantize-matrices"], threads=threads)

    def quick_trial(byte_price: float) -> Trial:
        quantized = {**vectors_at(byte_price), **matrices_at(byte_price)}
        return Trial(byte_price, assemble_model(model, quantized, provenance), quantized)

    def full_trial(byte_price: float) -> Trial:
        quantized = corrected_at(byte_price, {**vectors_at(byte_price), **matrices_at(byte_price)})
        return Trial(byte_price, assemble_model(model, quantized, provenance), quantized)

    smallest = len(assemble_model(model, {**vectors_at(1e30), **_all_zero(model, statistics.matrices)}, provenance))
    sizes = {"smallest": smallest, "budget": budget, "weights": sum(t.values.size for t in model.tensors)}
    clock.lap("prepare")
    landing = plan["land-on-cap"].run(
        quick_trial, start_price=START_PRICE, progress=lambda d, t: progress("find the byte price", d, t), **sizes
    )
    clock.lap("find the byte price")
    if plan["correct-drift"].enabled:
        landing = plan["land-on-cap"].run(
            full_trial,
            start_price=landing.trial.byte_price,
            progress=lambda d, t: progress("correct drift and land", d, t),
            **sizes,
        )
        clock.lap("correct drift and land")
    data = landing.trial.data
    ledger = build_ledger(data, code_files, cap)
    report = build_report(model, statistics, landing, ledger, plan, clock.seconds)
    if output is not None and not dry_run:
        write_output(Path(output), data, force)
    return CompileResult(data, ledger, report, provenance)


class _Clock:
    """Wall seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now


def _artifact_budget(cap: int, code_files: Sequence[Path]) -> int:
    code_bytes = sum(path.stat().st_size for path in code_files)
    if cap <= code_bytes:
        raise CapError(f"the cap of {cap} bytes leaves nothing for the artifact: code files take {code_bytes}; raise --cap")
    return cap - code_bytes


def _read_calibration(path: Path, tokenizer: Path | str | None, model: Model) -> np.ndarray:
    loaded = None if tokenizer is None else Tokenizer.load(Path(tokenizer))
    tokens = read_tokens(path, loaded, model.program.vocabulary_size, model.program.boundary_token).ids
    if len(tokens) < model.program.sequence_length:
        message = f"{len(tokens)} tokens are fewer than one sequence of {model.program.sequence_length}"
        raise DataError(f"{path}: {message}; give a longer calibration file")
    return tokens


def _file_digest(path: Path) -> str:
    """First 16 hex digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _all_zero(model: Model, indexes) -> dict[int, QuantizedMatrix]:
    """Every matrix with all codes zero: the smallest artifact of this program."""
    result = {}
    for index in indexes:
        shape = matrix_shape(model.tensors[index].values.shape)
        grid = GridValues(np.zeros(shape, np.int32), None, None, 1.0, 0)
        result[index] = QuantizedMatrix(grid, np.zeros(shape, np.float32), 0.0)
    return result


def assemble_model(model: Model, quantized, provenance: dict) -> bytes:
    """The artifact of a model whose tensors are all on grids."""
    streams = assign_streams([t.values.size for t in model.tensors])
    sources = [
        TensorSource(t.name, t.values.shape, t.dtype, (GridInStream(quantized[i].grid, streams[i]),))
        for i, t in enumerate(model.tensors)
    ]
    return assemble_artifact(model.program, sources, provenance)


def assign_streams(sizes: Sequence[int]) -> list[int]:
    """Stream (1..) of each tensor: largest first into the least filled of a few streams, so that they decode in parallel."""
    count = min(MAX_STREAMS, max(1, sum(sizes) // WEIGHTS_PER_STREAM), len(sizes))
    filled = [0] * count
    streams = [1] * len(sizes)
    for index in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        lightest = min(range(count), key=lambda s: filled[s])
        streams[index] = lightest + 1
        filled[lightest] += sizes[index]
    return streams
