"""The second-order model beside the truth: a model's statistics, the loss they predict, the loss that is measured."""

from __future__ import annotations

import numpy as np
import torch

from bytecap.compiler.model.model import Model
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.compiler.statistics.calibration import Statistics, measure_statistics


def measured(model: Model, sequences: np.ndarray, *, batch: int = 4, seed: int = 0, threads: int = 1) -> Statistics:
    return measure_statistics(model, sequences, batch_sequences=batch, seed=seed, device="cpu", threads=threads)


def mean_divergence(model: Model, sequences: np.ndarray, changed: int, values: np.ndarray) -> float:
    """KL divergence in nats a token when one tensor takes other values."""

    def log_p(arrays: list[np.ndarray]) -> torch.Tensor:
        executor = TorchExecutor(model.program, {i: torch.from_numpy(a) for i, a in enumerate(arrays)})
        return executor.forward(torch.from_numpy(sequences)).double().log_softmax(-1)

    arrays = [t.values for t in model.tensors]
    with torch.no_grad():
        before, after = log_p(arrays), log_p([*arrays[:changed], values, *arrays[changed + 1 :]])
    return float((before.exp() * (before - after)).sum(-1).mean())


def predicted_divergence(statistics: Statistics, tensor: int, error: np.ndarray) -> float:
    """The second-order model: 1/2 sum_o g_o e_o H e_oᵀ, or the diagonal for a vector."""
    if tensor in statistics.vectors:
        return 0.5 * float((statistics.vectors[tensor] * error**2).sum())
    matrix = statistics.matrices[tensor]
    return 0.5 * float(matrix.row_fisher @ np.einsum("oi,ij,oj->o", error, matrix.hessian, error))
