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

from ..files.code_files import closure_notes, counted_files, script_closure
from ..files.digests import file_sha256
from ..files.ledger import build_ledger
from ..files.output import check_output, write_output
from ..progress import Progress, silent
from ..version import VERSION
from .checkpoints.selection import EVERYTHING, Selection
from .effort import DEFAULT_EFFORT
from .explanation.explanation import explain_compile
from .explanation.record import build_report
from .final_score import EvaluationText, read_evaluation, score_compile
from .inputs import artifact_budget, read_inputs, read_model
from .job import CompileJob
from .model.model import Model
from .profiles import profile_codec
from .quantize.grids import GridQuantizer, PlainGrids
from .rate_control.artifacts import finish_draft, smallest_draft
from .rate_control.budget import is_walked, land_quick, land_sequential
from .rate_control.landing import Draft, Landing, Trial
from .rate_control.quick_trials import QuickTrials
from .rate_control.sampled_trials import SampledTrial, SampledTrials, may_sample
from .recipe import Recipe, read_recipe
from .result import CompileResult
from .rewrites import REWRITES
from .scratch_file import ScratchFile
from .settings import START_PRICE
from .statistics.calibration import Statistics
from .statistics.convergence import calibrate
from .workers import available_threads, check_device, one_thread_each


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """How checkpoints are compiled, whichever they are and under whatever cap; as `compile_checkpoint` takes them."""

    calibration: Path | str
    tokenizer: Path | str | None = None
    code: Sequence[Path | str] = ()
    evaluation: Sequence[Path | str] = ()
    evaluation_tokens: int | None = None
    architecture: Path | str | None = None
    selection: Selection = EVERYTHING
    recipe: str | Path = "default"
    effort: int = DEFAULT_EFFORT
    profile: str = "default"
    device: str = "cpu"
    seed: int = 0
    threads: int | None = None
    explain: bool = False


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
    progress: Progress | None = None,
) -> CompileResult:
    """Compile a checkpoint into the largest artifact that fits, with its code files, under `cap` bytes.

    `evaluation` files are compared with the calibration text, which may not contain theirs, and their first
    `evaluation_tokens` are scored at the end, by artifact and checkpoint. Equal inputs and options give equal
    bytes, whatever `threads`. Writes `output` (atomically, refused when it exists unless
    `force`) except on a dry run. `effort` gives the options that the recipe does not name, `explain` adds
    measurements to the report. Raises CheckpointError, DataError, CapError, CompileError or OutputError.
    """
    text = CompileOptions(calibration, tokenizer, code, evaluation, evaluation_tokens, architecture, selection)
    options = replace(text, recipe=recipe, effort=effort, profile=profile, device=device, seed=seed, threads=threads)
    written = _checked_output(None if dry_run else output, force)
    artifact_budget(cap, counted_code(options)[0])  # a cap that the code fills is refused before the work
    with ScratchFile() as scratch:
        measured = measure_checkpoint(checkpoint_path, replace(options, explain=explain), scratch, progress)
        result = land_checkpoint(measured, cap, progress)
    if written is not None:
        write_output(written, result.artifact, force)
    add_score(result, measured, progress)
    return result


def counted_code(options: CompileOptions) -> tuple[Sequence[Path], list[str]]:
    """The code files that count, with all that they need, and what was assumed or not counted in sentences."""
    closure = script_closure(list(map(Path, options.code)))
    return counted_files(closure), closure_notes(closure)


def measure_checkpoint(
    checkpoint_path: Path | str, options: CompileOptions, scratch: ScratchFile, progress: Progress | None = None
) -> MeasuredCheckpoint:
    """Read a checkpoint and its calibration text, measure what an error costs, and rewrite the model: what does not
    depend on a cap.
    """
    clock, progress = _Clock(), progress or silent
    how = {"seed": options.seed, "device": options.device, "threads": options.threads or available_threads()}
    check_device(options.device)
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
    how_far = partial(progress, "calibrate")
    statistics = calibrate(model, text, recipe.calibration, progress=how_far, scratch=scratch, **how)
    clock.lap("calibrate")
    model, statistics = _rewrite(model, statistics, recipe)
    provenance = _provenance(options, recipe, model)
    job = CompileJob(model, statistics, text, held_out, recipe, provenance, codec, identity=identity, **how)
    read = {**inputs.reported(), "code_notes": code_notes}
    return MeasuredCheckpoint(checkpoint_path, job, options, code_files, scratch, read, clock.seconds, to_score)


def land_checkpoint(measured: MeasuredCheckpoint, cap: int, progress: Progress | None = None) -> CompileResult:
    """The largest artifact of a measured checkpoint that fits, with its code files, under `cap` bytes.

    The same bytes as of a compile of its own, whatever caps were landed on before.
    """
    job, options, progress = measured.job, measured.options, progress or silent
    clock, budget = _Clock(measured.seconds), artifact_budget(cap, measured.code_files)
    grids = PlainGrids(job.model, job.statistics, GridQuantizer(job.recipe.quantization), job.threads)
    landed = _land(QuickTrials(job, grids), measured.scratch, budget, progress, keep_targets=options.explain)
    clock.lap("land")
    artifact = landed.landing.trial.data
    ledger = build_ledger(artifact, measured.code_files, cap)
    report = build_report(job, landed.landing, ledger, clock.seconds, landed.candidates) | dict(measured.read)
    report |= {"profile": options.profile, "effort": options.effort, "score": None}
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


def _recipe_of(options: CompileOptions) -> Recipe:
    return read_recipe(options.recipe, options.effort)


@one_thread_each()  # what runs outside of jobs must not depend on how many threads BLAS has
def _rewrite(model: Model, statistics: Statistics, recipe: Recipe) -> tuple[Model, Statistics]:
    """The model after the exact rewrites that leave less to store."""
    for rewrite in REWRITES:
        model, statistics = rewrite(model, statistics, recipe)
    return model, statistics


@dataclass(frozen=True, slots=True)
class _Landed:
    """The artifact that fills the budget, how it came about, and what the menu has to say of it."""

    landing: Landing[Trial]
    trials: QuickTrials
    candidates: dict | None


@one_thread_each()
def _land(trials: QuickTrials, scratch: ScratchFile, budget: int, progress: Progress, *, keep_targets: bool) -> _Landed:
    """Find the byte price with quick trials, offer other representations, and spend the budget in a sequential walk."""
    job, smallest, menu = trials.job, smallest_draft(trials.job), None
    if may_sample(job):
        landing = _land_sampled(trials, scratch, smallest, budget, progress, keep_targets=keep_targets)
        if landing is not None:
            return _Landed(_finished(job, landing), trials, None)
    near = land_quick(trials, START_PRICE, smallest, budget, progress)
    if job.recipe.menu.enabled and near.trial is not smallest:
        from .menu.choose import choose_representations  # here, so that a default compile never imports the menu

        again = partial(land_quick, smallest=smallest, budget=budget, progress=progress)
        menu = choose_representations(trials, near, again, partial(progress, "choose candidates"))
        trials, near = menu.trials, menu.near
    landing = near
    if is_walked(job) and near.trial is not smallest:
        landing = land_sequential(trials, trials.representations, near, budget, progress, keep_targets=keep_targets)
    landing = _finished(job, landing)
    return _Landed(landing, trials, None if menu is None else menu.tables(landing))


def _checked_output(output: Path | str | None, force: bool) -> Path | None:
    """The path to write, which is free or may be replaced; None for none."""
    if output is not None:
        check_output(output, force)
    return None if output is None else Path(output)


def _land_sampled(
    trials: QuickTrials, scratch: ScratchFile, smallest: Draft, budget: int, progress: Progress, *, keep_targets: bool
) -> Landing[Draft] | None:
    """A walk planned on samples of rows; None where the samples find no price or no walk fits."""
    sampled = SampledTrials(trials.job, trials.representations, smallest.size, scratch)
    nothing = SampledTrial(smallest.byte_price, smallest.size, {})
    near = land_quick(sampled, START_PRICE, nothing, budget, progress)
    if near.trial is nothing:
        return None
    landing = land_sequential(sampled, trials.representations, near, budget, progress, keep_targets=keep_targets)
    return None if landing.trial is near.trial else landing


def _finished(job: CompileJob, landing: Landing[Draft]) -> Landing[Trial]:
    """The landing with its artifact assembled and read back."""
    return replace(landing, trial=finish_draft(job, landing.trial))


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


class _Clock:
    """Wall seconds by stage, after those of stages before it."""

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self.seconds: dict[str, float] = dict(seconds or {})
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now
