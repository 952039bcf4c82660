"""The tensor directory: names, shapes, export dtypes and terms (spec/tensors.md).

Strategy: one record a tensor, in the order in which the program first uses them. `read_directory` checks each record on
its own and against the ones before it; `check_references` checks the directory against the program.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import InvalidArtifact, LimitExceeded, MalformedArtifact
from ..container.cursor import Cursor, Writer
from ..container.limits import Limits
from .grid import matrix_shape
from .raw_planes import STORAGES
from .stored import CodedMatrix
from .terms import EarlierTerms, TensorEntry, read_term, write_term

MAX_TERMS = 8


def write_directory(entries: Sequence[TensorEntry]) -> bytes:
    """Serialize the directory; inverse of `read_directory`."""
    writer = Writer()
    writer.varint(len(entries))
    for entry in entries:
        writer.text(entry.name)
        writer.u8(STORAGES.index(entry.dtype))
        writer.u8(len(entry.shape))
        for size in entry.shape:
            writer.varint(size)
        writer.u8(len(entry.terms))
        for term in entry.terms:
            write_term(writer, term)
    return writer.bytes()


def read_directory(data: bytes, limits: Limits) -> tuple[TensorEntry, ...]:
    """Parse and check the DIRECTORY section; ArtifactError [R-DIR-*, R-REC-*, R-GRD-*, R-RAW-*] when a
    rule is broken.
    """
    return read_directory_at(Cursor(data, where="directory"), limits)


def read_directory_at(cursor: Cursor, limits: Limits) -> tuple[TensorEntry, ...]:
    """`read_directory` of all that a cursor has left."""
    count = cursor.varint("tensors")
    if count > limits.tensors or count * 4 > cursor.remaining:
        message = f"{count} tensors, the limit is {limits.tensors} and {cursor.remaining} bytes are left"
        raise LimitExceeded(message, rule="R-DIR-1", offset=0, where="directory")
    entries: list[TensorEntry] = []
    names: set[str] = set()
    elements = sides = products = 0
    for _ in range(count):
        start = cursor.offset
        entry = _read_entry(cursor, entries, limits)
        if entry.name in names:
            raise MalformedArtifact(
                f"duplicate tensor name {entry.name!r}", rule="R-DIR-2", offset=start, where="directory"
            )
        elements += sum(term.numbers(entry.matrix_shape) for term in entry.terms)
        if elements > limits.elements:
            message = f"more than {limits.elements} weights, counted once a term, up to tensor {entry.name!r}"
            raise LimitExceeded(message, rule="R-DIR-4", offset=start, where="directory")
        coded = [m for term in entry.terms for m in term.matrices(entry.matrix_shape) if isinstance(m, CodedMatrix)]
        sides += sum(matrix.rows + matrix.columns for matrix in coded)
        if sides > limits.sides:
            message = f"more than {limits.sides} rows and columns of matrices in streams up to tensor {entry.name!r}"
            raise LimitExceeded(message, rule="R-DIR-7", offset=start, where="directory")
        products += sum(term.products(entry.matrix_shape) for term in entry.terms)
        if products > limits.products:
            message = f"more than {limits.products} products of low rank up to tensor {entry.name!r}"
            raise LimitExceeded(message, rule="R-REC-6", offset=start, where="directory")
        names.add(entry.name)
        entries.append(entry)
    cursor.expect_end()
    return tuple(entries)


def _read_entry(cursor: Cursor, earlier: Sequence[TensorEntry], limits: Limits) -> TensorEntry:
    name = cursor.text("name")
    cursor.where = f"directory / tensor {name!r}"
    start = cursor.offset
    dtype = cursor.u8("type")
    if dtype >= len(STORAGES):
        raise MalformedArtifact(f"dtype {dtype}, expected 0..2", rule="R-DIR-3", offset=start, where=cursor.where)
    shape = _read_shape(cursor, limits)
    start = cursor.offset
    count = cursor.u8("terms")
    if not 1 <= count <= MAX_TERMS:
        raise MalformedArtifact(
            f"{count} terms, expected 1..{MAX_TERMS}", rule="R-REC-2", offset=start, where=cursor.where
        )
    terms = tuple(read_term(cursor, matrix_shape(shape)) for _ in range(count))
    entry = TensorEntry(name, shape, STORAGES[dtype], terms)
    for number, term in enumerate(terms):
        problem = term.reference_problem(EarlierTerms(earlier, entry, number))
        if problem:
            message, rule = problem
            raise InvalidArtifact(message, rule=rule, offset=start, where=cursor.where)
    cursor.where = "directory"
    return entry


def _read_shape(cursor: Cursor, limits: Limits) -> tuple[int, ...]:
    start = cursor.offset
    dimensions = cursor.u8("dimensions")
    if dimensions > limits.dimensions:
        message = f"{dimensions} dimensions, the limit is {limits.dimensions}"
        raise LimitExceeded(message, rule="R-DIR-4", offset=start, where=cursor.where)
    shape, elements = [], 1
    for _ in range(dimensions):
        size = cursor.varint("size")
        elements *= size
        if size == 0:
            raise InvalidArtifact("a dimension of size 0", rule="R-DIR-5", offset=start, where=cursor.where)
        if elements > limits.elements:
            message = f"more than {limits.elements} weights"
            raise LimitExceeded(message, rule="R-DIR-4", offset=start, where=cursor.where)
        shape.append(size)
    return tuple(shape)


def check_references(entries: Sequence[TensorEntry], used: set[int]) -> None:
    """Every tensor is used by the program or is the source of an alias that is (R-DIR-6): no place to hide bytes."""
    needed = set(used)
    for index in reversed(range(len(entries))):
        if index in needed:
            needed.update(source for term in entries[index].terms for source in term.sources)
    for index, entry in enumerate(entries):
        if index not in needed:
            message = f"tensor {entry.name!r} is used by no instruction"
            raise InvalidArtifact(message, rule="R-DIR-6", where="directory")
