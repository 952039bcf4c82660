"""Matrices as scalar quantization grids: the plain implementation of `Representations`.

Strategy: preparing a matrix (Cholesky factor, exponents) does not depend on the byte price, so it is
done once for the float model, and once more for each target of a walk.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..model.model import Model
from ..settings import QuantizationSettings
from ..statistics.calibration import MatrixStatistics, Statistics
from ..workers import run_jobs
from .gptq import quantize_matrix
from .grid_matrix import PreparedMatrix, QuantizedMatrix, prepare_matrix
from .representation import FitAt


class Quantizer(Protocol):
    """What makes grids of matrices."""

    def prepare(self, weights: np.ndarray, statistics: MatrixStatistics) -> PreparedMatrix: ...

    def quantize(self, prepared: PreparedMatrix, byte_price: float) -> QuantizedMatrix: ...


@dataclass(frozen=True, slots=True)
class GridQuantizer:
    """GPTQ with the options of a recipe."""

    settings: QuantizationSettings

    def prepare(self, weights: np.ndarray, statistics: MatrixStatistics) -> PreparedMatrix:
        """weights : float32 or float64[rows, columns]."""
        return prepare_matrix(
            weights,
            statistics,
            resolution=self.settings.resolution,
            damping=self.settings.damping,
            fisher_floor=self.settings.fisher_floor,
            correlation=self.settings.correlation,
        )

    def quantize(self, prepared: PreparedMatrix, byte_price: float) -> QuantizedMatrix:
        """The matrix on a grid at a byte price."""
        return quantize_matrix(
            prepared,
            byte_price,
            trellis_states=self.settings.trellis_states,
            rate_weight=self.settings.rate_weight,
            base_fit=self.settings.base_fit,
        )


class PlainGrids:
    """Every matrix of a model as one grid."""

    def __init__(self, model: Model, statistics: Statistics, quantizer: Quantizer, threads: int) -> None:
        """Prepares all matrices against the float model's inputs, independently of each other."""
        self.quantizer, self.threads = quantizer, threads
        jobs = {i: (model.tensors[i].values, statistics.matrices[i]) for i in sorted(statistics.matrices)}
        prepared = run_jobs(lambda job: quantizer.prepare(*job), list(jobs.values()), threads)
        self._prepared = dict(zip(jobs, prepared, strict=True))

    def fit_all(self, byte_price: float) -> Mapping[int, QuantizedMatrix]:
        """All matrices at a byte price, by tensor index."""
        return self.fit(byte_price, self._prepared)

    def fit(self, byte_price: float, indexes: Collection[int]) -> Mapping[int, QuantizedMatrix]:
        """These matrices at a byte price, by tensor index, ascending."""
        chosen = [index for index in self._prepared if index in indexes]
        results = run_jobs(lambda i: self.quantizer.quantize(self._prepared[i], byte_price), chosen, self.threads)
        return dict(zip(chosen, results, strict=True))

    def prepare(
        self, index: int, target: np.ndarray, statistics: MatrixStatistics, decided: Mapping[int, np.ndarray]
    ) -> FitAt:
        """One matrix of a walk; what was decided before does not matter to a grid."""
        prepared = self.quantizer.prepare(target, statistics)
        return lambda byte_price: self.quantizer.quantize(prepared, byte_price)

    def follows_price(self, index: int) -> bool:
        """Every grid does."""
        return True
