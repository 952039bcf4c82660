"""How far a coded matrix is from what rate-distortion theory allows, and what a uniform step would have cost it.

Strategy: the weights of a matrix are taken as independent Gaussians of variance r_i c_j, the rank-one
fit of their squares. With R = diag(r), C = diag(c), the output Fisher G and the damped Hessian H, the
loss 1/2 tr(Eᵀ G E H) is a plain sum over components (i, k) of variance gamma_i lambda_k, the
eigenvalues of R^1/2 G R^1/2 and of C^1/2 H C^1/2. Reverse water filling (Cover and Thomas, Elements of
Information Theory, theorem 10.3.3) then gives the least rate at a loss. The bound is one of the model:
weights with heavier tails than Gaussian ones can be coded below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..quantize.grid_matrix import PreparedMatrix
from ..statistics.row_coupling import output_eigenvalues


@dataclass(frozen=True, slots=True)
class UniformStepCosts:
    """Bits a weight that one step for all would cost, 1/2 log2 of arithmetic over geometric mean of the
    squared sensitivities.

    columns : over the columns of each matrix, L_jj²; rows : over its rows, g_i; tensors : between the
        matrices' averages. All three are weighted by the weights and add up to one step for the whole
        model.
    """

    columns: float
    rows: float
    tensors: float


def water_filling(variances: np.ndarray, loss: float) -> tuple[float, float]:
    """(rate in bits, water level) at which components of these variances lose 1/2 sum min(level, variance) = loss.

    variances : float64, any shape, not negative; loss > 0. A loss that coding nothing does not exceed costs 0 bits.
    """
    values = np.sort(variances, axis=None)
    drowned = np.cumsum(values)
    if 2 * loss >= drowned[-1]:
        return 0.0, float(values[-1])
    at_value = drowned + values * np.arange(len(values) - 1, -1, -1.0)  # twice the loss with the level at each variance
    below = int(np.searchsorted(at_value, 2 * loss))
    level = (2 * loss - (drowned[below - 1] if below else 0.0)) / (len(values) - below)
    return 0.5 * float(np.log2(values[below:] / level).sum()), float(level)


def bound_bits(weights: np.ndarray, prepared: PreparedMatrix, loss: float) -> float | None:
    """Least bits a weight at which weights like these lose `loss` nats a token; None where no loss is achieved at all.

    weights : [rows, columns]; prepared : the same matrix's factor, order, row Fisher and coupling.
    """
    squares = np.square(weights.astype(np.float64))[:, prepared.order]
    mean = float(squares.mean())
    if mean == 0.0:
        return 0.0
    if loss <= 0.0:
        return None
    columns = np.sqrt(squares.mean(0) / mean)
    scaled = columns[:, None] * prepared.factor
    eigenvalues = np.maximum(np.linalg.eigvalsh(scaled @ scaled.T), 0.0)
    outputs = output_eigenvalues(prepared.coupling, prepared.row_fisher, np.sqrt(squares.mean(1)))
    variances = np.multiply.outer(outputs, eigenvalues)
    return water_filling(variances, loss)[0] / weights.size


def uniform_step_costs(matrices: Sequence[PreparedMatrix]) -> tuple[UniformStepCosts, list[tuple[float, float]]]:
    """The costs of the whole model, and (columns, rows) of each matrix."""
    single = [(_log_ratio(np.square(m.factor.diagonal())), _log_ratio(m.row_fisher)) for m in matrices]
    sizes = np.array([float(len(m.order) * len(m.row_fisher)) for m in matrices])
    if not len(sizes):
        return UniformStepCosts(0.0, 0.0, 0.0), []
    averages = np.array([np.square(m.factor.diagonal()).mean() * m.row_fisher.mean() for m in matrices])
    shares = sizes / sizes.sum()
    columns, rows = (float(shares @ np.array([costs[side] for costs in single])) for side in (0, 1))
    between = 0.5 * (math.log2(float(shares @ averages)) - float(shares @ np.log2(averages)))
    return UniformStepCosts(columns, rows, between), single


def _log_ratio(values: np.ndarray) -> float:
    """1/2 log2 of the arithmetic over the geometric mean."""
    return 0.5 * float(np.log2(values.mean()) - np.log2(values).mean())
