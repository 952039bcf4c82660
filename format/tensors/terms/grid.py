"""Grid: integers times the steps of their rows and columns (the arithmetic is in ../grid.py)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ....errors import InvalidArtifact, MalformedArtifact, UnsupportedArtifact
from ...codecs import ExpectedScales
from ...codecs.trellis import TRELLISES
from ...container.cursor import Cursor, Writer
from ..grid import (
    MAX_BASE,
    MAX_INITIAL_SCALE,
    MAX_RESOLUTION,
    MAX_STEP_OCTAVES,
    MIN_BASE,
    Exponents,
    GridValues,
    expected_scales,
    fit_initial_scale,
    reconstruct_grid,
)
from ..keys import TermKey
from ..member_sets import MemberSet
from ..stored import CodedContent, CodedMatrix, Shape, StoredMatrix
from .term import Arrays, Codebooks, Part, Term

NO_STEPS, OWN_STEPS = 0, 1


@dataclass(frozen=True, slots=True)
class Grid(Term):
    """The record of a grid.

    trellis_states : int                      0 for none
    row_offset, column_offset : int or None   exponent subtracted before coding; None: this side has no steps
    initial_scale : int                       starting scale of the coder, quarter octaves
    stream : int                              1-based index of the CODES stream that holds the integers
    """

    base: float
    resolution: int
    trellis_states: int
    row_offset: int | None
    column_offset: int | None
    initial_scale: int
    stream: int
    wire_id: ClassVar[int] = 1
    name: ClassVar[str] = "grid"

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Grid:
        """[R-GRD-1] to [R-GRD-4]; a trellis of another size is of a newer version."""
        start, where = cursor.offset, cursor.where
        base = cursor.f32("base step")
        if not (math.isfinite(base) and MIN_BASE <= base <= MAX_BASE):
            message = f"base step {base}, expected 2**-40..2**40"
            raise InvalidArtifact(message, rule="R-GRD-1", offset=start, where=where)
        resolution = read_resolution(cursor)
        trellis_states = cursor.u8("trellis states")
        if trellis_states and trellis_states not in TRELLISES:
            message = f"trellis of {trellis_states} states, this version knows {sorted(TRELLISES)}"
            raise UnsupportedArtifact(message, rule="R-GRD-4", offset=start + 5, where=where)
        row_offset = read_step_offset(cursor, resolution, "row")
        column_offset = read_step_offset(cursor, resolution, "column")
        initial_scale = read_initial_scale(cursor)
        return cls(base, resolution, trellis_states, row_offset, column_offset, initial_scale, cursor.varint("stream"))

    def write(self, writer: Writer) -> None:
        writer.f32(self.base)
        writer.u8(self.resolution)
        writer.u8(self.trellis_states)
        write_step_offset(writer, self.row_offset)
        write_step_offset(writer, self.column_offset)
        writer.signed_varint(self.initial_scale)
        writer.varint(self.stream)

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        return (self.matrix(*shape),)

    def matrix(self, rows: int, columns: int, name: str = "") -> CodedMatrix:
        """A matrix of this record; `name` says what it is within its term."""
        return CodedMatrix(self, rows, columns, name)

    def content(self, values: GridValues) -> GridValues:
        """What a part holds of a matrix of this record, from its decoded values."""
        return values

    def numbers(self, shape: Shape) -> int:
        """Its weights are made from as many integers, which count once."""
        return shape[0] * shape[1]

    @property
    def step_offsets(self) -> tuple[int | None, int | None]:
        return self.row_offset, self.column_offset

    def part(self, matrices: Sequence[Any], members: np.ndarray | None, key: TermKey) -> GridInStream:
        (values,) = matrices
        return GridInStream(values, self.stream)

    def describe(self, names: Sequence[str] = ()) -> str:
        sides = [side for side, offset in zip(("row", "column"), self.step_offsets, strict=True) if offset is not None]
        return f"{self.name} ({' and '.join(sides)} steps)" if sides else self.name

    def values(self, integers: np.ndarray, exponents: Exponents) -> GridValues:
        """The matrix of this record: int32[rows, columns] of its stream, and the exponents of stream 0."""
        return GridValues(integers, *exponents, self.base, self.resolution, self.trellis_states, self.initial_scale)

    def expected_scales(self, shape: Shape, exponents: Exponents) -> ExpectedScales:
        """What the integers of a matrix of that shape are expected to be."""
        rows, columns = (
            np.zeros(size, np.int32) if side is None else side for side, size in zip(exponents, shape, strict=True)
        )
        return expected_scales(rows, columns, self.resolution, self.initial_scale, self.trellis_states)


@dataclass(frozen=True, slots=True)
class GridInStream(Part):
    """A quantized matrix and the stream (1..) that holds its codes."""

    grid: GridValues
    stream: int

    @property
    def step_exponents(self) -> Exponents:
        return self.grid.row_exponents, self.grid.column_exponents

    def record(self, told: MemberSet | None = None, codebooks: Codebooks | None = None) -> Grid:
        grid = self.grid
        return Grid(
            float(np.float32(grid.base)),
            grid.resolution,
            grid.trellis_states,
            median_exponent(grid.row_exponents),
            median_exponent(grid.column_exponents),
            fit_initial_scale(grid),
            self.stream,
        )

    def stored(self, codebooks: Codebooks | None = None) -> tuple[CodedContent]:
        return (CodedContent(self.grid, self.stream),)

    def decoded(self) -> np.ndarray:
        """float32[rows, columns]."""
        return reconstruct_grid(self.grid)

    def reconstruct(
        self, shape: tuple[int, ...], *, arrays: Arrays = (), codebooks: Codebooks | None = None
    ) -> np.ndarray:
        return self.decoded().reshape(shape)


def median_exponent(exponents: np.ndarray | None) -> int | None:
    """What is subtracted from exponents before they are coded: the median leaves the least total magnitude."""
    return None if exponents is None else int(np.sort(exponents)[exponents.size // 2])


def read_resolution(cursor: Cursor) -> int:
    """[R-GRD-1]"""
    start = cursor.offset
    resolution = cursor.u8("resolution")
    if resolution > MAX_RESOLUTION:
        message = f"resolution {resolution}, expected 0..{MAX_RESOLUTION}"
        raise InvalidArtifact(message, rule="R-GRD-1", offset=start, where=cursor.where)
    return resolution


def read_initial_scale(cursor: Cursor) -> int:
    """[R-GRD-3]"""
    start = cursor.offset
    initial_scale = cursor.signed_varint("initial scale")
    if abs(initial_scale) > MAX_INITIAL_SCALE:
        message = f"initial scale {initial_scale}, expected at most {MAX_INITIAL_SCALE} in magnitude"
        raise InvalidArtifact(message, rule="R-GRD-3", offset=start, where=cursor.where)
    return initial_scale


def write_step_offset(writer: Writer, offset: int | None) -> None:
    """A step mode and, with steps, what was subtracted from the exponents."""
    writer.u8(NO_STEPS if offset is None else OWN_STEPS)
    if offset is not None:
        writer.signed_varint(offset)


def read_step_offset(cursor: Cursor, resolution: int, side: str = "row") -> int | None:
    """Inverse of `write_step_offset` [R-GRD-2], of the rows or the columns."""
    start = cursor.offset
    mode = cursor.u8(f"{side} steps")
    if mode not in (NO_STEPS, OWN_STEPS):
        raise MalformedArtifact(f"step mode {mode}, expected 0 or 1", rule="R-GRD-2", offset=start, where=cursor.where)
    if mode == NO_STEPS:
        return None
    offset = cursor.signed_varint(f"{side} step offset")
    if abs(offset) > MAX_STEP_OCTAVES << resolution:
        message = f"step offset {offset} is beyond {MAX_STEP_OCTAVES} octaves"
        raise InvalidArtifact(message, rule="R-GRD-2", offset=start, where=cursor.where)
    return offset
