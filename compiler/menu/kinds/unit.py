"""What a representation is fitted to: one matrix, its second-order model, the price of a byte, and how
its grids are made.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ....format.assembly import part_bytes
from ....format.tensors.set_choice import KnownSets
from ....format.tensors.terms import Part, reconstruct_tensor
from ...quantize.grid_matrix import PreparedMatrix, QuantizedMatrix
from ...quantize.grids import Quantizer
from ...quantize.representation import Quantized
from ...row_blocks import row_blocks
from ...statistics.matrix_statistics import MatrixStatistics
from ...statistics.row_coupling import output_diagonal
from ..composite import CompositeMatrix
from ..setting import Setting


def distortion_at(byte_price: float) -> float:
    """Squared error, in units of its sensitivity, with which a grid stores a weight at a byte price."""
    return byte_price * byte_price / 12


def bit_value_at(byte_price: float) -> float:
    """Nats a token that one bit is worth at a byte price: D/2 a weight falls to a quarter with each."""
    return float(np.log(2)) * distortion_at(byte_price)


@dataclass(frozen=True, slots=True)
class Unit:
    """One matrix to be stored.

    values : float32 or float64[rows, columns]; byte_price : as quantization takes it; codec : wire id of the integer
        codec
    earlier : float32[rows, columns] by tensor index, tensors of the same shape that are decided and may be aliased
    prepared : of the values and their statistics; made unless it is given
    """

    values: np.ndarray
    statistics: MatrixStatistics
    quantizer: Quantizer
    byte_price: float
    codec: int
    earlier: Mapping[int, np.ndarray]
    prepared: PreparedMatrix | None = None
    _memory: dict[Hashable, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.prepared is None:
            object.__setattr__(self, "prepared", self.quantizer.prepare(self.values, self.statistics))

    @property
    def shape(self) -> tuple[int, int]:
        return self.values.shape

    @property
    def target(self) -> np.ndarray:
        """float64[rows, columns]: the values, which grids alone do not need so wide."""
        return self.remembered("target", lambda: self.values.astype(np.float64, copy=False))

    @property
    def sensitivities(self) -> np.ndarray:
        """float64[rows, columns]: g_i H_jj, what a squared error of one weight costs twice."""
        return self.row_fisher[:, None] * self.damped_hessian.diagonal()

    @property
    def row_fisher(self) -> np.ndarray:
        """float64[rows]: g, what an error of a row by itself costs with the Fisher information that grids use."""
        return self.remembered("fisher", lambda: output_diagonal(self.prepared.coupling, self.prepared.row_fisher))

    @property
    def damped_hessian(self) -> np.ndarray:
        """float64[columns, columns]: the Hessian that grids are quantized against, in matrix order."""
        return self.remembered("hessian", self._damped_hessian)

    def _damped_hessian(self) -> np.ndarray:
        hessian = np.empty((self.shape[1], self.shape[1]))
        hessian[np.ix_(self.prepared.order, self.prepared.order)] = self.prepared.factor @ self.prepared.factor.T
        return hessian

    @property
    def factor(self) -> np.ndarray:
        """float64[columns, columns]: lower triangular L with L Lᵀ the damped Hessian, in matrix order."""
        return self.remembered("factor in matrix order", lambda: np.linalg.cholesky(self.damped_hessian))

    @property
    def distortion(self) -> float:
        """Squared error, in units of its sensitivity, with which a grid stores a weight at the byte price."""
        return distortion_at(self.byte_price)

    @property
    def bit_value(self) -> float:
        """Nats a token that one bit is worth at the byte price."""
        return bit_value_at(self.byte_price)

    def remembered(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """What several settings need, computed once."""
        if key not in self._memory:
            self._memory[key] = compute()
        return self._memory[key]

    def row_losses(self, weights: np.ndarray) -> np.ndarray:
        """float64[rows]: 1/2 g_i e_i H e_iᵀ in nats a token, the loss of each row's errors alone."""
        return 0.5 * self.row_fisher * self._row_squares(partial(self._errors, weights))

    def error_losses(self, error: np.ndarray) -> np.ndarray:
        """float64[rows]: `row_losses` of weights that miss the target by so much."""
        return 0.5 * self.row_fisher * self._row_squares(lambda some: error[some])

    def loss(self, weights: np.ndarray) -> float:
        """1/2 tr(Eᵀ G E H) in nats a token, with the moments that grids use."""
        if self.prepared.coupling is None:
            return 0.5 * float(self.prepared.row_fisher @ self._row_squares(partial(self._errors, weights)))
        errors = self._as_quantized(self._errors(weights, slice(None)))
        errors += self.prepared.coupling.T @ errors
        return 0.5 * float(self.prepared.row_fisher @ np.square(errors).sum(1))

    def weighed(self, errors: np.ndarray) -> np.ndarray:
        """float64[rows, n]: G E of errors [rows, n], what they cost on the output side."""
        if self.prepared.coupling is None:
            return self.prepared.row_fisher[:, None] * errors
        scaled = self.prepared.row_fisher[:, None] * (errors + self.prepared.coupling.T @ errors)
        return scaled + self.prepared.coupling @ scaled

    def correction_gains(self, error: np.ndarray) -> np.ndarray:
        """float64[rows, columns]: twice the loss that the best change of each weight alone takes away,
        (G E H)_ij² / (g_i H_jj).

        error : float64[rows, columns], target less weights. Feedback makes errors depend on each other,
            so that undoing one of them alone can cost more than it brings.
        """
        pulled = self.weighed(error) @ self.damped_hessian
        return np.square(pulled) / self.row_fisher[:, None] / self.damped_hessian.diagonal()

    def _row_squares(self, errors: Callable[[slice], np.ndarray]) -> np.ndarray:
        """float64[rows]: e_i H e_iᵀ of the errors of each row."""
        squares = np.empty(len(self.values))
        for some in row_blocks(len(self.values)):
            squares[some] = np.square(self._as_quantized(errors(some))).sum(1)
        return squares

    def _errors(self, weights: np.ndarray, some: slice) -> np.ndarray:
        """float64[some rows, columns]: by how much these weights miss the target."""
        return weights[some].astype(np.float64) - self.values[some]

    def _as_quantized(self, errors: np.ndarray) -> np.ndarray:
        """float64[some rows, columns]: E L, its columns in the order in which they are quantized."""
        return errors[:, self.prepared.order] @ self.prepared.factor

    def grid(self, target: np.ndarray | None = None, octaves: float = 0.0) -> QuantizedMatrix:
        """A grid of this target (the unit's own unless given), at a byte price so many octaves coarser."""
        if target is not None:
            return self.quantize(target, self.statistics, octaves)
        return self.quantizer.quantize(self.prepared, self.byte_price * 2.0**octaves)

    def quantize(self, values: np.ndarray, statistics: MatrixStatistics, octaves: float = 0.0) -> QuantizedMatrix:
        """A grid of a part of the matrix that has statistics of its own, so many octaves from the byte price."""
        return self.quantizer.quantize(self.quantizer.prepare(values, statistics), self.byte_price * 2.0**octaves)

    def decoded(self, parts: Sequence[Part]) -> np.ndarray:
        """float32[rows, columns]: what these parts add up to."""
        return reconstruct_tensor(parts, self.shape, arrays=self.earlier)

    def composite(
        self, kind: str, setting: Setting, parts: Sequence[Part], *, sets: KnownSets | None = None
    ) -> CompositeMatrix:
        """The sum of these parts, with its loss against the target and its bytes by a trial encode.

        sets : of earlier tensors, which the parts may name
        """
        weights = self.decoded(parts)
        n_bytes = part_bytes(parts, self.shape, self.codec, sets=sets)
        return CompositeMatrix(kind, setting, tuple(parts), weights, self.loss(weights), n_bytes)

    def bytes_of(self, quantized: Quantized) -> int:
        """Bytes of a trial encode of a quantized matrix alone."""
        if isinstance(quantized, CompositeMatrix):
            return quantized.bytes
        return part_bytes(quantized.parts, self.shape, self.codec)
