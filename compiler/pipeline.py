"""The whole compile as one straight function: checkpoint and cap in, artifact and report out.

Strategy: every line of `compile_checkpoint` is a stage; what a stage needs is an argument, what it found is a value.
Nothing here measures or prints: progress goes through a callback and the report is data.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import CapError, DataError
from ..files.code_files import import_closure
from ..files.digests import file_sha256
from ..files.ledger import Ledger, build_ledger
from ..files.output import check_output, write_output
from ..progress import Progress, silent
from ..runtime.tokenizer import Tokenizer
from ..runtime.tokens import read_tokens
from ..version import VERSION
from . import passes  # noqa: F401 - registers the passes
from .checkpoints.checkpoint import read_checkpoint
from .explanation.explanation import explain_compile
from .explanation.record import build_report
from .frontends import build_model, read_architecture
from .model.model import Model
from .model.related_tokens import token_groupings
from .profiles import profile_codec
from .rate_control.landing import Landing
from .rate_control.trials import Trials
from .rate_control.walk import bytes_per_octave, land_walks
from .recipe import Recipe, read_recipe
from .statistics.calibration import Statistics
from .statistics.overlap import check_no_overlap
from .workers import available_threads, check_device, one_thread_each

START_PRICE = 3e-4  # only where the search starts
QUICK_TOLERANCE = 0.01  # walks differ from quick trials by about this much
HELD_OUT_TOKENS = 8192


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
    evaluation: Sequence[Path | str] = (),
    architecture: Path | str | None = None,
    recipe: str | Path = "default",
    profile: str = "default",
    device: str = "cpu",
    seed: int = 0,
    threads: int | None = None,
    dry_run: bool = False,
    force: bool = False,
    explain: bool = False,
    progress: Progress | None = None,
) -> CompileResult:
    """Compile a checkpoint into the largest artifact that fits, with its code files, under `cap` bytes.

    `evaluation` files are only compared with the calibration text, which may not contain theirs.
    Deterministic: equal inputs and options give equal bytes, whatever `threads`. Writes `output` (atomically, refused
    when it exists unless `force`) except on a dry run. `explain` adds measurements of the finished artifact to the report.
    Raises CheckpointError, DataError, CapError, CompileError or OutputError, each naming the file and the way out.
    """
    progress = progress or silent
    threads = threads or available_threads()
    clock = _Clock()
    if output is not None and not dry_run:
        check_output(Path(output), force)
    check_device(device)
    codec = profile_codec(profile)
    plan = read_recipe(recipe)
    code_files = import_closure([Path(c) for c in code])
    budget = _artifact_budget(cap, code_files)
    model = read_model(checkpoint_path, architecture)
    text, held_out = read_calibration(Path(calibration), [Path(path) for path in evaluation], tokenizer, model)
    clock.lap("read")

    shown = partial(progress, "calibrate")
    statistics = plan["calibrate"].run(model, text, seed=seed, device=device, threads=threads, progress=shown)
    clock.lap("calibrate")
    model, statistics = _rewrite(plan, model, statistics)
    provenance = {
        "bytecap": VERSION,
        "calibration": file_sha256(calibration)[:16],
        "recipe": plan.digest,
        "seed": seed,
    }
    how = {
        "groupings": _related_tokens(plan, tokenizer),
        "codec": codec,
        "seed": seed,
        "device": device,
        "threads": threads,
        "keep_targets": explain,
    }
    trials = Trials(model, statistics, text, held_out, plan, provenance, **how)
    clock.lap("prepare")
    landing = _land(plan, trials, budget, progress)
    clock.lap("land")
    data = landing.trial.data
    ledger = build_ledger(data, code_files, cap)
    report = build_report(trials, landing, ledger, clock.seconds) | {"profile": profile}
    if explain:
        report["explanation"] = explain_compile(trials, landing, budget, progress=progress)
        clock.lap("explain")
    if output is not None and not dry_run:
        write_output(Path(output), data, force)
    return CompileResult(data, ledger, report, provenance)


@one_thread_each()
def _rewrite(plan: Recipe, model: Model, statistics: Statistics) -> tuple[Model, Statistics]:
    """The model with its symmetries used, and with a bias at its head where that pays."""
    quantizer = plan["quantize-matrices"]
    model, statistics = plan["exchange-symmetries"].run(model, statistics, damping=quantizer.damping)
    return plan["bias-head"].run(model, statistics, quantizer, START_PRICE)


def _related_tokens(plan: Recipe, tokenizer: Path | str | None) -> Mapping[str, np.ndarray] | None:
    """Groupings of the tokens, where they are asked for and the tokenizer is known."""
    wanted = tokenizer is not None and plan["choose-candidates"].enabled and plan["choose-candidates"].token_groups
    return token_groupings(Tokenizer.load(Path(tokenizer))) if wanted else None


class _Clock:
    """Wall seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now


@one_thread_each()  # what runs outside of jobs must not depend on how many threads BLAS has
def _land(plan: Recipe, trials: Trials, budget: int, progress: Progress) -> Landing:
    """Quick trials find the byte price; a walk at that price spends the budget, and its last matrix closes the gap."""
    land_on_cap = plan["land-on-cap"]
    search = {"smallest": trials.smallest(), "budget": budget, "weights": trials.weights, "start_price": START_PRICE}
    walks = plan["correct-drift"].enabled and bool(trials.walked)
    quick = replace(land_on_cap, tolerance=QUICK_TOLERANCE) if walks else land_on_cap
    shown = partial(progress, "find the byte price" if walks else "land on the cap")
    near = quick.run(trials.quick, progress=shown, **search)
    if near.trial is not search["smallest"] and trials.choose(near.trial, partial(progress, "choose candidates")):
        chosen = quick.run(trials.quick, progress=shown, **(search | {"start_price": near.trial.byte_price}))
        near = chosen if trials.keep_choices(near.trial, chosen.trial) else near
    if not walks or near.trial is search["smallest"]:
        return near
    slope = bytes_per_octave(near.tried, trials.weights)
    return land_walks(
        lambda quick: trials.walk(quick, budget, slope, partial(progress, "quantize in order")),
        lambda walk, smallest: land_on_cap.run(
            walk.at, start_price=walk.last_price, smallest=smallest, budget=budget, weights=walk.last_weights,
            model_weights=trials.weights, progress=partial(progress, "land on the cap"),
        ),
        trials.quick, near, budget=budget, tolerance=land_on_cap.tolerance, slope=slope * trials.weights, walks=land_on_cap.walks,
    )  # fmt: skip


def _hold_out(tokens: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Calibration tokens, and the sequences at their end that only judge: an eighth of the text, HELD_OUT_TOKENS at most."""
    count = min(-(-HELD_OUT_TOKENS // length), len(tokens) // length // 8)
    border = len(tokens) - count * length
    return tokens[:border], tokens[border:].reshape(count, length).astype(np.int64)


def read_model(path: Path | str, architecture: Path | str | None) -> Model:
    known = read_architecture(Path(architecture)) if architecture else None
    return build_model(read_checkpoint(Path(path)), known)


def _artifact_budget(cap: int, code_files: Sequence[Path]) -> int:
    code_bytes = sum(path.stat().st_size for path in code_files)
    if cap <= code_bytes:
        raise CapError(
            f"the cap of {cap} bytes leaves nothing for the artifact: code files take {code_bytes}; raise --cap"
        )
    return cap - code_bytes


def read_calibration(
    path: Path, evaluation: Sequence[Path], tokenizer: Path | str | None, model: Model
) -> tuple[np.ndarray, np.ndarray]:
    """Calibration tokens without the text of any evaluation file, and the held-out sequences."""
    tokens = _read_tokens(path, tokenizer, model)
    if len(tokens) < model.program.sequence_length:
        message = f"{len(tokens)} tokens are fewer than one sequence of {model.program.sequence_length}"
        raise DataError(f"{path}: {message}; give a longer calibration file")
    for other in evaluation:
        check_no_overlap(tokens, _read_tokens(other, tokenizer, model), path, other)
    return _hold_out(tokens, model.program.sequence_length)


def _read_tokens(path: Path, tokenizer: Path | str | None, model: Model) -> np.ndarray:
    loaded = None if tokenizer is None else Tokenizer.load(Path(tokenizer))
    return read_tokens(path, loaded, model.program.vocabulary_size, model.program.boundary_token).ids
