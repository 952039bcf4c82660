"""What a walk is planned on: how many bytes every matrix takes at a byte price, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..job import CompileJob
from ..quantize.representation import Quantized
from ..quantize.stored_quantized import decode_quantized, encode_quantized
from ..resume.work_folder import Memory
from .landing import Draft, Trial


@dataclass(frozen=True, slots=True)
class WalkPlan:
    """A plan at a byte price.

    size : bytes of the whole artifact; sizes : of every matrix that is walked, by tensor index
    kept : everything else, quantized; error : tensor index -> root mean square error of a walked matrix by itself
    """

    byte_price: float
    size: int
    sizes: Mapping[int, int]
    kept: Mapping[int, Quantized]
    error: Callable[[int], float]


def root_mean_square_error(job: CompileJob, index: int, made: Quantized) -> float:
    """Of a quantized matrix, over its weights."""
    difference = made.weights - job.model.tensors[index].values.reshape(made.weights.shape)
    return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))


def plan_on_trial(job: CompileJob, trial: Draft | Trial) -> WalkPlan:
    """The plan that a quick trial of all matrices makes."""
    sizes = {i: trial.quantized[i].bytes for i in job.walked}
    kept = {i: q for i, q in trial.quantized.items() if i not in sizes}

    def error(index: int) -> float:
        return root_mean_square_error(job, index, trial.quantized[index])

    return WalkPlan(trial.byte_price, trial.size, sizes, kept, error)


def remembered_plan(memory: Memory, byte_price: float, make: Callable[[], WalkPlan]) -> WalkPlan:
    """The plan at a byte price that a run before has made, or a new one."""
    state = memory.recall("plan", byte_price)
    if state is not None:
        errors = {int(index): error for index, error in state["errors"].items()}
        sizes = {int(index): size for index, size in state["sizes"].items()}
        kept = {int(index): decode_quantized(found) for index, found in state["kept"].items()}
        return WalkPlan(byte_price, state["size"], sizes, kept, errors.__getitem__)
    plan = make()
    if memory.folder is not None:
        memory.keep("plan", byte_price, state=_state_of(plan))
    return plan


def _state_of(plan: WalkPlan) -> dict[str, object]:
    return {
        "size": plan.size,
        "sizes": {str(index): size for index, size in plan.sizes.items()},
        "errors": {str(index): float(plan.error(index)) for index in plan.sizes},
        "kept": {str(index): encode_quantized(found) for index, found in plan.kept.items()},
    }
