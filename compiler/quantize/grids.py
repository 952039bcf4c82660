"""Matrices as scalar quantization grids: the plain implementation of `Representations`.

Strategy: preparing a matrix (Cholesky factor, exponents) does not depend on the byte price, so it is
done once for the float model as far as memory allows, and once more for each target of a walk.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...format.tensors.grid import matrix_shape
from ..extremes import naming_tensor
from ..model.model import Model
from ..settings import QuantizationSettings
from ..statistics.calibration import Statistics
from ..statistics.matrix_statistics import MatrixStatistics
from ..workers import run_jobs
from .gptq import quantize_matrix
from .grid_matrix import PreparedMatrix, QuantizedMatrix, prepare_matrix
from .representation import FitAt

REMEMBERED_FLOATS = 1 << 27  # of prepared matrices, 8 bytes each; larger models are prepared again at every price


class Quantizer(Protocol):
    """What makes grids of matrices."""

    def prepare(
        self, weights: np.ndarray, statistics: MatrixStatistics, chosen: np.ndarray | None = None
    ) -> PreparedMatrix: ...

    def quantize(self, prepared: PreparedMatrix, byte_price: float) -> QuantizedMatrix: ...


@dataclass(frozen=True, slots=True)
class GridQuantizer:
    """GPTQ with the options of a recipe."""

    settings: QuantizationSettings

    def prepare(
        self, weights: np.ndarray, statistics: MatrixStatistics, chosen: np.ndarray | None = None
    ) -> PreparedMatrix:
        """weights : float32 or float64[rows, columns]; chosen : rows in place of all, as `prepare_matrix` has them."""
        return prepare_matrix(
            weights,
            statistics,
            resolution=self.settings.resolution,
            damping=self.settings.damping,
            fisher_floor=self.settings.fisher_floor,
            correlation=self.settings.correlation,
            input_correlation=self.settings.input_correlation,
            chosen=chosen,
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


def compile_kernels(quantizer: Quantizer) -> None:
    """Have numba compile what quantizes matrices by quantizing a small one: seconds, the first time on a machine."""
    square = np.eye(2)
    statistics = MatrixStatistics(square, np.ones(2), square.astype(np.float32))
    quantizer.quantize(quantizer.prepare(square.astype(np.float32), statistics), 1.0)


class PlainGrids:
    """Every matrix of a model as one grid."""

    def __init__(self, model: Model, statistics: Statistics, quantizer: Quantizer, threads: int) -> None:
        """Matrices are prepared against the float model's inputs, independently of each other."""
        self.quantizer, self.threads = quantizer, threads
        self._model, self._statistics = model, statistics
        self._kept: dict[int, PreparedMatrix] = {}
        self._indexes = sorted(statistics.matrices)
        self.description = "grids"
        self._remembered, floats = set(), 0
        for index in self._indexes:
            floats += _prepared_floats(*matrix_shape(model.tensors[index].values.shape))
            if floats <= REMEMBERED_FLOATS:
                self._remembered.add(index)

    def prepared(self, index: int) -> PreparedMatrix:
        """A matrix prepared for any price; the first ones are remembered, as many as memory is set aside for."""
        if index in self._kept:
            return self._kept[index]
        prepared = self._prepared(index)
        if index in self._remembered:
            self._kept[index] = prepared
        return prepared

    def prepared_rows(self, index: int, chosen: np.ndarray) -> PreparedMatrix:
        """Rows of a matrix in place of all, which nobody will ask for; nothing is remembered."""
        return self._prepared(index, chosen)

    def _prepared(self, index: int, chosen: np.ndarray | None = None) -> PreparedMatrix:
        tensor = self._model.tensors[index]
        with naming_tensor(tensor.name):
            return self.quantizer.prepare(tensor.values, self._statistics.matrices[index], chosen)

    def fit_all(self, byte_price: float) -> Mapping[int, QuantizedMatrix]:
        """All matrices at a byte price, by tensor index."""
        return self.fit(byte_price, self._indexes)

    def fit(self, byte_price: float, indexes: Collection[int]) -> Mapping[int, QuantizedMatrix]:
        """These matrices at a byte price, by tensor index, ascending."""
        chosen = [index for index in self._indexes if index in indexes]

        def quantize(index: int) -> QuantizedMatrix:
            with naming_tensor(self._model.tensors[index].name):
                return self.quantizer.quantize(self.prepared(index), byte_price)

        results = run_jobs(quantize, chosen, self.threads)
        return dict(zip(chosen, results, strict=True))

    def prepare(
        self, index: int, target: np.ndarray, statistics: MatrixStatistics, decided: Mapping[int, np.ndarray]
    ) -> FitAt:
        """One matrix of a walk; what was decided before does not matter to a grid."""
        prepared = self.quantizer.prepare(target, statistics)
        return lambda byte_price: self.quantizer.quantize(prepared, byte_price)

    def takes_values(self, index: int) -> bool:
        """No grid does."""
        return False

    def follows_price(self, index: int) -> bool:
        """Every grid does."""
        return True


def _prepared_floats(rows: int, columns: int) -> int:
    """Float64 numbers of a prepared matrix: its weights, its factor, and its coupling where rows are few enough."""
    return rows * columns + columns * columns + min(rows * rows, rows * columns * 4)
