"""What the compiler asks of the representations of matrices, whatever they are made of.

Strategy: rate control and the sequential walk need two protocols. `Quantized` is a matrix as it will be
stored: weights, parts, bytes and predicted loss. `Representations` fits the matrices of a model to
targets at a byte price. Scalar quantization grids are the plain implementation (grids.py); the menu of
other kinds stands beside it (compiler/menu) and fits the same protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import numpy as np

from ...format.tensors.terms import Part
from ..statistics.matrix_statistics import MatrixStatistics


class Quantized(Protocol):
    """A matrix as it will be stored."""

    @property
    def weights(self) -> np.ndarray:
        """float32[rows, columns] that the parts decode to."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Parts of the format, in the order of their sum; those with integers name stream 1."""

    @property
    def predicted_loss(self) -> float:
        """Second-order loss in nats a token."""

    @property
    def bytes(self) -> int:
        """Bytes of the matrix by itself, from an encode of it alone."""

    @property
    def label(self) -> str:
        """What it is, in words for a report."""


FitAt = Callable[[float], Quantized]  # byte price -> the matrix at that price


class Representations(Protocol):
    """How the matrices of one model are stored; tensor indexes name them."""

    @property
    def description(self) -> str:
        """How in words, which tell trials with these from trials with others."""

    def fit_all(self, byte_price: float) -> Mapping[int, Quantized]:
        """Every matrix by itself, fitted to the float model's weights and statistics."""

    def fit(self, byte_price: float, indexes: Collection[int]) -> Mapping[int, Quantized]:
        """These matrices, likewise; with one that takes values of another, that one."""

    def prepare(
        self, index: int, target: np.ndarray, statistics: MatrixStatistics, decided: Mapping[int, np.ndarray]
    ) -> FitAt:
        """One matrix of a walk, to be fitted at any byte price.

        target : float64[rows, columns] in place of the float model's weights; statistics : with the
            Hessian of the real inputs
        decided : float32 weights of the matrices that have been quantized before it
        """

    def takes_values(self, index: int) -> bool:
        """Whether a matrix takes values of another, which has to be decided before it."""

    def follows_price(self, index: int) -> bool:
        """Whether the bytes of a matrix move with the byte price, as those of a grid do."""
