"""The whole compile as two straight functions: a checkpoint is measured once, and landed on each cap.

Strategy: every line of `measure_checkpoint` and `land_checkpoint` is a stage; what it needs is an argument, what it
found is a value. The report is data, and a callback hears of the progress. A clock takes the seconds of the stages and
nothing depends on it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..files.code_files import closure_notes, counted_files, script_closure
from ..files.digests import file_sha256
from ..files.ledger import build_ledger
from ..progress import Progress, announce, silent
from ..version import VERSION
from .checkpoints.selection import EVERYTHING, Selection
from .compile_plan import plan_compile
from .effort import DEFAULT_EFFORT
from .explanation.explanation import explain_compile
from .explanation.record import build_report
from .final_score import EvaluationText, read_evaluation, score_compile
from .forecast import forecast_compile
from .inputs import artifact_budget, read_inputs, read_model
from .instruction_sets import fingerprint, instruction_sets, provenance_of_instructions
from .job import CompileJob
from .land_compile import land_compile
from .model.model import Model
from .options import CompileOptions
from .profiles import profile_codec
from .quantize.grids import GridQuantizer, PlainGrids
from .rate_control.quick_trials import QuickTrials
from .recipe import Recipe, read_recipe
from .result import CompileResult
from .resume.digests import digest_of_model, digest_of_surroundings
from .resume.own_output import OwnOutput
from .resume.work_folder import FORGETFUL, Unbound, open_work_folder
from .rewrites import REWRITES
from .scratch_file import ScratchFile
from .statistics.calibration import Statistics
from .statistics.convergence import calibrate
from .workers import available_threads, check_device, one_thread_each, peak_bytes


@dataclass(frozen=True, slots=True)
class MeasuredCheckpoint:
    """A checkpoint that was read, measured and rewritten once, to be landed on as many caps as there are.

    path : of the checkpoint;  scratch : holds the statistics, so it must stay open
    code_files : that count against every cap;  read : what the report says of the files
    seconds : by stage so far;  to_score : the evaluation text, None where none was given
    """

    path: Path | str
    job: CompileJob
    options: CompileOptions
    code_files: Sequence[Path]
    scratch: ScratchFile
    read: Mapping[str, object]
    seconds: Mapping[str, float]
    to_score: EvaluationText | None


def compile_checkpoint(
    checkpoint_path: Path | str,
    *,
    cap: int,
    calibration: Path | str,
    output: Path | str | None = None,
    tokenizer: Path | str | None = None,
    code: Sequence[Path | str] = (),
    evaluation: Sequence[Path | str] = (),
    evaluation_tokens: int | None = None,
    architecture: Path | str | None = None,
    selection: Selection = EVERYTHING,
    recipe: str | Path = "default",
    effort: int = DEFAULT_EFFORT,
    profile: str = "default",
    device: str = "cpu",
    seed: int = 0,
    threads: int | None = None,
    dry_run: bool = False,
    force: bool = False,
    explain: bool = False,
    reproducible: bool = False,
    work: Path | str | None = None,
    keep_work: bool = False,
    progress: Progress | None = None,
) -> CompileResult:
    """Compile a checkpoint into the largest artifact that fits, with its code files, under `cap` bytes.

    `evaluation` files are compared with the calibration text, which may not contain theirs, and their first
    `evaluation_tokens` are scored at the end, by artifact and checkpoint. Equal inputs and options give equal
    bytes, whatever `threads`, where the libraries use the same instructions: on one machine, and with `reproducible` on
    every x86-64 processor with AVX2 (common_baseline.py; the process must be pinned before torch is loaded). Writes
    `output` (atomically, refused when it exists unless `force`) except on a dry run. `effort` gives the options that
    the recipe does not name, `explain` adds measurements to the report. In the folder `work` a run that was killed goes
    on, with the same bytes; what is kept there is removed at the end, unless `keep_work`. Raises CheckpointError,
    DataError, CapError, CompileError or OutputError.
    """
    text = CompileOptions(calibration, tokenizer, code, evaluation, evaluation_tokens, architecture, selection)
    options = replace(text, recipe=recipe, effort=effort, profile=profile, device=device, seed=seed, threads=threads)
    options = replace(options, explain=explain, work=work, keep_work=keep_work, reproducible=reproducible)
    artifact_budget(cap, counted_code(options)[0])  # a cap that the code fills is refused before the work
    with open_work_folder(work, keep_work) as folder, ScratchFile(folder.folder) as scratch:
        own = OwnOutput(folder.bound_to(str(checkpoint_path), cap, options), None if dry_run else output, force)
        own.check()
        measured = measure_checkpoint(checkpoint_path, options, scratch, progress, folder)
        result = land_checkpoint(measured, cap, progress)
        own.write(result.artifact)
        add_score(result, measured, progress)
        result.report["work"] = folder.finish()
    return result


def counted_code(options: CompileOptions) -> tuple[Sequence[Path], list[str]]:
    """The code files that count, with all that they need, and what was assumed or not counted in sentences."""
    closure = script_closure(list(map(Path, options.code)))
    return counted_files(closure), closure_notes(closure)


def measure_checkpoint(
    checkpoint_path: Path | str,
    options: CompileOptions,
    scratch: ScratchFile,
    progress: Progress | None = None,
    memory: Unbound = FORGETFUL,
) -> MeasuredCheckpoint:
    """Read a checkpoint and its calibration text, measure what an error costs, and rewrite the model: what does not
    depend on a cap.
    """
    clock, progress = _Clock(), progress or silent
    how = {"seed": options.seed, "device": options.device, "threads": options.threads or available_threads()}
    check_device(options.device)
    instructions = provenance_of_instructions(options.reproducible, options.device)
    codec, recipe = profile_codec(options.profile), _recipe_of(options)
    code_files, code_notes = counted_code(options)
    inputs = read_inputs(
        checkpoint_path,
        options.calibration,
        options.evaluation,
        options.tokenizer,
        options.architecture,
        options.selection,
    )
    model, (text, held_out, _), identity = inputs.model, inputs.calibration, inputs.identity.identity
    to_score = read_evaluation(model.program, options.evaluation, inputs.identity.tokenizer, options.evaluation_tokens)
    clock.lap("read")
    forecast = forecast_compile(model, recipe, len(text), held_out.size, how["threads"])
    announce(progress, plan_compile(checkpoint_path, inputs, recipe, options, forecast))
    memory = memory.bound_to(*_inputs_of_calibration(model, text, recipe, options))
    how_far = partial(progress, "calibrate")
    statistics = calibrate(model, text, recipe.calibration, progress=how_far, scratch=scratch, memory=memory, **how)
    clock.lap("calibrate")
    model, statistics = _rewrite(model, statistics, recipe)
    provenance = _provenance(options, recipe, model) | instructions
    memory = memory.bound_to(recipe.to_toml(), provenance, codec, identity.values, held_out)
    known = {"identity": identity, "memory": memory, **how}
    job = CompileJob(model, statistics, text, held_out, recipe, provenance, codec, **known)
    read = {**inputs.reported(), "code_notes": code_notes, "instructions": _reported(options)}
    read |= {"forecast": forecast.document()}
    return MeasuredCheckpoint(checkpoint_path, job, options, code_files, scratch, read, clock.seconds, to_score)


def land_checkpoint(measured: MeasuredCheckpoint, cap: int, progress: Progress | None = None) -> CompileResult:
    """The largest artifact of a measured checkpoint that fits, with its code files, under `cap` bytes.

    The same bytes as of a compile of its own, whatever caps were landed on before.
    """
    job, options, progress = measured.job, measured.options, progress or silent
    clock, budget = _Clock(measured.seconds), artifact_budget(cap, measured.code_files)
    grids = PlainGrids(job.model, job.statistics, GridQuantizer(job.recipe.quantization), job.threads)
    trials = QuickTrials(job, grids, job.memory)
    landed = land_compile(trials, measured.scratch, budget, progress, keep_targets=options.explain)
    clock.lap("land")
    artifact = landed.landing.trial.data
    ledger = build_ledger(artifact, measured.code_files, cap)
    report = build_report(job, landed.landing, ledger, clock.seconds, landed.candidates) | dict(measured.read)
    report |= {
        "profile": options.profile,
        "effort": options.effort,
        "score": None,
        "work": None,
        "peak_bytes": peak_bytes(),
    }
    if options.explain:
        report["explanation"] = explain_compile(landed.trials, landed.landing, budget, progress=progress)
        clock.lap("explain")
    return CompileResult(artifact, ledger, report, dict(job.provenance))


def add_score(result: CompileResult, measured: MeasuredCheckpoint, progress: Progress | None = None) -> None:
    """Score artifact and checkpoint on the evaluation text, where there is one, into the report."""
    if measured.to_score is None:
        return
    clock, options = _Clock(), measured.options
    model = read_model(measured.path, options.architecture, options.selection)
    threads = measured.job.threads
    result.report["score"] = score_compile(measured.to_score, result.artifact, model, threads, progress or silent)
    clock.lap("score")
    result.report["seconds"] |= clock.seconds


def _inputs_of_calibration(model: Model, text: np.ndarray, recipe: Recipe, options: CompileOptions) -> tuple:
    """All that statistics depend on."""
    settings = recipe.calibration
    return digest_of_surroundings(), digest_of_model(model), text, settings, options.seed, options.device


def _recipe_of(options: CompileOptions) -> Recipe:
    return read_recipe(options.recipe, options.effort)


@one_thread_each()  # what runs outside of jobs must not depend on how many threads BLAS has
def _rewrite(model: Model, statistics: Statistics, recipe: Recipe) -> tuple[Model, Statistics]:
    """The model after the exact rewrites that leave less to store."""
    for rewrite in REWRITES:
        model, statistics = rewrite(model, statistics, recipe)
    return model, statistics


def _provenance(options: CompileOptions, recipe: Recipe, model: Model) -> dict:
    """What the artifact says of where it comes from; the configuration lets it become a folder again."""
    found = {
        "bytecap": VERSION,
        "calibration": file_sha256(options.calibration)[:16],
        "recipe": recipe.digest,
        "seed": options.seed,
    }
    found |= {} if options.effort == DEFAULT_EFFORT else {"effort": options.effort}
    return found | ({"configuration": dict(model.configuration)} if model.configuration else {})


def _reported(options: CompileOptions) -> dict:
    """What the report says of the instructions: which they are, and what they compute."""
    used = instruction_sets(options.device)
    return {"reproducible": options.reproducible, "libraries": used, "fingerprint": fingerprint()}


class _Clock:
    """Wall seconds by stage, after those of stages before it."""

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self.seconds: dict[str, float] = dict(seconds or {})
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now
