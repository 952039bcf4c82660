"""Subset: some rows or columns of the tensor, and 0 elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np

from ....errors import MalformedArtifact
from ...container.cursor import Cursor, Writer
from ..grid import GridValues, matrix_shape
from ..keys import TermKey
from ..member_sets import MemberSet
from ..stored import Shape, StoredMatrix, StoredSet
from .grid import Grid
from .raw import Raw, RawValues
from .selection import SelectionPart, SelectionTerm, inner_matrix, read_matrix, write_matrix
from .term import Arrays, Codebooks, Selection

AXES = ("rows", "columns")


@dataclass(frozen=True, slots=True)
class Subset(SelectionTerm):
    """The record: which rows (axis 0) or columns (axis 1), and a matrix that has only those."""

    axis: int
    members: MemberSet
    record: Raw | Grid
    wire_id: ClassVar[int] = 4
    name: ClassVar[str] = "subset"

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Subset:
        """[R-REC-8], [R-SET-1] to [R-SET-3], [R-REC-7]."""
        start = cursor.offset
        axis = cursor.u8("axis")
        if axis >= len(AXES):
            raise MalformedArtifact(f"axis {axis}, expected 0 or 1", rule="R-REC-8", offset=start, where=cursor.where)
        return cls(axis, MemberSet.read(cursor, shape[axis]), read_matrix(cursor, shape))

    def write(self, writer: Writer) -> None:
        writer.u8(self.axis)
        self.members.write(writer)
        write_matrix(writer, self.record)

    def stored_set(self, shape: Shape) -> StoredSet:
        return StoredSet(self.members, shape[self.axis], self.axis)

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        return (self.record.matrix(*_inner_shape(self.axis, self.members.count, shape), "values"),)

    def part(self, matrices: Sequence[Any], members: np.ndarray | None, key: TermKey) -> SubsetValues:
        (values,) = matrices
        return SubsetValues(self.axis, cast(np.ndarray, members), self.record.content(values), self.inner_stream)

    def describe(self, names: Sequence[str] = ()) -> str:
        side = AXES[self.axis].removesuffix("s" * (self.members.count == 1))
        return f"{self.name} ({self.members.count} {side} by {self.members.encoding}, {self.record.describe()})"


@dataclass(frozen=True, slots=True)
class SubsetValues(SelectionPart):
    """Some rows or columns of the tensor seen as a matrix (grid.py, `matrix_shape`), and 0 elsewhere.

    axis : int                         0: members are rows, 1: columns
    members : int64[n]                 ascending, 1 to one less than there are
    part : GridValues or RawValues     [n, columns] for rows, [rows, n] for columns
    stream : int                       1.. of a grid's codes; not used for raw values
    """

    axis: int
    members: np.ndarray
    part: GridValues | RawValues
    stream: int

    def record(self, told: MemberSet | None = None, codebooks: Codebooks | None = None) -> Subset:
        return Subset(self.axis, cast(MemberSet, told), inner_matrix(self.part, self.stream).record())

    def selection(self, shape: Shape) -> Selection:
        return Selection(self.members, shape[self.axis], self.axis)

    def reconstruct(
        self, shape: tuple[int, ...], *, arrays: Arrays = (), codebooks: Codebooks | None = None
    ) -> np.ndarray:
        whole, members = matrix_shape(shape), np.asarray(self.members)
        values = self.inner_values_of(_inner_shape(self.axis, members.size, whole))
        spread = np.zeros(whole, np.float32)
        spread[members if self.axis == 0 else (slice(None), members)] = values
        return spread.reshape(shape)


def _inner_shape(axis: int, count: int, shape: Shape) -> Shape:
    """Shape of the matrix that has only `count` of the rows or columns."""
    return (count, shape[1]) if axis == 0 else (shape[0], count)
