"""Slow twin of the uniform quantizer: optimal brain surgery in its plainest form, one column at a time.

After a column is fixed, what remains of each row moves to where the loss e H eᵀ is least, which the inverse
of H over the remaining columns says; it is inverted again for every column. Steps come from the rule of
design section 5: byte price over the square root of the row's Fisher information and of the loss's curvature
in the column, given free later columns. With an output Fisher matrix rows likewise: the later rows move to
where they make up best for what the rows before cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from naive_grid import naive_step

LARGEST_CODE = (1 << 24) - 1
OCTAVES_A_SIDE = 10


@dataclass(frozen=True)
class NaiveQuantization:
    """A matrix on a grid: codes int [rows, columns], exponents, the base as float32, and its loss.

    The loss is 1/2 sum_o g_o e_o H e_oᵀ of the float64 weights, nats a token.
    """

    codes: np.ndarray
    row_exponents: np.ndarray
    column_exponents: np.ndarray
    base: float
    predicted_loss: float


def damped_hessian(hessian: np.ndarray, damping: float, correlation: float = 1.0) -> np.ndarray:
    mean, own = np.trace(hessian) / len(hessian), np.eye(len(hessian))
    return hessian * (correlation + (1 - correlation) * own) + damping * (mean if mean > 0 else 1.0) * own


def floored_fisher(fisher: np.ndarray, fisher_floor: float) -> np.ndarray:
    return np.maximum(fisher, max(fisher_floor * np.median(fisher), 1e-30))


def second_order_loss(error: np.ndarray, hessian: np.ndarray, fisher: np.ndarray) -> float:
    """1/2 sum_o g_o e_o H e_oᵀ, row by row."""
    return 0.5 * sum(float(g * (e @ hessian @ e)) for e, g in zip(error, fisher, strict=True))


def curvatures(hessian: np.ndarray, processing: list[int]) -> np.ndarray:
    """For each column 1 / [(H over it and all later columns)^-1] of it, in matrix order."""
    result = np.empty(len(hessian))
    for place, column in enumerate(processing):
        remaining = processing[place:]
        result[column] = 1 / np.linalg.inv(hessian[np.ix_(remaining, remaining)])[0, 0]
    return result


def nearest_exponents(logs: np.ndarray, resolution: int) -> tuple[np.ndarray, float]:
    """Steps of 1 / 2^resolution octave from the median, at most ten octaves."""
    steps = 2**resolution
    bound = OCTAVES_A_SIDE * steps
    return np.array([max(-bound, min(bound, round((log - np.median(logs)) * steps))) for log in logs]), float(
        np.median(logs)
    )


def row_costs(output_fisher: np.ndarray) -> np.ndarray:
    """For each row 1 / [(G over it and all later rows)^-1] of it."""
    return curvatures(output_fisher, list(range(len(output_fisher))))


def naive_quantize(
    weights: np.ndarray,
    hessian: np.ndarray,
    fisher: np.ndarray,
    byte_price: float,
    *,
    resolution: int,
    damping: float,
    fisher_floor: float,
    output_fisher: np.ndarray | None = None,
    correlation: float = 1.0,
    input_correlation: float = 1.0,
) -> NaiveQuantization:
    hessian = damped_hessian(hessian, damping, input_correlation)
    fisher = floored_fisher(fisher, fisher_floor)
    both = np.diag(fisher)
    if output_fisher is not None:
        both = np.where(np.eye(len(fisher)) > 0, both, output_fisher.astype(np.float64) * correlation)
    costs = row_costs(both)
    processing = [int(c) for c in np.argsort(-np.diag(hessian), kind="stable")][::-1]  # the strongest inputs last
    row_exponents, row_log = nearest_exponents(np.log2(costs**-0.5), resolution)
    column_exponents, column_log = nearest_exponents(np.log2(curvatures(hessian, processing) ** -0.5), resolution)
    base = float(np.float32(np.clip(byte_price * 2.0 ** (row_log + column_log), 2.0**-40, 2.0**40)))
    current, codes = weights.astype(np.float64), np.zeros(weights.shape, np.int64)
    quantized = np.zeros(weights.shape)
    for place, column in enumerate(processing):
        remaining = processing[place:]
        inverse = np.linalg.inv(hessian[np.ix_(remaining, remaining)])
        for row in range(len(weights)):
            errors = quantized[:row, column] - current[:row, column]  # of the rows before, in this column
            target = current[row, column] - (np.linalg.inv(both[row:, row:]) @ both[row:, :row] @ errors)[0]
            step = float(naive_step(base, resolution, int(row_exponents[row] + column_exponents[column])))
            codes[row, column] = max(-LARGEST_CODE, min(LARGEST_CODE, round(target / step)))
            quantized[row, column] = codes[row, column] * step
        for row in range(len(weights)):
            error = current[row, column] - quantized[row, column]
            current[row, remaining[1:]] -= error / inverse[0, 0] * inverse[0, 1:]
    error = quantized - weights
    return NaiveQuantization(
        codes, row_exponents, column_exponents, base, 0.5 * float(np.sum((both @ error @ hessian) * error))
    )
