"""The whole compile as two straight functions: a checkpoint is measured once, and landed on each cap.

Strategy: every line of `measure_checkpoint` and `land_checkpoint` is a stage; what it needs is an argument, what it
found is a value. The report is data, and a callback hears of the progress. A clock takes the seconds of the stages and
nothing depends on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..files.ledger import build_ledger
from ..progress import Progress, announce, silent
from .allocator import freed_memory_kept
from .checkpoints.selection import EVERYTHING, Selection
from .compile_plan import plan_compile
from .effort import DEFAULT_EFFORT
from .explanation.explanation import explain_compile
from .explanation.prediction import in_bits_per_byte
from .explanation.record import build_report
from .extremes import Extreme, find_extreme, naming_extremes
from .final_score import EvaluationText, score_compile
from .forecast import CALIBRATE
from .inputs import artifact_budget, read_model
from .job import CompileJob
from .land_compile import land_compile
from .model.model import Model
from .options import CompileOptions
from .outlook import refuse_hopeless_cap
from .quantize.grids import GridQuantizer, PlainGrids, compile_kernels
from .rate_control.quick_trials import QuickTrials
from .read_job import counted_code, read_job, reported_instructions
from .recipe import Recipe
from .result import CompileResult
from .resume.digests import digest_of_model, digest_of_surroundings
from .resume.own_output import OwnOutputs
from .resume.work_folder import FORGETFUL, Unbound, open_work_folder
from .rewrites import REWRITES
from .scratch_file import ScratchFile
from .statistics.calibration import Statistics
from .statistics.convergence import calibrate
from .tile_products import full_products
from .workers import meanwhile, one_thread_each, peak_bytes


@dataclass(frozen=True, slots=True)
class MeasuredCheckpoint:
    """A checkpoint that was read, measured and rewritten once, to be landed on as many caps as there are.

    path : of the checkpoint;  scratch : holds the statistics, so it must stay open
    code_files : that count against every cap;  read : what the report says of the files
    seconds : by stage so far;  to_score : the evaluation text, None where none was given
    extreme : the tensor as it was read that arithmetic may fail on
    """

    path: Path | str
    job: CompileJob
    options: CompileOptions
    code_files: Sequence[Path]
    scratch: ScratchFile
    read: Mapping[str, object]
    seconds: Mapping[str, float]
    to_score: EvaluationText | None
    extreme: Extreme | None


@dataclass(frozen=True, slots=True)
class ResultPage:
    """A file that is written beside the artifact; render : from the result, its bytes."""

    path: Path
    render: Callable[[CompileResult], bytes]


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
    force: bool = False,
    explain: bool = False,
    reproducible: bool = False,
    work: Path | str | None = None,
    keep_work: bool = False,
    page: ResultPage | None = None,
    progress: Progress | None = None,
) -> CompileResult:
    """Compile a checkpoint into the largest artifact that fits, with its code files, under `cap` bytes.

    `evaluation` files are compared with the calibration text, which may not contain theirs, and their first
    `evaluation_tokens` are scored at the end, by artifact and checkpoint. Equal inputs and options give equal
    bytes, whatever `threads`, where the libraries use the same instructions: on one machine, and with `reproducible` on
    every x86-64 processor with AVX2 (common_baseline.py; the process must be pinned before torch is loaded). Writes
    `output`, if any (atomically, refused when it exists unless `force`), and `page` from the result. `effort` gives the
    options that the recipe does not name, `explain` adds measurements to the report. In the folder `work` a run that
    was killed goes on, with the same bytes; what is kept there is removed at the end, unless `keep_work`. Raises
    CheckpointError, DataError, CapError, CompileError or OutputError.
    """
    text = CompileOptions(calibration, tokenizer, code, evaluation, evaluation_tokens, architecture, selection)
    options = replace(text, recipe=recipe, effort=effort, profile=profile, device=device, seed=seed, threads=threads)
    options = replace(options, explain=explain, work=work, keep_work=keep_work, reproducible=reproducible)
    artifact_budget(cap, counted_code(options)[0])  # a cap that the code fills is refused before the work
    with open_work_folder(work, keep_work) as folder, ScratchFile(folder.folder) as scratch:
        artifact, paths = None if output is None else Path(output), [] if page is None else [page.path]
        paths = paths if artifact is None else [artifact, *paths]
        own = OwnOutputs(folder.bound_to(str(checkpoint_path), cap, options), tuple(paths), force)
        own.check()
        measured = measure_checkpoint(checkpoint_path, options, scratch, progress, folder, cap)
        result = land_checkpoint(measured, cap, progress)
        if artifact is not None:
            own.write(artifact, result.artifact)
        add_score(result, measured, progress)
        result.report["work"] = folder.described()
        if page is not None:
            own.write(page.path, page.render(result))
        folder.finish()  # last: until here a run that is killed goes on
    return result


@freed_memory_kept()
@full_products()
def measure_checkpoint(
    checkpoint_path: Path | str,
    options: CompileOptions,
    scratch: ScratchFile,
    progress: Progress | None = None,
    memory: Unbound = FORGETFUL,
    cap: int | None = None,
) -> MeasuredCheckpoint:
    """Read a checkpoint and its calibration text, measure what an error costs, and rewrite the model: what does not
    depend on a cap. Where one is given that nothing fits under, CapError before the work.
    """
    clock, progress = _Clock(), progress or silent
    found = read_job(checkpoint_path, options, progress=progress)
    job, recipe = found.job, found.job.recipe
    extreme = find_extreme(job.model)
    clock.lap("read")
    if cap is not None:
        refuse_hopeless_cap(job, artifact_budget(cap, found.code_files))
    announce(progress, plan_compile(checkpoint_path, found, options, cap))
    memory = memory.bound_to(*_inputs_of_calibration(job, options))
    how = {"seed": job.seed, "device": job.device, "threads": job.threads, "scratch": scratch, "memory": memory}
    how_far = partial(progress, CALIBRATE)
    with naming_extremes(extreme):
        with meanwhile(partial(compile_kernels, GridQuantizer(recipe.quantization))):
            statistics = calibrate(job.model, job.text, recipe.calibration, progress=how_far, **how)
        clock.lap("calibrate")
        model, statistics = _rewrite(job.model, statistics, recipe)
    memory = memory.bound_to(recipe.to_toml(), job.provenance, job.codec, job.identity.values, job.held_out)
    job = replace(job, model=model, statistics=statistics, memory=memory)
    seconds, read = clock.seconds, found.reported(statistics)
    files = found.code_files
    return MeasuredCheckpoint(checkpoint_path, job, options, files, scratch, read, seconds, found.to_score, extreme)


@freed_memory_kept()
@full_products()
def land_checkpoint(measured: MeasuredCheckpoint, cap: int, progress: Progress | None = None) -> CompileResult:
    """The largest artifact of a measured checkpoint that fits, with its code files, under `cap` bytes.

    The same bytes as of a compile of its own, whatever caps were landed on before.
    """
    job, options, progress = measured.job, measured.options, progress or silent
    clock, budget = _Clock(measured.seconds), artifact_budget(cap, measured.code_files)
    grids = PlainGrids(job.model, job.statistics, GridQuantizer(job.recipe.quantization), job.threads)
    trials = QuickTrials(job, grids, job.memory)
    with naming_extremes(measured.extreme):
        landed = land_compile(trials, measured.scratch, budget, progress, keep_targets=options.explain)
    clock.lap("land")
    artifact = landed.landing.trial.data
    ledger = build_ledger(artifact, measured.code_files, cap)
    report = build_report(job, landed.landing, ledger, clock.seconds, landed.candidates) | dict(measured.read)
    clock.lap("measure")
    report |= {
        "profile": options.profile,
        "effort": options.effort,
        "score": None,
        "work": None,
        "peak_bytes": peak_bytes(),
    }
    report["measured_bits_per_byte"] = in_bits_per_byte(report["measured_loss"], report["held_out_bytes_a_token"])
    if options.explain:
        with naming_extremes(measured.extreme):
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


def _inputs_of_calibration(job: CompileJob, options: CompileOptions) -> tuple:
    """All that statistics depend on."""
    surroundings = digest_of_surroundings(), reported_instructions(options)
    return *surroundings, digest_of_model(job.model), job.text, job.recipe.calibration, job.seed, job.device


@one_thread_each()  # what runs outside of jobs must not depend on how many threads BLAS has
def _rewrite(model: Model, statistics: Statistics, recipe: Recipe) -> tuple[Model, Statistics]:
    """The model after the exact rewrites that leave less to store."""
    for rewrite in REWRITES:
        model, statistics = rewrite(model, statistics, recipe)
    return model, statistics


class _Clock:
    """Wall seconds by stage, after those of stages before it."""

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self.seconds: dict[str, float] = dict(seconds or {})
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now
