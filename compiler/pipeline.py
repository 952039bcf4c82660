"""The whole compile as one straight function: checkpoint and cap in, artifact and report out.

Strategy: every line of `compile_checkpoint` is a stage; what a stage needs is an argument, what it found is a value.
Nothing here measures or prints: progress goes through a callback and the report is data.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..format.code_files import import_closure
from ..format.errors import CapError, DataError
from ..format.ledger import Ledger, build_ledger
from ..format.output import check_output, write_output
from ..format.version import VERSION
from ..runtime.tokenizer import Tokenizer
from ..runtime.tokens import read_tokens
from . import passes  # noqa: F401 - registers the passes
from .checkpoint import read_checkpoint
from .explanation import RecordedTrials, explain_compile
from .frontends import build_model, read_architecture
from .landing import Landing
from .model import Model
from .recipe import Recipe, read_recipe
from .report import build_report
from .trials import Trials
from .workers import available_threads, check_device

Progress = Callable[[str, int, int], None]
START_PRICE = 3e-4  # only where the search starts
QUICK_TOLERANCE = 0.01  # full trials differ from quick ones by about this much


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
    explain: bool = False,
    progress: Progress | None = None,
) -> CompileResult:
    """Compile a checkpoint into the largest artifact that fits, with its code files, under `cap` bytes.

    Deterministic: equal inputs and options give equal bytes, whatever `threads`. Writes `output` (atomically, refused
    when it exists unless `force`) except on a dry run. `explain` adds measurements of the finished artifact to the report.
    Raises CheckpointError, DataError, CapError, CompileError or OutputError, each naming the file and the way out.
    """
    progress = progress or (lambda stage, done, total: None)
    threads = threads or available_threads()
    clock = _Clock()
    if output is not None and not dry_run:
        check_output(Path(output), force)
    check_device(device)
    plan = read_recipe(recipe)
    code_files = import_closure([Path(c) for c in code])
    budget = _artifact_budget(cap, code_files)
    model = _read_model(checkpoint_path, architecture)
    text = _read_calibration(Path(calibration), tokenizer, model)
    clock.lap("read")

    statistics = plan["calibrate"].run(
        model, text, seed=seed, device=device, threads=threads, progress=partial(progress, "calibrate")
    )
    clock.lap("calibrate")
    provenance = {"bytecap": VERSION, "calibration": _file_digest(Path(calibration)), "recipe": plan.digest, "seed": seed}
    trials = RecordedTrials(Trials(model, statistics, text, plan, provenance, threads))
    clock.lap("prepare")
    landing = _land(plan, trials, budget, progress)
    clock.lap("land")
    data = landing.trial.data
    ledger = build_ledger(data, code_files, cap)
    report = build_report(model, statistics, landing, ledger, plan, clock.seconds)
    if explain:
        report["explanation"] = explain_compile(model, statistics, text, plan, trials, landing, threads=threads, progress=progress)
        clock.lap("explain")
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


def _land(plan: Recipe, trials: RecordedTrials, budget: int, progress: Progress) -> Landing:
    """Quick trials find the byte price; full trials, many times dearer, only close in on the cap."""
    sizes = {"smallest": trials.smallest(), "budget": budget, "weights": trials.weights}
    land_on_cap = plan["land-on-cap"]
    if not plan["correct-drift"].enabled:
        return land_on_cap.run(trials.quick, start_price=START_PRICE, progress=partial(progress, "land on the cap"), **sizes)
    near = replace(land_on_cap, tolerance=QUICK_TOLERANCE).run(
        trials.quick, start_price=START_PRICE, progress=partial(progress, "find the byte price"), **sizes
    )
    price = min((price for price, _ in near.tried), key=lambda price: abs(math.log2(price / near.trial.byte_price)))
    return land_on_cap.run(trials.full, start_price=price, progress=partial(progress, "land on the cap"), **sizes)


def _read_model(path: Path | str, architecture: Path | str | None) -> Model:
    known = read_architecture(Path(architecture)) if architecture else None
    return build_model(read_checkpoint(Path(path)), known)


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
