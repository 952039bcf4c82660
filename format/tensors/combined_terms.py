"""Terms that combine several matrices, or put one in only some places of a tensor (spec/tensors.md, chapter 5).

Strategy: as in recipes.py a record's `write` and `read` stand side by side. The records of the matrices inside are those of
raw and grid terms, so this page only says which matrices there are, of which shapes, and how they are laid out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...errors import InvalidArtifact, MalformedArtifact
from ..container.cursor import Cursor, Writer
from .codebooks import MAX_CODEWORDS, MAX_DIMENSION, MIN_CODEWORDS
from .member_sets import MemberSet
from .recipes import Grid, Indices, Raw, Shape, StoredMatrix, register_term

MATRIX_KINDS = {Raw.wire_id: Raw, Grid.wire_id: Grid}
SHARED_BOOK = 2
AXES = ("rows", "columns")


def write_matrix(writer: Writer, record: Raw | Grid) -> None:
    writer.u8(record.wire_id)
    record.write(writer)


def read_matrix(cursor: Cursor, shape: Shape) -> Raw | Grid:
    """The record of a matrix inside a term, raw or grid; MalformedArtifact [R-REC-7] for another kind."""
    start = cursor.offset
    kind = cursor.u8()
    if kind not in MATRIX_KINDS:
        raise MalformedArtifact(
            f"a matrix of kind {kind}, expected 0 or 1", rule="R-REC-7", offset=start, where=cursor.where
        )
    return MATRIX_KINDS[kind].read(cursor, shape)


@register_term
@dataclass(frozen=True, slots=True)
class LowRank:
    """The product of a grid [rows, rank] and a grid [rank, columns]."""

    rank: int
    left: Grid
    right: Grid
    wire_id: ClassVar[int] = 3
    name: ClassVar[str] = "low-rank"

    def write(self, writer: Writer) -> None:
        writer.varint(self.rank)
        self.left.write(writer)
        self.right.write(writer)

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        rows, columns = shape
        return StoredMatrix(self.left, rows, self.rank, "left"), StoredMatrix(self.right, self.rank, columns, "right")

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> LowRank:
        start = cursor.offset
        rank = cursor.varint()
        if not 1 <= rank <= min(shape):
            message = f"rank {rank}, expected 1..{min(shape)}"
            raise InvalidArtifact(message, rule="R-REC-5", offset=start, where=cursor.where)
        return cls(rank, Grid.read(cursor, (shape[0], rank)), Grid.read(cursor, (rank, shape[1])))


@register_term
@dataclass(frozen=True, slots=True)
class Subset:
    """Some rows (axis 0) or columns (axis 1), with the values of a matrix that has only those; 0 elsewhere."""

    axis: int
    members: MemberSet
    record: Raw | Grid
    wire_id: ClassVar[int] = 4
    name: ClassVar[str] = "subset"

    def universe(self, shape: Shape) -> int:
        """How many rows or columns there are to choose from."""
        return shape[self.axis]

    def write(self, writer: Writer) -> None:
        writer.u8(self.axis)
        self.members.write(writer)
        write_matrix(writer, self.record)

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        rows, columns = (self.members.count, shape[1]) if self.axis == 0 else (shape[0], self.members.count)
        return (StoredMatrix(self.record, rows, columns, "values"),)

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Subset:
        start = cursor.offset
        axis = cursor.u8()
        if axis >= len(AXES):
            raise MalformedArtifact(f"axis {axis}, expected 0 or 1", rule="R-REC-8", offset=start, where=cursor.where)
        return cls(axis, MemberSet.read(cursor, shape[axis]), read_matrix(cursor, shape))


@register_term
@dataclass(frozen=True, slots=True)
class Sparse:
    """Some elements, by their places in row-major order, with the values of a matrix of one row; 0 elsewhere."""

    members: MemberSet
    record: Raw | Grid
    wire_id: ClassVar[int] = 5
    name: ClassVar[str] = "sparse"

    def universe(self, shape: Shape) -> int:
        """How many elements there are to choose from."""
        return shape[0] * shape[1]

    def write(self, writer: Writer) -> None:
        self.members.write(writer)
        write_matrix(writer, self.record)

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        return (StoredMatrix(self.record, 1, self.members.count, "values"),)

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Sparse:
        return cls(MemberSet.read(cursor, shape[0] * shape[1]), read_matrix(cursor, shape))


@register_term
@dataclass(frozen=True, slots=True)
class Codebook:
    """Codewords of `dimension` numbers, by an index for each such block of a row, times a factor of the row.

    codewords : int                    how many there are
    book : Raw, Grid or (entry, term)  the codewords of this term, or the codebook term whose codewords it shares
    """

    codewords: int
    dimension: int
    book: Raw | Grid | tuple[int, int]
    indices: Indices
    wire_id: ClassVar[int] = 6
    name: ClassVar[str] = "codebook"

    @property
    def named(self) -> tuple[int, int] | None:
        """The codebook term whose codewords it shares, None of one that has its own."""
        return self.book if isinstance(self.book, tuple) else None

    def write(self, writer: Writer) -> None:
        writer.varint(self.codewords)
        writer.varint(self.dimension)
        if isinstance(self.book, tuple):
            writer.u8(SHARED_BOOK)
            writer.varint(self.book[0])
            writer.u8(self.book[1])
        else:
            write_matrix(writer, self.book)
        self.indices.write(writer)

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        indices = StoredMatrix(self.indices, shape[0], shape[1] // self.dimension, "indices")
        if isinstance(self.book, tuple):
            return (indices,)
        return StoredMatrix(self.book, self.codewords, self.dimension, "codewords"), indices

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Codebook:
        start, where = cursor.offset, cursor.where
        codewords = cursor.varint()
        if not MIN_CODEWORDS <= codewords <= MAX_CODEWORDS:
            message = f"{codewords} codewords, expected {MIN_CODEWORDS}..{MAX_CODEWORDS}"
            raise InvalidArtifact(message, rule="R-CBK-1", offset=start, where=where)
        start = cursor.offset
        dimension = cursor.varint()
        if not 1 <= dimension <= MAX_DIMENSION or shape[1] % dimension:
            message = f"codewords of {dimension}, expected a divisor of {shape[1]} in 1..{MAX_DIMENSION}"
            raise InvalidArtifact(message, rule="R-CBK-2", offset=start, where=where)
        start = cursor.offset
        kind = cursor.u8()
        if kind == SHARED_BOOK:
            book = cursor.varint(), cursor.u8()
        elif kind in MATRIX_KINDS:
            book = MATRIX_KINDS[kind].read(cursor, (codewords, dimension))
        else:
            raise MalformedArtifact(
                f"codewords of kind {kind}, expected 0..2", rule="R-REC-7", offset=start, where=where
            )
        return cls(codewords, dimension, book, Indices.read(cursor))
