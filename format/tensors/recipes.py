"""Terms of a tensor recipe: the records of the directory that say how a tensor is reconstructed (spec/tensors.md).

Strategy: a tensor is the sum of its terms. Each kind of term is a frozen dataclass with a wire id; its `write` and
`read` stand side by side so that they cannot diverge, and one registry maps ids to kinds. Bulk data (raw planes, codes,
step exponents) lives in other sections; a term holds only what locates and scales it, and says in `matrices` which
matrices it stores there. This page has the kinds that are one matrix or none, combined_terms.py the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

from ...errors import InvalidArtifact, MalformedArtifact, UnsupportedArtifact
from ..codecs.trellis import TRELLISES
from ..container.cursor import Cursor, Writer
from .grid import MAX_BASE, MAX_INITIAL_SCALE, MAX_RESOLUTION, MAX_STEP_OCTAVES, MIN_BASE

STORAGES = ("float32", "float16", "bfloat16")
NO_STEPS, OWN_STEPS = 0, 1

Shape = tuple[int, int]  # rows and columns of the matrix as which a tensor is seen


@dataclass(frozen=True, slots=True)
class StoredMatrix:
    """A matrix that a term stores: the record that locates and scales it, its shape, its part in the term."""

    record: Raw | Grid | Indices
    rows: int
    columns: int
    name: str = ""

    @property
    def elements(self) -> int:
        return self.rows * self.columns


class Term(Protocol):
    """A kind of term."""

    wire_id: ClassVar[int]
    name: ClassVar[str]

    def write(self, writer: Writer) -> None: ...

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Term:
        """The term of a tensor of that shape; ArtifactError when a rule that needs nothing else is broken."""

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        """The matrices it stores, in the order in which they stand in their sections."""


@dataclass(frozen=True, slots=True)
class Raw:
    """The values themselves, in byte planes of the RAW section."""

    storage: str
    wire_id: ClassVar[int] = 0
    name: ClassVar[str] = "raw"

    def write(self, writer: Writer) -> None:
        writer.u8(STORAGES.index(self.storage))

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        return (StoredMatrix(self, *shape),)

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Raw:
        offset = cursor.offset
        storage = cursor.u8()
        if storage >= len(STORAGES):
            raise MalformedArtifact(
                f"storage {storage}, expected 0..2", rule="R-RAW-1", offset=offset, where=cursor.where
            )
        return cls(STORAGES[storage])


@dataclass(frozen=True, slots=True)
class Grid:
    """Integers times steps.

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

    def write(self, writer: Writer) -> None:
        writer.f32(self.base)
        writer.u8(self.resolution)
        writer.u8(self.trellis_states)
        _write_step_offset(writer, self.row_offset)
        _write_step_offset(writer, self.column_offset)
        writer.signed_varint(self.initial_scale)
        writer.varint(self.stream)

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        return (StoredMatrix(self, *shape),)

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Grid:
        start, where = cursor.offset, cursor.where
        base = cursor.f32()
        if not (math.isfinite(base) and MIN_BASE <= base <= MAX_BASE):
            raise InvalidArtifact(
                f"base step {base}, expected 2**-40..2**40", rule="R-GRD-1", offset=start, where=where
            )
        resolution = _read_resolution(cursor)
        trellis_states = cursor.u8()
        if trellis_states and trellis_states not in TRELLISES:
            message = f"trellis of {trellis_states} states, this version knows {sorted(TRELLISES)}"
            raise UnsupportedArtifact(message, rule="R-GRD-4", offset=start + 5, where=where)
        row_offset = _read_step_offset(cursor, resolution)
        column_offset = _read_step_offset(cursor, resolution)
        return cls(
            base, resolution, trellis_states, row_offset, column_offset, _read_initial_scale(cursor), cursor.varint()
        )


@dataclass(frozen=True, slots=True)
class Indices:
    """Indices of a codebook, and the steps of the rows that they make; the fields are those of a grid."""

    resolution: int
    row_offset: int | None
    initial_scale: int
    stream: int
    column_offset: ClassVar[None] = None

    def write(self, writer: Writer) -> None:
        writer.u8(self.resolution)
        _write_step_offset(writer, self.row_offset)
        writer.signed_varint(self.initial_scale)
        writer.varint(self.stream)

    @classmethod
    def read(cls, cursor: Cursor) -> Indices:
        resolution = _read_resolution(cursor)
        return cls(resolution, _read_step_offset(cursor, resolution), _read_initial_scale(cursor), cursor.varint())


def _read_resolution(cursor: Cursor) -> int:
    start = cursor.offset
    resolution = cursor.u8()
    if resolution > MAX_RESOLUTION:
        message = f"resolution {resolution}, expected 0..{MAX_RESOLUTION}"
        raise InvalidArtifact(message, rule="R-GRD-1", offset=start, where=cursor.where)
    return resolution


def _read_initial_scale(cursor: Cursor) -> int:
    start = cursor.offset
    initial_scale = cursor.signed_varint()
    if abs(initial_scale) > MAX_INITIAL_SCALE:
        message = f"initial scale {initial_scale}, expected at most {MAX_INITIAL_SCALE} in magnitude"
        raise InvalidArtifact(message, rule="R-GRD-3", offset=start, where=cursor.where)
    return initial_scale


def _write_step_offset(writer: Writer, offset: int | None) -> None:
    writer.u8(NO_STEPS if offset is None else OWN_STEPS)
    if offset is not None:
        writer.signed_varint(offset)


def _read_step_offset(cursor: Cursor, resolution: int) -> int | None:
    start = cursor.offset
    mode = cursor.u8()
    if mode not in (NO_STEPS, OWN_STEPS):
        raise MalformedArtifact(f"step mode {mode}, expected 0 or 1", rule="R-GRD-2", offset=start, where=cursor.where)
    if mode == NO_STEPS:
        return None
    offset = cursor.signed_varint()
    if abs(offset) > MAX_STEP_OCTAVES << resolution:
        message = f"step offset {offset} is beyond {MAX_STEP_OCTAVES} octaves"
        raise InvalidArtifact(message, rule="R-GRD-2", offset=start, where=cursor.where)
    return offset


@dataclass(frozen=True, slots=True)
class Alias:
    """The values of an earlier tensor of the same shape (tying, shared depth)."""

    source: int
    wire_id: ClassVar[int] = 2
    name: ClassVar[str] = "alias"

    def write(self, writer: Writer) -> None:
        writer.varint(self.source)

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        return ()

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Alias:
        return cls(cursor.varint())


TERMS: dict[int, type[Term]] = {}


def register_term(kind: type) -> type:
    """Class decorator: add a kind of term under its wire id; a second use is refused."""
    if kind.wire_id in TERMS or any(kind.name == other.name for other in TERMS.values()):
        raise ValueError(f"term {kind.wire_id} {kind.name!r} is registered twice")
    TERMS[kind.wire_id] = kind
    return kind


for _kind in (Raw, Grid, Alias):
    register_term(_kind)


def write_term(writer: Writer, term: Term) -> None:
    writer.u8(term.wire_id)
    term.write(writer)


def read_term(cursor: Cursor, shape: Shape) -> Term:
    """Read one term of a tensor of that shape; UnsupportedArtifact [R-REC-1] for a kind this version lacks."""
    start = cursor.offset
    kind = cursor.u8()
    if kind not in TERMS:
        message = f"term kind {kind}, this version knows {sorted(TERMS)}"
        raise UnsupportedArtifact(message, rule="R-REC-1", offset=start, where=cursor.where)
    return TERMS[kind].read(cursor, shape)
