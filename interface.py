"""The Python API: compile, evaluate, inspect, verify, export, score, curve, diagnose and experiments, the functions the command line calls.

Strategy: one function a command, paths in and records out, no printing. What each needs is imported when it is called,
so that inspecting, verifying and scoring an artifact work where torch is not installed. All errors are subclasses of
`bytecap.errors.BytecapError`. `progress`, where taken, is called as `progress(stage, done, total)`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import CapError, DataError
from .files.sizes import parse_size
from .progress import Progress, silent, stage_of

if TYPE_CHECKING:
    import numpy as np

    from .compiler.pipeline import CompileResult
    from .format.inspection import Inspection
    from .format.program.program import Program
    from .lab.experiments.registry import Experiment
    from .lab.experiments.running import ExperimentRun
    from .lab.measure.curves import ByteReturns
    from .lab.measure.diagnosis import Diagnosis
    from .lab.measure.sensitivity import Sensitivity
    from .runtime.scoring import Gap, Score
    from .runtime.verification import Check

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a model and, when asked for, of a reference on the same tokens.

    kind : "artifact" or "checkpoint"
    score, reference : Score      see bytecap.runtime.scoring.Score: bits_per_byte, tokens, bytes, seconds, ...
    gap : Gap or None             score minus reference in mBPB, with the standard error over sequences
    same_program : bool or None   whether both compute the same function of their tensors
    """

    kind: str
    score: Score
    reference: Score | None
    gap: Gap | None
    same_program: bool | None


def compile(
    checkpoint: PathLike,
    *,
    cap: int | str,
    calibration: PathLike,
    output: PathLike | None = None,
    tokenizer: PathLike | None = None,
    code: Sequence[PathLike] = (),
    evaluation: Sequence[PathLike] = (),
    architecture: PathLike | None = None,
    recipe: PathLike = "default",
    profile: str = "default",
    device: str = "cpu",
    seed: int = 0,
    threads: int | None = None,
    report: PathLike | None = None,
    dry_run: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> CompileResult:
    """Compile a checkpoint to an artifact that fits, with the code files, under `cap` bytes.

    `cap` is an integer or a text such as "16MB"; `calibration` a token shard, or a text that `tokenizer` turns into
    tokens; it is refused when it holds text of the `evaluation` files. `profile` is "max" (smallest), "default" or "fast"
    (to decode): see bytecap.compiler.profiles. Without `output`, or with `dry_run`, nothing is written and the artifact is
    only in the result. The bytes are the same for the same arguments, whatever `threads` is. `report` names an HTML page to
    write: what it shows is measured only then, and is in `CompileResult.report["explanation"]` as well.

    Raises CheckpointError, DataError, CompileError, CapError (with the smallest possible size) or OutputError.
    """
    options = {
        "cap": _size(cap),
        "calibration": Path(calibration),
        "output": _optional_path(output),
        "tokenizer": _optional_path(tokenizer),
        "code": [Path(path) for path in code],
        "evaluation": [Path(path) for path in evaluation],
        "architecture": _optional_path(architecture),
        "recipe": recipe if isinstance(recipe, str) else Path(recipe),
        "profile": profile,
        "device": device,
        "seed": seed,
        "threads": threads,
        "dry_run": dry_run or output is None,
        "force": force,
        "progress": progress,
    }
    if report is not None:
        from .report.compile_page import compile_with_page

        return compile_with_page(Path(checkpoint), Path(report), **options)
    from .compiler.pipeline import compile_checkpoint

    return compile_checkpoint(Path(checkpoint), **options)


def evaluate(
    model: PathLike,
    *,
    data: PathLike,
    tokenizer: PathLike,
    sequence_length: int | None = None,
    max_tokens: int | None = None,
    against: PathLike | None = None,
    architecture: PathLike | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Bits per byte of an artifact or a checkpoint on a token shard or UTF-8 text.

    `against` is scored on the same tokens, in sequences of the same length, and the paired gap computed. `architecture` (TOML or JSON) says of a
    checkpoint what its shapes cannot; without it the frontend's defaults hold, and `same_program` of the result tells
    whether that made both models compute the same function of their tensors.

    Raises ArtifactError, CheckpointError, DataError or VerificationError.
    """
    from .runtime.evaluation import evaluate_program
    from .runtime.scoring import paired_gap

    known = _read_architecture(architecture)
    kind, program, tensors = _load_model(Path(model), known)
    options = {
        "sequence_length": sequence_length or program.sequence_length,
        "max_tokens": max_tokens,
        "threads": threads,
    }
    result = evaluate_program(
        program, tensors, data, tokenizer, **options, progress=stage_of(progress, f"score {kind}")
    )
    if against is None:
        return Evaluation(kind, result, None, None, None)
    _, other, other_tensors = _load_model(Path(against), known)
    reference = evaluate_program(
        other, other_tensors, data, tokenizer, **options, progress=stage_of(progress, "score reference")
    )
    return Evaluation(
        kind, result, reference, paired_gap(reference, result), program.instructions == other.instructions
    )


def inspect(artifact: PathLike) -> Inspection:
    """What an artifact holds and what each part costs; the byte counts add up to the file. ArtifactError when it cannot be read."""
    from .format.inspection import inspect_artifact

    return inspect_artifact(Path(artifact).read_bytes())


def verify(
    artifact: PathLike,
    *,
    cap: int | str | None = None,
    code: Sequence[PathLike] = (),
    data: PathLike | None = None,
    tokenizer: PathLike | None = None,
    expect_bpb: float | None = None,
    tolerance: float = 0.0005,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Check]:
    """Check an artifact without trusting whoever made it; one record a level, in this order.

    Always: structure, checksums, the decoding of every tensor, their digest, and the size of artifact and code files
    together, against `cap` when given. With `data` and `tokenizer`: the score, which must be within `tolerance` of
    `expect_bpb` when given. Each is passed, failed, or skipped where an earlier failure leaves nothing to judge; a file
    that is damaged, of a newer version or no artifact at all is a failed check and no exception.

    Raises DataError when data or code are at fault, or only one of data and tokenizer is given; CapError for a text that
    is no size; OSError when the artifact cannot be read.
    """
    from .runtime.verification import ScoreRequest, verify_artifact

    if (data is None) != (tokenizer is None) or (expect_bpb is not None and data is None):
        raise DataError(
            "a score needs both data and their tokenizer; give both, or neither and no expected bits per byte"
        )
    request = None
    if data is not None and tokenizer is not None:
        request = ScoreRequest(
            Path(data), Path(tokenizer), expect_bpb, tolerance, threads=threads, progress=stage_of(progress, "score")
        )
    return verify_artifact(
        Path(artifact).read_bytes(),
        cap=None if cap is None else _size(cap),
        code_files=[Path(path) for path in code],
        score=request,
    )


def export(artifact: PathLike, output: PathLike, *, force: bool = False) -> list[str]:
    """Decode an artifact into an ordinary checkpoint, .safetensors or .pt by the suffix of `output`; returns the tensor names.

    Each tensor has the name and type it had in the checkpoint that was compiled. Raises ArtifactError or OutputError.
    """
    from .compiler.checkpoints.export import export_checkpoint
    from .files.output import check_output
    from .format.artifact import decode_tensors, read_artifact

    check_output(output, force=force)
    content = read_artifact(Path(artifact).read_bytes())
    names = [entry.name for entry in content.directory]
    export_checkpoint(names, decode_tensors(content), [entry.dtype for entry in content.directory], Path(output), force)
    return names


def score(
    checkpoint: PathLike,
    *,
    calibration: PathLike,
    tokenizer: PathLike | None = None,
    architecture: PathLike | None = None,
    unit: str = "tensors",
    by: str = "second-order",
    bits: int = 4,
    slices: int = 4,
    top: int = 20,
    tokens: int = 131_072,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Sensitivity:
    """How much each unit of a checkpoint matters: what quantizing it alone to `bits` bits (0: removing it) costs.

    `unit` is one of bytecap.lab.measure.units.KINDS and `by`, what the units are ranked by, of bytecap.lab.measure.sensitivity.METHODS, which
    says how each is defined. `tokens` of the calibration text are used, in so many disjoint `slices`; by "measured", the `top`
    units by second order are swapped into the float model on the end of that text, which is held out. Threads do not change the result.

    Raises CheckpointError, DataError or CompileError.
    """
    from .compiler.pipeline import read_calibration, read_model
    from .compiler.workers import available_threads, one_thread_each
    from .lab.measure.sensitivity import measure_sensitivity
    from .runtime.tokenizer import Tokenizer

    model = read_model(checkpoint, architecture)
    text, held_out = read_calibration(Path(calibration), [], tokenizer, model)
    with one_thread_each():
        found = measure_sensitivity(
            model, text, held_out, kind=unit, by=by, bits=bits, slices=slices, top=top, tokens=tokens, seed=seed,
            threads=threads or available_threads(), progress=progress or silent,
        )  # fmt: skip
    return found if tokenizer is None or unit != "tokens" else found.with_pieces(Tokenizer.load(tokenizer))


def curve(
    checkpoint: PathLike,
    *,
    calibration: PathLike,
    units: Sequence[str] = ("rows",),
    budget: str = "0.5%:10%:6",
    base: str = "per-matrix",
    bits: float = 3.0,
    form: str = "finer",
    octaves: float = 1.0,
    evaluation: PathLike | None = None,
    tokenizer: PathLike | None = None,
    architecture: PathLike | None = None,
    tokens: int = 16_384,
    calibration_tokens: int = 65_536,
    profile: str = "default",
    seed: int = 0,
    threads: int | None = None,
    backend: str | None = None,
    scheduler: str | None = None,
    folder: PathLike | None = None,
    progress: Progress | None = None,
) -> ByteReturns:
    """What each kind of exception in `units` recovers for each byte it takes, against two controls of the same final bytes.

    `units` are of bytecap.lab.measure.protected.EXCEPTIONS, which says what each is; `base`, `bits`, `form` and `octaves` are those of
    bytecap.lab.measure.byte_returns.BaseSettings. `budget` is a range such as "0.5%:10%:6" or "4KB:64KB:5". Points are measured `threads` at a
    time on joblib's `backend`: "loky", "threading", "dask" at the address `scheduler`, or None for what joblib is set to by the caller,
    Ray for instance. They are kept in `folder`, if given, and a later call with the same inputs measures only the missing ones. No
    figure depends on any of these.

    Raises CheckpointError, DataError, CapError, CompileError or OutputError.
    """
    from .compiler.workers import available_threads
    from .lab.measure.budgets import parse_budgets
    from .lab.measure.byte_returns import BaseSettings
    from .lab.measure.curves import CurveInputs, measure_curves

    try:
        budgets = parse_budgets(budget)
    except ValueError as error:
        raise CapError(str(error)) from error
    inputs = CurveInputs(
        Path(checkpoint), Path(calibration), _optional_path(architecture), _optional_path(tokenizer), _optional_path(evaluation),
        tokens=tokens, recipe={"calibrate": {"tokens": calibration_tokens}}, profile=profile, seed=seed, settings=BaseSettings(base, bits, form, octaves),
    )  # fmt: skip
    return measure_curves(
        inputs, list(units), budgets, backend=backend, scheduler=scheduler, threads=threads or available_threads(),
        folder=_optional_path(folder), progress=progress or silent,
    )  # fmt: skip


def diagnose(
    checkpoint: PathLike,
    *,
    data: PathLike,
    tokenizer: PathLike | None = None,
    architecture: PathLike | None = None,
    bits: int = 4,
    tokens: int = 65_536,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Whether the output head or the trunk of a checkpoint is its limit, in bytes (at so many nominal `bits`) and in gradient.

    About `tokens` tokens of the data are used, and its end is held out for what is measured; threads do not change the result.

    Raises CheckpointError, DataError or CompileError.
    """
    from .compiler.pipeline import read_calibration, read_model
    from .compiler.workers import available_threads, one_thread_each
    from .lab.measure.diagnosis import diagnose_model

    model = read_model(checkpoint, architecture)
    text, held_out = read_calibration(Path(data), [], tokenizer, model)
    with one_thread_each():
        return diagnose_model(
            model, text, held_out, bits=bits, tokens=tokens, seed=seed,
            threads=threads or available_threads(), progress=progress or silent,
        )  # fmt: skip


def experiments() -> list[Experiment]:
    """Every experiment with its thesis, and what would support or falsify it, in the order of the registry."""
    from .lab.experiments.registry import EXPERIMENTS

    return list(EXPERIMENTS)


def run_experiment(
    name: str,
    *,
    checkpoint: PathLike | None = None,
    architecture: PathLike | None = None,
    calibration: PathLike | None = None,
    evaluation: PathLike | None = None,
    tokenizer: PathLike | None = None,
    training: PathLike | None = None,
    minutes: float = 10.0,
    tokens: int = 65_536,
    seed: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    folder: PathLike = "bytecap-lab",
    options: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> ExperimentRun:
    """Run an experiment: its observations, tables, charts and the verdict that follows from them (`ExperimentRun.verdict`).

    Which of the inputs are needed depends on the experiment; a missing one is refused by name. Finished parts are kept in
    `folder`, so that a run that was stopped goes on; `options` are the experiment's own. Threads do not change the result.

    Raises CheckpointError, DataError, CompileError or OutputError.
    """
    from .lab.experiments.inputs import Inputs
    from .lab.experiments.running import run_experiment as run

    paths = map(_optional_path, (checkpoint, calibration, evaluation, folder, tokenizer, architecture, training))
    return run(
        name,
        Inputs(*paths, minutes, tokens, seed, device, threads, options, progress or silent),
    )


def _load_model(path: Path, architecture: Mapping[str, object] | None) -> tuple[str, Program, Sequence[np.ndarray]]:
    """Kind, program and float32 tensors of an artifact, which its first bytes tell, or else of a checkpoint."""
    from .format.container.layout import MAGIC

    with path.open("rb") as file:
        is_artifact = file.read(len(MAGIC)) == MAGIC
    if is_artifact:
        from .format.artifact import decode_tensors, read_artifact

        artifact = read_artifact(path.read_bytes())
        return "artifact", artifact.program, decode_tensors(artifact)
    from .compiler.checkpoints.checkpoint import read_checkpoint
    from .compiler.frontends import build_model

    model = build_model(read_checkpoint(path), architecture)
    return "checkpoint", model.program, [tensor.values for tensor in model.tensors]


def _read_architecture(path: PathLike | None) -> Mapping[str, object] | None:
    if path is None:
        return None
    from .compiler.frontends import read_architecture

    return read_architecture(Path(path))


def _optional_path(path: PathLike | None) -> Path | None:
    return None if path is None else Path(path)


def _size(size: int | str) -> int:
    """Bytes of a size given as a number or as text; CapError for text that is not a size."""
    try:
        return parse_size(size) if isinstance(size, str) else size
    except ValueError as error:
        raise CapError(str(error)) from error
