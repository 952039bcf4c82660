"""Matrices to quantize: Gaussian weights with input moments and Fisher information that are far from flat."""

from __future__ import annotations

import numpy as np

from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics


def problem(rows: int, columns: int, seed: int, correlation: float = 0.7) -> tuple[np.ndarray, MatrixStatistics]:
    """Gaussian weights, inputs of different strength that share a direction, rows of different Fisher information."""
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((6 * columns + 20, columns))
    inputs = (1 - correlation) * inputs + correlation * random.standard_normal(
        (len(inputs), 1)
    ) * random.standard_normal(columns)
    inputs *= np.exp2(random.uniform(-2, 2, columns))
    weights = random.standard_normal((rows, columns)).astype(np.float32) * 0.1
    return weights, MatrixStatistics(inputs.T @ inputs / len(inputs), np.exp2(random.uniform(-6, 6, rows)) * 1e-4)
