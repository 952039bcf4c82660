"""What a walk is planned on: how many bytes every matrix takes at a byte price, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..job import CompileJob
from ..quantize.representation import Quantized
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


def plan_on_trial(job: CompileJob, trial: Draft | Trial) -> WalkPlan:
    """The plan that a quick trial of all matrices makes."""
    sizes = {i: trial.quantized[i].bytes for i in job.walked}
    kept = {i: q for i, q in trial.quantized.items() if i not in sizes}

    def error(index: int) -> float:
        weights = trial.quantized[index].weights
        difference = weights - job.model.tensors[index].values.reshape(weights.shape)
        return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))

    return WalkPlan(trial.byte_price, trial.size, sizes, kept, error)
