"""Codebook: values by index into a table of codewords, a codeword for every few neighbours of a row, or for all of it.

Strategy: an index is stored as its distance from the middle of the table, so that to an integer coder a
table in the order of its values looks like any other quantizer: integers around 0, of which one
magnitude is expected throughout. Codewords are looked up and multiplied by the factor of their row, one
float32 product a value (spec/tensors.md, chapter 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ....errors import InvalidArtifact, MalformedArtifact
from ...codecs import ExpectedScales
from ...container.cursor import Cursor, Writer
from ..grid import Exponents, GridValues, scale_of_magnitudes, step_table
from ..keys import TermKey
from ..member_sets import MemberSet
from ..stored import CodedContent, CodedMatrix, Shape, StoredContent, StoredMatrix
from .grid import (
    Grid,
    median_exponent,
    read_initial_scale,
    read_resolution,
    read_step_offset,
    write_step_offset,
)
from .raw import Raw, RawValues
from .selection import MATRIX_KINDS, inner_matrix, write_matrix
from .term import Arrays, Codebooks, EarlierTerms, Part, Problem, Term

MIN_CODEWORDS, MAX_CODEWORDS = 2, 1 << 16
MAX_DIMENSION = 1 << 16  # whole rows of any model
SHARED_BOOK = 2
CODEWORDS = "codewords"  # name of the matrix of a term's own codewords


@dataclass(frozen=True, slots=True)
class Indices:
    """The record of a codebook's indices, and of the factors of the rows that they make; its fields are
    those of a grid.
    """

    resolution: int
    row_offset: int | None
    initial_scale: int
    stream: int
    column_offset: ClassVar[None] = None

    @classmethod
    def read(cls, cursor: Cursor) -> Indices:
        """[R-GRD-1] to [R-GRD-3]"""
        resolution = read_resolution(cursor)
        return cls(
            resolution, read_step_offset(cursor, resolution), read_initial_scale(cursor), cursor.varint("stream")
        )

    def write(self, writer: Writer) -> None:
        writer.u8(self.resolution)
        write_step_offset(writer, self.row_offset)
        writer.signed_varint(self.initial_scale)
        writer.varint(self.stream)

    @classmethod
    def of(cls, values: IndexValues, stream: int) -> Indices:
        """The record of indices in a stream."""
        return cls(values.resolution, median_exponent(values.row_exponents), values.fitted_scale(), stream)

    def values(self, integers: np.ndarray, exponents: Exponents) -> IndexValues:
        """The matrix of this record: int32[rows, columns / d] of its stream, and the row exponents of stream 0."""
        return IndexValues(integers, exponents[0], self.resolution, self.initial_scale)

    def expected_scales(self, shape: Shape, exponents: Exponents) -> ExpectedScales:
        """One magnitude throughout: the factor of a row says nothing of its indices (spec/codecs.md)."""
        return _index_scales(shape, self.initial_scale)


@dataclass(frozen=True, slots=True)
class Codebook(Term):
    """The record: codewords of `dimension` numbers, by an index for each such block of a row, times a
    factor of the row.

    codewords : int                    how many there are
    book : Raw, Grid or (entry, term)  the codewords of this term, or the codebook term whose codewords it shares
    """

    codewords: int
    dimension: int
    book: Raw | Grid | TermKey
    indices: Indices
    wire_id: ClassVar[int] = 6
    name: ClassVar[str] = "codebook"

    @property
    def named(self) -> TermKey | None:
        """The codebook term whose codewords it shares, None of one that has its own."""
        return self.book if isinstance(self.book, tuple) else None

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Codebook:
        """[R-CBK-1], [R-CBK-2], [R-REC-7]"""
        start, where = cursor.offset, cursor.where
        codewords = cursor.varint("codewords")
        if not MIN_CODEWORDS <= codewords <= MAX_CODEWORDS:
            message = f"{codewords} codewords, expected {MIN_CODEWORDS}..{MAX_CODEWORDS}"
            raise InvalidArtifact(message, rule="R-CBK-1", offset=start, where=where)
        start = cursor.offset
        dimension = cursor.varint("dimension")
        if not 1 <= dimension <= MAX_DIMENSION or shape[1] % dimension:
            message = f"codewords of {dimension}, expected a divisor of {shape[1]} in 1..{MAX_DIMENSION}"
            raise InvalidArtifact(message, rule="R-CBK-2", offset=start, where=where)
        return cls(codewords, dimension, _read_book(cursor, (codewords, dimension)), Indices.read(cursor))

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
        indices = CodedMatrix(self.indices, shape[0], shape[1] // self.dimension, "indices")
        if isinstance(self.book, tuple):
            return (indices,)
        return self.book.matrix(self.codewords, self.dimension, CODEWORDS), indices

    def reference_problem(self, before: EarlierTerms) -> Problem | None:
        """[R-CBK-3]"""
        if self.named is None:
            return None
        _, other = before.find(self.named) or (None, None)
        if isinstance(other, Codebook) and other.named is None:
            if (other.codewords, other.dimension) == (self.codewords, self.dimension):
                return None
        size = f"{self.codewords} codewords of {self.dimension}"
        name = f"term {self.named[1]} of tensor {self.named[0]}"
        return f"{name} is no earlier codebook with {size} of its own", "R-CBK-3"

    def part(self, matrices: Sequence[Any], members: np.ndarray | None, key: TermKey) -> CodebookValues:
        """[R-CBK-4]"""
        *own, stored = matrices
        indices = stored.codes + self.codewords // 2
        if indices.min() < 0 or indices.max() >= self.codewords:
            message = f"indices {indices.min()}..{indices.max()} of {self.codewords} codewords"
            raise InvalidArtifact(message, rule="R-CBK-4", where=f"tensor {key[0]}, term {key[1]}")
        if isinstance(self.book, tuple):
            book: GridValues | RawValues | CodebookReference = CodebookReference(*self.book)
        else:
            book = self.book.content(own[0])
        return CodebookValues(book, indices, stored.row_exponents, self.indices.resolution, self.indices.stream)

    def describe(self, names: Sequence[str]) -> str:
        owner = "" if self.named is None else f" of {names[self.named[0]]}"
        steps = "" if self.indices.row_offset is None else ", row steps"
        return f"{self.name} ({self.codewords} x {self.dimension}{owner}{steps})"


def _read_book(cursor: Cursor, shape: Shape) -> Raw | Grid | TermKey:
    """The record of codewords of that shape, or the term that has them."""
    start = cursor.offset
    kind = cursor.u8("kind of codewords")
    if kind == SHARED_BOOK:
        return cursor.varint("tensor of the codewords"), cursor.u8("term of the codewords")
    if kind in MATRIX_KINDS:
        return MATRIX_KINDS[kind].read(cursor, shape)
    message = f"codewords of kind {kind}, expected 0..2"
    raise MalformedArtifact(message, rule="R-REC-7", offset=start, where=cursor.where)


@dataclass(frozen=True, slots=True)
class CodebookReference:
    """The codewords of a codebook part with its own: of tensor number `tensor`, its part number `term` (both from 0).

    It must stand before: in an earlier tensor, or in this one as an earlier part.
    """

    tensor: int
    term: int

    @property
    def key(self) -> TermKey:
        """How an artifact names it."""
        return self.tensor, self.term


@dataclass(frozen=True, slots=True)
class IndexValues:
    """Indices of a codebook as a stream holds them.

    codes : int32[rows, columns / d]       index - K // 2
    row_exponents : int32[rows] or None    factor 2**(exponent / 2**resolution) of every row; None: 1
    resolution : int                       0..3
    initial_scale : int or None            where the coder starts, quarter octaves; None: fitted when coded
    """

    codes: np.ndarray
    row_exponents: np.ndarray | None
    resolution: int
    initial_scale: int | None = None
    column_exponents: ClassVar[None] = None
    base: ClassVar[float] = 1.0

    def fitted_scale(self) -> int:
        """Quarter octaves nearest to the mean magnitude of the stored indices, unless they are fixed already."""
        if self.initial_scale is not None:
            return self.initial_scale
        return scale_of_magnitudes(float(np.abs(self.codes).mean()))

    def expected_scales(self) -> ExpectedScales:
        """What the stored indices are expected to be."""
        return _index_scales(self.codes.shape, self.fitted_scale())


def _index_scales(shape: Shape, initial_scale: int) -> ExpectedScales:
    return ExpectedScales(np.zeros(shape[0], np.int64), np.full(shape[1], initial_scale << 14, np.int64))


@dataclass(frozen=True, slots=True)
class CodebookValues(Part):
    """Codewords by index, times a factor of the row.

    value[i, j * d + t] = codewords[indices[i, j], t] * 2**(row_exponents[i] / 2**resolution)

    codewords : GridValues or RawValues [K, d], or CodebookReference; K and d to 65,536, d a divisor of the columns
    indices : int64[rows, columns / d]     0..K - 1. They are coded as index - K // 2, so order the
        codewords by value, or by how often they occur with the most frequent in the middle: near K // 2
        is cheap
    row_exponents : int64[rows] or None    within 20 octaves; None: no factors
    resolution : int                       0..3
    stream : int                           1.. of the indices and of a grid's codewords
    """

    codewords: GridValues | RawValues | CodebookReference
    indices: np.ndarray
    row_exponents: np.ndarray | None
    resolution: int
    stream: int

    def codewords_from(self, codebooks: Codebooks | None = None) -> np.ndarray:
        """float32[K, d]: the codewords that a decoder looks up; ValueError for a reference that `codebooks` lacks."""
        if not isinstance(self.codewords, CodebookReference):
            return inner_matrix(self.codewords, self.stream).decoded()
        if codebooks is None or self.codewords.key not in codebooks:
            raise ValueError(f"no codewords are known of part {self.codewords.term} of tensor {self.codewords.tensor}")
        return codebooks[self.codewords.key]

    def own_codewords(self) -> np.ndarray | None:
        return None if isinstance(self.codewords, CodebookReference) else self.codewords_from()

    def record(self, told: MemberSet | None = None, codebooks: Codebooks | None = None) -> Codebook:
        count, dimension = self.codewords_from(codebooks).shape
        indices = Indices.of(self._index_values(count), self.stream)
        if isinstance(self.codewords, CodebookReference):
            return Codebook(count, dimension, self.codewords.key, indices)
        return Codebook(count, dimension, inner_matrix(self.codewords, self.stream).record(), indices)

    def stored(self, codebooks: Codebooks | None = None) -> tuple[StoredContent, ...]:
        indices = CodedContent(self._index_values(len(self.codewords_from(codebooks))), self.stream)
        if isinstance(self.codewords, CodebookReference):
            return (indices,)
        return *inner_matrix(self.codewords, self.stream).stored(), indices

    def _index_values(self, codewords: int) -> IndexValues:
        """The indices as a stream holds them."""
        return IndexValues(center_indices(self.indices, codewords), self.row_exponents, self.resolution)

    def reconstruct(
        self, shape: tuple[int, ...], *, arrays: Arrays = (), codebooks: Codebooks | None = None
    ) -> np.ndarray:
        codewords = self.codewords_from(codebooks)
        check_indices(self.indices, len(codewords))
        found = codewords[self.indices].reshape(len(self.indices), -1)
        if self.row_exponents is not None:
            exponents = np.asarray(self.row_exponents, np.int64)
            lowest = int(exponents.min())
            factors = step_table(1.0, self.resolution, lowest, int(exponents.max()))[exponents - lowest]
            with np.errstate(over="ignore"):
                found = found * factors[:, None]
        return found.reshape(shape)


def check_indices(indices: np.ndarray, codewords: int) -> None:
    """ValueError for an index that is none of 0..codewords - 1."""
    if indices.min() < 0 or indices.max() >= codewords:
        raise ValueError(f"indices {indices.min()}..{indices.max()} of {codewords} codewords")


def center_indices(indices: np.ndarray, codewords: int) -> np.ndarray:
    """int32 as stored; ValueError for an index that is none of 0..codewords - 1."""
    indices = np.asarray(indices)
    check_indices(indices, codewords)
    return (indices - codewords // 2).astype(np.int32)
