"""What a compile starts from, before anything is measured: the job without statistics, and what belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files.code_files import closure_notes, counted_files, script_closure
from ..files.digests import file_sha256
from ..format.parallel import usable_cores
from ..progress import Progress
from ..version import VERSION
from .effort import DEFAULT_EFFORT
from .final_score import EvaluationText, read_evaluation
from .forecast import Forecast, forecast_compile
from .inputs import Inputs, read_inputs
from .instruction_sets import fingerprint, instruction_sets, provenance_of_instructions
from .job import CompileJob
from .model.model import Model
from .model.structure import widest_input
from .options import CompileOptions
from .peak_memory import threads_note, threads_that_fit
from .profiles import profile_codec
from .quantize.refiner import notes_of_distillation
from .recipe import Recipe, read_recipe
from .statistics.calibration import Statistics
from .storable import check_storable
from .workers import check_device


@dataclass(frozen=True, slots=True)
class ReadJob:
    """A job whose statistics are not measured yet.

    code_files : that count against every cap;  code_notes : what was assumed of them, in sentences
    to_score : the evaluation text, None where none was given;  instructions : what the report says of them
    fewer_threads : what is to be said where nobody names them and memory allows fewer than there are cores
    """

    job: CompileJob
    inputs: Inputs
    code_files: Sequence[Path]
    code_notes: Sequence[str]
    to_score: EvaluationText | None
    forecast: Forecast
    instructions: dict
    fewer_threads: str | None

    def calibration_notes(self, measured: Statistics) -> list[str]:
        """What is to be said of the calibration text, on which that was measured."""
        text, guessing = self.inputs.calibration, measured.guessing
        return [*text.notes, *notes_of_distillation(self.job, text.total), *(guessing.notes() if guessing else [])]

    def reported(self, measured: Statistics) -> dict[str, object]:
        """What the report says of what was read, and of what calibration measured."""
        more = {"instructions": self.instructions, "forecast": self.forecast.document()}
        said = {"calibration_notes": self.calibration_notes(measured), "code_notes": list(self.code_notes)}
        return {**self.inputs.reported(), **said, **more}


def read_job(
    checkpoint_path: Path | str, options: CompileOptions, *, glance: bool = False, progress: Progress | None = None
) -> ReadJob:
    """Read everything that a compile needs; `glance`: of a long calibration text the beginning alone, which does for a
    look ahead. Raises CheckpointError, DataError and CompileError.
    """
    check_device(options.device)
    instructions = provenance_of_instructions(options.reproducible, options.device)
    codec, wanted = profile_codec(options.profile), read_recipe(options.recipe, options.effort)
    code_files, code_notes = counted_code(options)
    inputs = read_inputs(
        checkpoint_path,
        options.calibration,
        options.evaluation,
        options.tokenizer,
        options.architecture,
        options.selection,
        glance,
        progress,
    )
    model, text, identity = inputs.model, inputs.calibration, inputs.identity.identity
    scored = options.evaluation, inputs.identity.tokenizer, options.evaluation_tokens
    to_score = read_evaluation(model.program, *scored, progress)
    provenance, recipe = _provenance(options, wanted, model) | instructions, wanted.for_inputs(widest_input(model))
    check_storable(model, provenance, checkpoint_path)
    unmeasured = Statistics({}, {}, 0)
    parts = text.tokens, text.held_out
    cores = usable_cores()
    threads = options.threads or threads_that_fit(model, recipe, text.total, cores)
    fewer = threads_note(threads, cores) if options.threads is None else None
    how = {"seed": options.seed, "device": options.device, "threads": threads, "identity": identity}
    job = CompileJob(model, unmeasured, *parts, recipe, provenance, codec, **how)
    forecast = forecast_compile(model, recipe, text.total, text.held_out.size, threads)
    return ReadJob(job, inputs, code_files, code_notes, to_score, forecast, reported_instructions(options), fewer)


def counted_code(options: CompileOptions) -> tuple[Sequence[Path], list[str]]:
    """The code files that count, with all that they need, and what was assumed or not counted in sentences."""
    closure = script_closure(list(map(Path, options.code)))
    return counted_files(closure), closure_notes(closure)


def reported_instructions(options: CompileOptions) -> dict:
    """What the report says of the instructions: which they are, and what they compute."""
    used = instruction_sets(options.device)
    return {"reproducible": options.reproducible, "libraries": used, "fingerprint": fingerprint()}


def _provenance(options: CompileOptions, recipe: Recipe, model: Model) -> dict:
    """What the artifact says of where it comes from: the configuration lets it become a folder again, and who renamed
    tensors of the checkpoint finds its own names by how.
    """
    found = {
        "bytecap": VERSION,
        "calibration": file_sha256(options.calibration)[:16],
        "recipe": recipe.digest,
        "seed": options.seed,
    }
    found |= {} if options.effort == DEFAULT_EFFORT else {"effort": options.effort}
    found |= {"rename": list(options.selection.rename)} if options.selection.rename else {}
    return found | ({"configuration": dict(model.configuration)} if model.configuration else {})
