"""Sequential quantization of a small model, for the tests of the walk and of the residual streams that it corrects."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from tiny_models import golf_model, random_sequences

from bytecap.compiler.model.model import Model
from bytecap.compiler.quantize.gptq import quantize_matrix
from bytecap.compiler.quantize.grid_matrix import QuantizedMatrix, prepare_matrix
from bytecap.compiler.quantize.sequential import Walk, quantize_sequentially
from bytecap.compiler.settings import SequentialSettings
from bytecap.compiler.statistics.calibration import Statistics
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics

DAMPING = 0.01
SEQUENCES = random_sequences(24, 10, 16, seed=3)


@cache
def model() -> Model:
    return golf_model(5)


def quantizer(byte_price: float):
    def quantize(_: int, target: np.ndarray, statistics: MatrixStatistics) -> QuantizedMatrix:
        return quantize_matrix(
            prepare_matrix(target, statistics, resolution=2, damping=DAMPING, fisher_floor=0.02), byte_price
        )

    return quantize


def one_after_the_other(quantize):
    """What quantizes a group by what quantizes (tensor, target, statistics)."""
    return lambda targets: {index: quantize(index, *given) for index, given in targets.items()}


def sequentially(
    of: Model,
    statistics: Statistics,
    quantize,
    sequences: np.ndarray,
    *,
    fixed=None,
    correction: float = 1.0,
    residual: float = 0.0,
    threads: int = 1,
):
    """Results by tensor, and what the quantizer was given: (tensor, target, statistics) in order."""
    asked: list[tuple[int, np.ndarray, MatrixStatistics]] = []

    def recording(index: int, target: np.ndarray, real: MatrixStatistics) -> QuantizedMatrix:
        asked.append((index, target.copy(), real))
        return quantize(index, target, real)

    fixed = {0: of.tensors[0].values} if fixed is None else fixed
    settings = SequentialSettings(correction=correction, residual=residual, batch_sequences=3)
    walk = Walk(of, fixed, sequences, settings, DAMPING, threads)
    return quantize_sequentially(walk, statistics.matrices, one_after_the_other(recording)), asked


def with_weights(of: Model, weights: dict[int, np.ndarray]) -> Model:
    tensors = (replace(t, values=weights.get(i, t.values).reshape(t.values.shape)) for i, t in enumerate(of.tensors))
    return replace(of, tensors=tuple(tensors))
