"""What a cap is worth on a checkpoint, in seconds: the smallest and the largest useful artifact, and the loss between.

Strategy: a few hundred to a few thousand tokens stand for the calibration, a few rows for a matrix, and the matrices of
a few layers for those of all. That gives sizes to some percent and losses to some tens of percent, which is what a
choice of cap needs. Few tokens span few directions of many inputs, and errors in all others would seem to cost nothing:
so correlations of inputs are believed as far as there are tokens for them. Units stay in the checkpoint's order:
sorting them would take most of the time. The smallest artifact, of which every code is zero, needs no statistics: it is
nearly exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from ..errors import CapError
from ..format.program.tensor_names import role_of
from ..format.tensors.grid import matrix_shape
from ..format.tensors.raw_planes import ITEM_BYTES
from ..progress import Progress, silent
from .extremes import naming_extremes
from .forecast import Forecast, device_note
from .inputs import artifact_budget
from .job import CompileJob
from .model.model import Model, Reading
from .peak_memory import memory_note
from .quantize.grids import GridQuantizer, PlainGrids
from .rate_control.artifacts import predicting_zeros, smallest_draft
from .rate_control.budget import land_quick
from .rate_control.landing import Draft
from .rate_control.sampled_trials import SampledTrial, SampledTrials
from .read_job import ReadJob
from .recipe import Recipe
from .rewrites.symmetries import exchange_symmetries
from .scratch_file import ScratchFile
from .settings import START_PRICE
from .statistics.batch_pass import MeasuredProgram
from .statistics.calibration import Statistics, calibration_sequences, measure_statistics, told_share
from .statistics.damping import shrunk
from .statistics.matrix_statistics import MatrixStatistics, MatrixTable

PROBE_FLOPS = 1.5e11  # of the passes that stand for a calibration
MOST_TOKENS, LEAST_TOKENS = 8192, 256
TOKENS_AN_INPUT = 0.4  # of so many times its inputs, half of what tokens say of the correlations is worth believing
ROWS, ROW_SHARE = 16, 1 / 64
LAYERS = 6  # whose matrices stand for those of all
# Measured loss of a compile over what a look ahead predicts of it, with distillation and without: prose and stories260K
# (the lowest) and SmolLM2-135M (the highest). A compile's own prediction is of targets that its walk moved.
USUAL_RATIOS = {True: (0.45, 1.4), False: (0.5, 1.5)}
SPARED = 0.01, 64  # of the smallest artifact, and bytes, by which the real one may be smaller
SMALL_SHARE = 0.1  # of the loss of guessing; above it measured losses were 3 to 8 times the predicted ones


@dataclass(frozen=True, slots=True)
class Outlook:
    """Before a compile; bytes are of artifacts, without the code files.

    float_bytes : of the weights as the checkpoint has them;  smallest, largest_useful : artifacts below or above which
        nothing is possible or gained;  budget : what the cap leaves
    bits_per_weight, predicted_loss : expected under the cap, loss in nats a token by the second-order model
    measured_usually : [least, most] that other compiles measured over what was predicted of them before
    guessing_loss : what the same probability for every token costs more than the checkpoint, in nats a token
    tokens : that this stands on;  notes : what is to be said of the cap, of the text and of the code files
    reading : what was assumed of the checkpoint and what it tells; no part of the document
    """

    weights: int
    float_bytes: int
    smallest: int
    largest_useful: int
    budget: int
    bits_per_weight: float
    predicted_loss: float
    measured_usually: tuple[float, float]
    guessing_loss: float
    tokens: int
    forecast: Forecast
    notes: tuple[str, ...]
    reading: Reading

    @property
    def is_for_small_errors(self) -> bool:
        """Whether the predicted loss is small beside that of knowing nothing, as second order asks for."""
        return self.predicted_loss < SMALL_SHARE * self.guessing_loss

    def document(self) -> dict[str, object]:
        """As JSON values, without the reading."""
        facts = {name: value for name, value in asdict(self).items() if name != "reading"}
        lists = {"notes": list(self.notes), "measured_usually": list(self.measured_usually)}
        holds = {"for_small_errors": self.is_for_small_errors}
        return facts | lists | holds | {"forecast": self.forecast.document()}


def float_bytes(model: Model) -> int:
    """Of the weights as the checkpoint has them."""
    return sum(tensor.values.size * ITEM_BYTES.get(tensor.dtype, 4) for tensor in model.tensors)


def refuse_hopeless_cap(job: CompileJob, budget: int) -> Draft:
    """The smallest artifact, but for what statistics change in it; CapError for a budget that it is larger than."""
    model, statistics = exchange_symmetries(job.model, _no_statistics(job.model), _leaving_order(job.recipe))
    draft = smallest_draft(replace(job, model=model, statistics=statistics), reckoned=True)
    smallest = draft.size
    if budget < smallest * (1 - SPARED[0]) - SPARED[1]:
        message = f"{budget} bytes are left for the artifact; the smallest possible artifact is {smallest} bytes"
        raise CapError(f"the cap is too small: {message}; raise the cap by at least {smallest - budget}")
    return draft


def cap_note(model: Model, cap: int) -> str | None:
    """What is to be said at once of a cap that leaves nothing to do."""
    whole = float_bytes(model)
    if cap < whole:
        return None
    own = f"the checkpoint's own weights, {whole:,} bytes"
    return f"the cap of {cap:,} bytes is not below {own}: nothing has to be saved"


def look_ahead(found: ReadJob, cap: int, progress: Progress = silent) -> Outlook:
    """The outlook of a job whose statistics are not measured yet. Raises CapError for a cap that is too small."""
    job, budget = found.job, artifact_budget(cap, found.code_files)
    smallest = refuse_hopeless_cap(job, budget)
    sampled = replace(job.recipe.row_sample, enabled=True, share=ROW_SHARE, least=ROWS)
    quantization = replace(job.recipe.quantization, trellis_states=min(job.recipe.quantization.trellis_states, 8))
    job = replace(job, recipe=replace(job.recipe, row_sample=sampled, quantization=quantization))
    with naming_extremes(job.model), ScratchFile() as scratch:
        progress("measure a little text", 0, 0)
        stand_ins = _stand_ins(job.model)
        statistics = _quick_statistics(job, stand_ins, scratch)
        model, statistics = exchange_symmetries(job.model, statistics, _leaving_order(job.recipe))
        job = replace(job, model=model, statistics=statistics)
        if budget < smallest.size * (1 + SPARED[0]) + SPARED[1]:
            smallest = smallest_draft(job, reckoned=True)
        grids = PlainGrids(model, statistics, GridQuantizer(quantization), job.threads)
        trials = SampledTrials.of(job, grids, smallest.size, scratch, stand_ins)
        nothing = SampledTrial(smallest.byte_price, smallest.size, {})
        progress("sample the rows", 0, 0)
        largest = trials.draft(job.recipe.rate_control.finest_price(job.weights))
        near = land_quick(trials, START_PRICE, nothing, budget, progress).trial
        matrices = predicting_zeros(job, smallest).quantized if near is nothing else near.matrices
    loss = sum(each.predicted_loss for each in matrices.values())
    bits = 8 * min(budget, near.size) / job.weights
    then = found.forecast.with_kernels_at_hand
    facts = job.weights, float_bytes(job.model), smallest.size, largest.size, budget, bits, loss
    usual = USUAL_RATIOS[job.recipe.distillation.enabled]
    known = 0.0 if statistics.guessing is None else statistics.guessing.known
    said = _notes_of_cap(found, cap)
    if budget > largest.size:
        said.append(f"more than about {largest.size:,} bytes make no better artifact")
    notes = (*said, *found.calibration_notes(statistics), *found.inputs.identity.notes, *found.code_notes)
    return Outlook(*facts, usual, known, statistics.tokens, then, notes, job.model.reading)


def _stand_ins(model: Model) -> dict[int, int]:
    """Of the matrices of many layers that have the same role and shape, for each the nearest of LAYERS, spread evenly
    from the first to the last.
    """
    alike: dict[tuple, list[int]] = {}
    for index in MeasuredProgram(model.program).matrices:
        tensor = model.tensors[index]
        alike.setdefault((role_of(tensor.name), tensor.values.shape), []).append(index)
    found = {}
    for indexes in alike.values():
        places = np.linspace(0, len(indexes) - 1, min(LAYERS, len(indexes))).round().astype(int)
        found |= {index: indexes[places[np.abs(places - at).argmin()]] for at, index in enumerate(indexes)}
    return found


def _notes_of_cap(found: ReadJob, cap: int) -> list[str]:
    """What is to be said of the cap, of where the compile computes, and of its memory."""
    said = cap_note(found.job.model, cap), device_note(found.job.device)
    said += found.fewer_threads, memory_note(found.forecast.peak_bytes, found.forecast.threads)
    return [note for note in said if note is not None]


def _quick_statistics(job: CompileJob, stand_ins: Mapping[int, int], scratch: ScratchFile) -> Statistics:
    """Statistics on as little text as tells something, of each matrix those of its stand-in."""
    tokens = int(min(max(PROBE_FLOPS / (6 * job.model.parameters), LEAST_TOKENS), MOST_TOKENS, len(job.text)))
    length = min(job.model.program.sequence_length, max(LEAST_TOKENS, tokens // (2 * job.threads)))
    sequences = calibration_sequences(job.text, min(length, len(job.text)), tokens)
    how = {"seed": job.seed, "device": job.device, "threads": job.threads, "scratch": scratch}
    together = max(1, LEAST_TOKENS // sequences.shape[1])  # so that short sequences cost no more
    passed_over = stand_ins.keys() - set(stand_ins.values())
    found = measure_statistics(job.model, sequences, batch_sequences=together, passed_over=passed_over, **how)
    table = MatrixTable(list(stand_ins), lambda i: _believed(found.matrices[stand_ins[i]], found.tokens), scratch)
    return replace(found, matrices=table)


def _believed(measured: MatrixStatistics, tokens: int) -> MatrixStatistics:
    """The same with correlations of inputs as small as so few tokens make likely.

    What 256 tokens predict of prose at 853 KB, of the AdamW checkpoint at 713 KB and of SmolLM2-135M at 40 MB is so
    0.99, 0.78 and 1.03 of what a calibration predicts, instead of 0.21, 0.20 and 0.07.
    """
    share = told_share(tokens, len(measured.hessian), TOKENS_AN_INPUT)
    return replace(measured, hessian=shrunk(measured.hessian, share))


def _leaving_order(recipe: Recipe) -> Recipe:
    """The same recipe, with units in the order of the checkpoint."""
    return replace(recipe, symmetries=replace(recipe.symmetries, hidden_units=False, value_dimensions=False))


def _no_statistics(model: Model) -> Statistics:
    """As if every weight mattered alike."""
    measured = MeasuredProgram(model.program)
    shapes = {i: matrix_shape(model.tensors[i].values.shape) for i in sorted(measured.matrices)}
    eyes = {columns: np.eye(columns) for _, columns in shapes.values()}
    matrices = {i: MatrixStatistics(eyes[columns], np.ones(rows)) for i, (rows, columns) in shapes.items()}
    vectors = {i: np.ones(model.tensors[i].values.shape) for i in measured.vectors if i not in matrices}
    return Statistics(matrices, vectors, 1)
