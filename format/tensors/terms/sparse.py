"""Sparse: single elements of the tensor, and 0 elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np

from ...container.cursor import Cursor, Writer
from ..grid import GridValues, matrix_shape
from ..keys import TermKey
from ..member_sets import MemberSet
from ..stored import Shape, StoredMatrix, StoredSet
from .grid import Grid
from .raw import Raw, RawValues
from .selection import SelectionPart, SelectionTerm, inner_matrix, read_matrix, write_matrix
from .term import Arrays, Codebooks, Selection


@dataclass(frozen=True, slots=True)
class Sparse(SelectionTerm):
    """The record: which elements, by their row-major positions, and a matrix of one row that has only those."""

    members: MemberSet
    record: Raw | Grid
    axis: ClassVar[None] = None
    wire_id: ClassVar[int] = 5
    name: ClassVar[str] = "sparse"

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Sparse:
        """[R-SET-1] to [R-SET-3], [R-REC-7]."""
        return cls(MemberSet.read(cursor, shape[0] * shape[1]), read_matrix(cursor, shape))

    def write(self, writer: Writer) -> None:
        self.members.write(writer)
        write_matrix(writer, self.record)

    def stored_set(self, shape: Shape) -> StoredSet:
        return StoredSet(self.members, shape[0] * shape[1], None)

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        return (self.record.matrix(1, self.members.count, "values"),)

    def part(self, matrices: Sequence[Any], members: np.ndarray | None, key: TermKey) -> SparseValues:
        (values,) = matrices
        return SparseValues(cast(np.ndarray, members), self.record.content(values), self.inner_stream)

    def describe(self, names: Sequence[str] = ()) -> str:
        return f"{self.name} ({self.members.count} by {self.members.encoding}, {self.record.describe()})"


@dataclass(frozen=True, slots=True)
class SparseValues(SelectionPart):
    """Single elements, and 0 elsewhere.

    positions : int64[n]               ascending, row-major, 1 to one less than there are elements
    part : GridValues or RawValues     [1, n]; raw values may also be [n]
    stream : int                       1.. of a grid's codes; not used for raw values
    """

    positions: np.ndarray
    part: GridValues | RawValues
    stream: int

    def record(self, told: MemberSet | None = None, codebooks: Codebooks | None = None) -> Sparse:
        return Sparse(cast(MemberSet, told), inner_matrix(self.part, self.stream).record())

    def selection(self, shape: Shape) -> Selection:
        return Selection(self.positions, shape[0] * shape[1], None)

    def reconstruct(
        self, shape: tuple[int, ...], *, arrays: Arrays = (), codebooks: Codebooks | None = None
    ) -> np.ndarray:
        positions = np.asarray(self.positions)
        spread = np.zeros(matrix_shape(shape), np.float32)
        spread.ravel()[positions] = self.inner_values_of((1, positions.size)).ravel()
        return spread.reshape(shape)
