"""What subset and sparse share: a set of members, and one matrix, raw or a grid, with the values of these alone."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from ....errors import MalformedArtifact
from ...container.cursor import Cursor, Writer
from ..grid import GridValues
from ..member_sets import FINEST, SAME, MemberSet
from ..stored import Shape, StoredContent, StoredSet
from .grid import Grid, GridInStream
from .raw import Raw, RawValues
from .term import Codebooks, EarlierTerms, Part, Problem, Term

MATRIX_KINDS: dict[int, type[Raw] | type[Grid]] = {Raw.wire_id: Raw, Grid.wire_id: Grid}


def write_matrix(writer: Writer, record: Raw | Grid) -> None:
    """The record of a matrix inside a term."""
    writer.u8(record.wire_id)
    record.write(writer)


def read_matrix(cursor: Cursor, shape: Shape) -> Raw | Grid:
    """Inverse of `write_matrix`; MalformedArtifact [R-REC-7] for another kind than raw and grid."""
    start = cursor.offset
    kind = cursor.u8("kind of matrix")
    if kind not in MATRIX_KINDS:
        message = f"a matrix of kind {kind}, expected 0 or 1"
        raise MalformedArtifact(message, rule="R-REC-7", offset=start, where=cursor.where)
    return MATRIX_KINDS[kind].read(cursor, shape)


def inner_matrix(values: GridValues | RawValues, stream: int) -> GridInStream | RawValues:
    """A matrix inside a part; `stream` holds it when it is a grid."""
    return GridInStream(values, stream) if isinstance(values, GridValues) else values


class SelectionTerm(Term):
    """A record with `members`, the `record` of its matrix, and the `axis` of rows (0) or columns (1),
    None of elements.
    """

    __slots__ = ()
    if TYPE_CHECKING:

        @property
        def members(self) -> MemberSet: ...

        @property
        def record(self) -> Raw | Grid: ...

        @property
        def axis(self) -> int | None: ...

    @abstractmethod
    def stored_set(self, shape: Shape) -> StoredSet:
        """How its set is told, and how many rows, columns or elements there are to choose from."""

    @property
    def inner_stream(self) -> int:
        """The stream of its matrix; 0 of raw values, which have none."""
        return self.record.stream or 0

    def reference_problem(self, before: EarlierTerms) -> Problem | None:
        """[R-SET-4] for a set by steps, [R-SET-5] for one that names another."""
        told = self.members
        if told.encoding == FINEST and not self._has_steps(before):
            return "a set by steps that the tensor's first grid does not have", "R-SET-4"
        if told.named is None:
            return None
        universe = self.stored_set(before.entry.matrix_shape).universe
        found = before.find(told.named)
        other = found and found[1].stored_set(found[0].matrix_shape)
        if other is None or other.record.encoding == SAME or other.universe != universe:
            name = f"term {told.named[1]} of tensor {told.named[0]}"
            return f"{name} is no earlier set of {universe} that is told itself", "R-SET-5"
        if told.encoding == SAME and other.record.count != told.count:
            return f"a set of {told.count} that is the same as one of {other.record.count}", "R-SET-5"
        return None

    def _has_steps(self, before: EarlierTerms) -> bool:
        """Whether the tensor's first grid has steps on the side of the set."""
        number = before.entry.first_grid
        offsets = None if number is None else before.entry.terms[number].step_offsets
        return offsets is not None and self.axis is not None and offsets[self.axis] is not None


class SelectionPart(Part):
    """A part with a matrix `part` of some members' values, in `stream` when it is a grid."""

    __slots__ = ()
    if TYPE_CHECKING:

        @property
        def part(self) -> GridValues | RawValues: ...

        @property
        def stream(self) -> int: ...

    def stored(self, codebooks: Codebooks | None = None) -> tuple[StoredContent, ...]:
        return inner_matrix(self.part, self.stream).stored()

    def inner_values(self) -> np.ndarray:
        """float32: the values of the matrix inside, in its shape."""
        return inner_matrix(self.part, self.stream).decoded()

    def inner_values_of(self, shape: Shape) -> np.ndarray:
        """The same as a matrix of that shape (a vector is one row); ValueError when it has another."""
        values = np.atleast_2d(self.inner_values())
        if values.shape != shape:
            raise ValueError(f"a matrix of shape {values.shape} inside a part that needs {shape}")
        return values
