"""The tensor directory: names, shapes, export dtypes and recipes (spec/tensors.md).

Strategy: one record a tensor, in the order in which the program first uses them. `read_directory` checks each record on
its own and against the ones before it; `check_references` checks the directory against the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import InvalidArtifact, LimitExceeded, MalformedArtifact
from ..container.cursor import Cursor, Writer
from ..container.limits import Limits
from .combined_terms import Codebook, LowRank, Sparse, Subset
from .grid import matrix_shape
from .member_sets import FINEST, SAME, MemberSet
from .recipes import STORAGES, Alias, Grid, Raw, Term, read_term, write_term

MAX_TERMS = 8


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor: `name` (unique), `shape`, `dtype` (what an export writes) and the `terms` whose sum it is."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    terms: tuple[Term, ...]

    @property
    def elements(self) -> int:
        count = 1
        for size in self.shape:
            count *= size
        return count


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
    """Parse and check the DIRECTORY section; ArtifactError [R-DIR-*, R-REC-*, R-GRD-*, R-RAW-*] when a rule is broken."""
    cursor = Cursor(data, where="directory")
    count = cursor.varint()
    if count > limits.tensors or count * 4 > cursor.remaining:
        message = f"{count} tensors, the limit is {limits.tensors} and {cursor.remaining} bytes are left"
        raise LimitExceeded(message, rule="R-DIR-1", offset=0, where="directory")
    entries: list[TensorEntry] = []
    names: set[str] = set()
    elements = products = 0
    for index in range(count):
        start = cursor.offset
        entry = _read_entry(cursor, index, entries, limits)
        if entry.name in names:
            raise MalformedArtifact(
                f"duplicate tensor name {entry.name!r}", rule="R-DIR-2", offset=start, where="directory"
            )
        elements += sum(_numbers(entry, term) for term in entry.terms)
        if elements > limits.elements:
            message = f"more than {limits.elements} weights, counted once a term, up to tensor {entry.name!r}"
            raise LimitExceeded(message, rule="R-DIR-4", offset=start, where="directory")
        products += sum(entry.elements * term.rank for term in entry.terms if isinstance(term, LowRank))
        if products > limits.products:
            message = f"more than {limits.products} products of low rank up to tensor {entry.name!r}"
            raise LimitExceeded(message, rule="R-REC-6", offset=start, where="directory")
        names.add(entry.name)
        entries.append(entry)
    cursor.expect_end()
    return tuple(entries)


def _numbers(entry: TensorEntry, term: Term) -> int:
    """The weights of a term, and the numbers that it makes them from when they are others."""
    if isinstance(term, Raw | Grid):
        return entry.elements
    return entry.elements + sum(matrix.elements for matrix in term.matrices(matrix_shape(entry.shape)))


def _read_entry(cursor: Cursor, index: int, earlier: Sequence[TensorEntry], limits: Limits) -> TensorEntry:
    name = cursor.text()
    cursor.where = f"directory / tensor {name!r}"
    start = cursor.offset
    dtype = cursor.u8()
    if dtype >= len(STORAGES):
        raise MalformedArtifact(f"dtype {dtype}, expected 0..2", rule="R-DIR-3", offset=start, where=cursor.where)
    shape = _read_shape(cursor, limits)
    start = cursor.offset
    count = cursor.u8()
    if not 1 <= count <= MAX_TERMS:
        raise MalformedArtifact(
            f"{count} terms, expected 1..{MAX_TERMS}", rule="R-REC-2", offset=start, where=cursor.where
        )
    terms = tuple(read_term(cursor, matrix_shape(shape)) for _ in range(count))
    entry = TensorEntry(name, shape, STORAGES[dtype], terms)
    for number, term in enumerate(terms):
        problem = (
            _alias_problem(term, entry, earlier)
            or _set_problem(term, number, entry, earlier)
            or _book_problem(term, number, entry, earlier)
        )
        if problem:
            message, rule = problem
            raise InvalidArtifact(message, rule=rule, offset=start, where=cursor.where)
    cursor.where = "directory"
    return entry


def _alias_problem(term: Term, entry: TensorEntry, earlier: Sequence[TensorEntry]) -> tuple[str, str] | None:
    """What is wrong with the source of an alias, and the rule that it breaks."""
    if isinstance(term, Alias) and (term.source >= len(earlier) or earlier[term.source].shape != entry.shape):
        return f"alias of tensor {term.source}, expected an earlier tensor of shape {entry.shape}", "R-REC-3"
    return None


def _set_problem(term: Term, number: int, entry: TensorEntry, earlier: Sequence[TensorEntry]) -> tuple[str, str] | None:
    """What is wrong with what a set refers to, and the rule that it breaks."""
    told = set_of(term)
    if told is None:
        return None
    if told.encoding == FINEST and not (isinstance(term, Subset) and _has_steps(entry, term.axis)):
        return "a set by steps that the tensor's first grid does not have", "R-SET-4"
    if told.named is None:
        return None
    other = _named_term(told.named, number, entry, earlier)
    named = other and set_of(other[1])
    universe = term.universe(matrix_shape(entry.shape))
    if named is None or named.encoding == SAME or other[1].universe(matrix_shape(other[0].shape)) != universe:
        return (
            f"term {told.named[1]} of tensor {told.named[0]} is no earlier set of {universe} that is told itself",
            "R-SET-5",
        )
    if told.encoding == SAME and named.count != told.count:
        return f"a set of {told.count} that is the same as one of {named.count}", "R-SET-5"
    return None


def _book_problem(
    term: Term, number: int, entry: TensorEntry, earlier: Sequence[TensorEntry]
) -> tuple[str, str] | None:
    """What is wrong with the codewords that a codebook shares, and the rule that it breaks."""
    if not isinstance(term, Codebook) or term.named is None:
        return None
    _, other = _named_term(term.named, number, entry, earlier) or (None, None)
    own = isinstance(other, Codebook) and other.named is None
    if not own or (other.codewords, other.dimension) != (term.codewords, term.dimension):
        size = f"{term.codewords} codewords of {term.dimension}"
        return (
            f"term {term.named[1]} of tensor {term.named[0]} is no earlier codebook with {size} of its own",
            "R-CBK-3",
        )
    return None


def _named_term(
    named: tuple[int, int], number: int, entry: TensorEntry, earlier: Sequence[TensorEntry]
) -> tuple[TensorEntry, Term] | None:
    """An earlier term and its tensor, or None when there is none of that place."""
    tensor, term = named
    if tensor < len(earlier):
        return (earlier[tensor], earlier[tensor].terms[term]) if term < len(earlier[tensor].terms) else None
    return (entry, entry.terms[term]) if tensor == len(earlier) and term < number else None


def set_of(term: Term) -> MemberSet | None:
    """The set of a term, None of one without."""
    return term.members if isinstance(term, Subset | Sparse) else None


def first_grid(entry: TensorEntry) -> int | None:
    """Number of the first grid term of a tensor, None without any."""
    return next((t for t, term in enumerate(entry.terms) if isinstance(term, Grid)), None)


def _has_steps(entry: TensorEntry, axis: int) -> bool:
    number = first_grid(entry)
    return number is not None and (entry.terms[number].row_offset, entry.terms[number].column_offset)[axis] is not None


def _read_shape(cursor: Cursor, limits: Limits) -> tuple[int, ...]:
    start = cursor.offset
    dimensions = cursor.u8()
    if dimensions > limits.dimensions:
        message = f"{dimensions} dimensions, the limit is {limits.dimensions}"
        raise LimitExceeded(message, rule="R-DIR-4", offset=start, where=cursor.where)
    shape, elements = [], 1
    for _ in range(dimensions):
        size = cursor.varint()
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
            needed.update(term.source for term in entries[index].terms if isinstance(term, Alias))
    for index, entry in enumerate(entries):
        if index not in needed:
            message = f"tensor {entry.name!r} is used by no instruction"
            raise InvalidArtifact(message, rule="R-DIR-6", where="directory")
