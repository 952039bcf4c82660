"""Low rank: the product of two grids.

Strategy: every number is a short chain of IEEE operations in one written order (spec/tensors.md,
chapter 5), so that every platform obtains the same bits. A product of two float32 numbers is exact in
float64, where no fused operation can change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ....errors import InvalidArtifact
from ...container.cursor import Cursor, Writer
from ...kernels import kernel
from ..grid import GridValues, reconstruct_grid
from ..keys import TermKey
from ..member_sets import MemberSet
from ..stored import CodedContent, Shape, StoredMatrix
from .grid import Grid, GridInStream
from .term import Arrays, Codebooks, Part, Term


@dataclass(frozen=True, slots=True)
class LowRank(Term):
    """The record: a grid [rows, rank] and a grid [rank, columns]."""

    rank: int
    left: Grid
    right: Grid
    wire_id: ClassVar[int] = 3
    name: ClassVar[str] = "low-rank"

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> LowRank:
        """[R-REC-5]"""
        start = cursor.offset
        rank = cursor.varint("rank")
        if not 1 <= rank <= min(shape):
            message = f"rank {rank}, expected 1..{min(shape)}"
            raise InvalidArtifact(message, rule="R-REC-5", offset=start, where=cursor.where)
        return cls(rank, Grid.read(cursor, (shape[0], rank)), Grid.read(cursor, (rank, shape[1])))

    def write(self, writer: Writer) -> None:
        writer.varint(self.rank)
        self.left.write(writer)
        self.right.write(writer)

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        rows, columns = shape
        return self.left.matrix(rows, self.rank, "left"), self.right.matrix(self.rank, columns, "right")

    def products(self, shape: Shape) -> int:
        """`rank` a weight."""
        return shape[0] * shape[1] * self.rank

    def part(self, matrices: Sequence[Any], members: np.ndarray | None, key: TermKey) -> LowRankValues:
        left, right = matrices
        return LowRankValues(left, right, self.left.stream)

    def describe(self, names: Sequence[str] = ()) -> str:
        return f"{self.name} (rank {self.rank})"


@dataclass(frozen=True, slots=True)
class LowRankValues(Part):
    """The product of `left` [rows, rank] and `right` [rank, columns], rank 1..min(rows, columns); both
    in `stream` (1..).
    """

    left: GridValues
    right: GridValues
    stream: int

    def record(self, told: MemberSet | None = None, codebooks: Codebooks | None = None) -> LowRank:
        left, right = GridInStream(self.left, self.stream), GridInStream(self.right, self.stream)
        return LowRank(self.left.codes.shape[1], left.record(), right.record())

    def stored(self, codebooks: Codebooks | None = None) -> tuple[CodedContent, CodedContent]:
        return CodedContent(self.left, self.stream), CodedContent(self.right, self.stream)

    def reconstruct(
        self, shape: tuple[int, ...], *, arrays: Arrays = (), codebooks: Codebooks | None = None
    ) -> np.ndarray:
        if self.left.codes.shape[1] != self.right.codes.shape[0]:
            raise ValueError(f"{self.left.codes.shape} and {self.right.codes.shape} have no product")
        return low_rank_product(reconstruct_grid(self.left), reconstruct_grid(self.right)).reshape(shape)


def low_rank_product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float32[rows, columns] of float32[rows, rank] and float32[rank, columns]: sums in float64, k
    ascending, rounded once.

    A sum beyond float32 is infinite; a reader refuses the tensor for it.
    """
    products = np.empty((left.shape[0], right.shape[1]), np.float32)
    _multiply(left, right, products)
    return products


@kernel()
def _multiply(left, right, products):
    rank, columns = right.shape
    sums = np.empty(columns, np.float64)
    for i in range(left.shape[0]):
        sums[:] = 0.0
        for k in range(rank):
            factor = np.float64(left[i, k])
            for j in range(columns):
                sums[j] += factor * np.float64(right[k, j])
        for j in range(columns):
            products[i, j] = np.float32(sums[j])
