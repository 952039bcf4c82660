"""The measurements behind a compile's report: where the bytes went, what they cost, and how far from
the bounds they are.

Strategy: everything here is computed after the artifact is decided, from its own bytes and from further
trials of the same job, and nothing of it is handed back to the compile. The result is JSON values only;
report/ draws it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from ...format.artifact import decode_contents, read_artifact
from ...format.inspection import inspect_artifact
from ...format.tensors.grid import matrix_shape
from ...progress import Progress
from ..job import CompileJob
from ..model.model import Model
from ..quantize.grids import GridQuantizer
from ..rate_control.artifacts import COARSEST_PRICE
from ..rate_control.budget import is_walked
from ..rate_control.landing import Draft, Landing
from ..rate_control.quick_trials import CurvePoint, QuickTrials
from ..rate_control.sequential_walk import SequentialWalk
from ..statistics.calibration import calibration_sequences
from ..statistics.swaps import measure_divergences, predicted_swap_losses
from ..workers import run_jobs
from .bound import bound_bits, uniform_step_costs
from .byte_shares import byte_shares, code_entropies

SWAP_TOKENS = 8192
CURVE_OCTAVES = (-1.0, -0.5, 0.5, 1.0)  # byte prices around the chosen one that complete the rate-distortion curve


@dataclass(frozen=True, slots=True)
class Stage:
    """The model after one stage of the pipeline: its weights by tensor index and the bytes of its artifact."""

    name: str
    bytes: int
    weights: Mapping[int, np.ndarray]


def explain_compile(trials: QuickTrials, landing: Landing, budget: int, *, progress: Progress) -> dict:
    """JSON-able explanation of a compile; takes some quick trials, a walk without distillation, and a
    forward pass a tensor.

    trials : the quick trials of the compile, with the representations that it chose
    Losses and divergences are nats a token on the held-out sequences, rates bits a weight.
    Deterministic whatever the threads.
    """
    job, model, statistics, threads = trials.job, trials.job.model, trials.job.statistics, trials.job.threads
    artifact = read_artifact(landing.trial.data)
    contents = decode_contents(artifact)
    landed = landing.trial.predicted_loss
    found = inspect_artifact(landing.trial.data)
    points = _curve(trials, landing)
    stages = _stages(trials, landing, contents.arrays, budget, progress)
    sequences = job.held_out
    if not len(sequences):  # a text too short to hold anything out
        sequences = calibration_sequences(job.text, model.program.sequence_length, SWAP_TOKENS)
    candidates = [{i: array} for i, array in enumerate(contents.arrays)] + [stage.weights for stage in stages]
    measured = measure_divergences(
        model,
        candidates,
        sequences,
        threads=threads,
        device=job.device,
        finished=partial(progress, "measure swaps"),
    )
    predicted = predicted_swap_losses(model, contents.arrays, statistics, threads=threads)
    count = len(model.tensors)
    return {
        "bytes": byte_shares(found, artifact),
        "swaps": _swap_table(model, predicted, measured[:count], measured[-1])
        | {"landed": _compared("artifact", landed, measured[-1])}
        | {"tokens": int(sequences.size), "held_out": bool(len(job.held_out))},
        "bounds": _bounds(job, landing, [row.bytes for row in found.tensors]),
        "entropies": code_entropies(artifact, contents),
        "rate_distortion": [asdict(point) for point in points],
        "chosen": {"bytes": landing.trial.size, "byte_price": landing.trial.byte_price},
        "stages": [
            {"stage": stage.name, "bytes": stage.bytes, "divergence": divergence}
            for stage, divergence in zip(stages, measured[count:], strict=True)
        ],
    }


def _curve(trials: QuickTrials, landing: Landing) -> list[CurvePoint]:
    """The quick trials of the compile, the artifact, and quick trials at prices around its own where it has one."""
    points, price = list(trials.points), landing.trial.byte_price
    if price < COARSEST_PRICE:
        around = QuickTrials(trials.job, trials.representations)
        points.append(CurvePoint.of("landed", landing.trial))
        points += [CurvePoint.of("quick", around.draft(price * 2.0**octaves)) for octaves in CURVE_OCTAVES]
    return points


def _stages(
    trials: QuickTrials, landing: Landing, decoded: Sequence[np.ndarray], budget: int, progress: Progress
) -> list[Stage]:
    """The model after each stage at the same byte price, the artifact itself last."""
    job, price = trials.job, landing.trial.byte_price
    before: list[tuple[str, Draft]] = []
    if is_walked(job) and price < COARSEST_PRICE:
        unplanned = QuickTrials(job, trials.representations)
        quick = unplanned.draft(price)
        before.append(("every matrix by itself", quick))
        if job.recipe.distillation.enabled:
            walk = SequentialWalk(job, trials.representations, unplanned.plan(quick), budget, 1 / 8)
            finished = walk.run(partial(progress, "walk without distillation"), distilled=False)
            before.append(("with drift correction", finished.at(finished.last_price)))
    stages = [
        Stage(name, trial.size, {i: w.reshape(decoded[i].shape) for i, w in trial.weights.items()})
        for name, trial in before
    ]
    return [*stages, Stage("the artifact", landing.trial.size, dict(enumerate(decoded)))]


def _swap_table(model: Model, predicted: Sequence[float], measured: Sequence[float], whole: float) -> dict:
    """Predicted and measured loss by tensor, their sums, and all swapped at once against the sum of predictions."""
    tensors = [
        _compared(tensor.name, said, found) | {"elements": tensor.values.size}
        for tensor, said, found in zip(model.tensors, predicted, measured, strict=True)
    ]
    total = sum(predicted)
    return {
        "tensors": tensors,
        "sum": _compared("sum over tensors", total, sum(measured)),
        "whole": _compared("whole artifact", total, whole),
    }


def _compared(name: str, predicted: float, measured: float) -> dict:
    return {
        "name": name,
        "predicted": predicted,
        "measured": measured,
        "ratio": predicted / measured if measured > 0 else None,
    }


def _bounds(job: CompileJob, landing: Landing, coded_bytes: Sequence[int]) -> dict:
    """Coded bits, bound and distance of each matrix, weighted means, and what uniform steps would have cost.

    All under the Hessians that the matrices were really quantized with: the bound is for what was
    coded, at the loss of coding it.
    """
    model, statistics, threads = job.model, job.statistics, job.threads
    indexes = [i for i in sorted(statistics.matrices) if model.tensors[i].values.size]
    own = {i: (model.tensors[i].values, statistics.matrices[i]) for i in indexes} | dict(landing.trial.targets)
    weights = {i: values.reshape(matrix_shape(values.shape)) for i, (values, _) in own.items()}
    quantizer = GridQuantizer(job.recipe.quantization)
    prepared = run_jobs(lambda i: quantizer.prepare(weights[i], own[i][1]), indexes, threads)
    losses = [landing.trial.quantized[i].predicted_loss for i in indexes]
    bits: list[float | None] = [None] * len(indexes)
    if landing.trial.byte_price < COARSEST_PRICE:  # else all is zero, and nothing is coded that a bound could be of
        known = list(zip(indexes, prepared, losses, strict=True))
        bits = run_jobs(lambda job: bound_bits(weights[job[0]], *job[1:]), known, threads)
    costs, single = uniform_step_costs(prepared)
    rows = []
    for index, loss, bound, (columns, over_rows) in zip(indexes, losses, bits, single, strict=True):
        coded = 8 * coded_bytes[index] / weights[index].size
        distance = None if bound is None else coded - bound
        rows.append(
            {
                "name": model.tensors[index].name,
                "elements": weights[index].size,
                "loss": loss,
                "coded": coded,
                "bound": bound,
                "distance": distance,
                "uniform_columns": columns,
                "uniform_rows": over_rows,
            }
        )
    known = [row for row in rows if row["bound"] is not None]
    total = sum(row["elements"] for row in known)
    mean = {
        key: sum(row["elements"] * row[key] for row in known) / total if total else None
        for key in ("coded", "bound", "distance")
    }
    uniform = {"columns": costs.columns, "rows": costs.rows, "tensors": costs.tensors}
    return {"matrices": rows, "mean": mean, "uniform_step_costs": uniform}
