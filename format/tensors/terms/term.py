"""What every kind of term offers: as a record of the directory, and with its content.

Strategy: a tensor is the sum of its terms (spec/tensors.md). Each kind has one file with two classes.
The *record* (a `Term`) is what the directory says: it reads and writes itself, lists the matrices that
it stores, checks what it refers to and describes itself. The *part* (a `Part`) is the term with its
content, as a writer gives it and as a decoder finds it: it makes the record and computes the values.
There is one `reconstruct` a kind, so what a compiler measures is what is decoded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...container.cursor import Cursor, Writer
from ..grid import Exponents, matrix_shape
from ..keys import TermKey
from ..member_sets import MemberSet
from ..stored import Shape, StoredContent, StoredMatrix, StoredSet

Problem = tuple[str, str]  # what is wrong, and the rule that it breaks
Codebooks = Mapping[TermKey, np.ndarray]  # float32[K, d] codewords of the codebook terms that store their own
Arrays = Sequence[np.ndarray] | Mapping[int, np.ndarray]  # float32 values of earlier tensors by their number


class Term(ABC):
    """The record of a term: a frozen dataclass of its fields in the directory."""

    __slots__ = ()
    wire_id: ClassVar[int]
    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Term:
        """The record of a tensor of that shape; ArtifactError when a rule that needs nothing else is broken."""

    @abstractmethod
    def write(self, writer: Writer) -> None:
        """The fields after the wire id; inverse of `read`."""

    @abstractmethod
    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        """The matrices it stores, in the order in which they stand in their sections."""

    @abstractmethod
    def part(self, matrices: Sequence[Any], members: np.ndarray | None, key: TermKey) -> Part:
        """The term with its content, from its decoded matrices and the members of its set.

        matrices : float32[rows, columns] of each raw one, and of each coded one what its record makes
            (`CodedRecord.values`)
        members : int64[n], ascending; None of a term without a set
        key : of this term, for errors. Raises ArtifactError when the content breaks a rule.
        """

    @abstractmethod
    def describe(self, names: Sequence[str]) -> str:
        """A few words for people; names : of the directory's tensors."""

    def numbers(self, shape: Shape) -> int:
        """What it counts for the limit on elements [R-DIR-4]: its weights, and the numbers that it makes them from."""
        return shape[0] * shape[1] + sum(matrix.elements for matrix in self.matrices(shape))

    def products(self, shape: Shape) -> int:
        """Multiplications that its values take beyond one a weight [R-REC-6]."""
        return 0

    def reference_problem(self, before: EarlierTerms) -> Problem | None:
        """What is wrong with what it refers to; None when nothing is."""
        return None

    @property
    def sources(self) -> tuple[int, ...]:
        """Tensors that are used when this one is [R-DIR-6]."""
        return ()

    def stored_set(self, shape: Shape) -> StoredSet | None:
        """How its set is told; None of a term without one."""
        return None

    @property
    def step_offsets(self) -> tuple[int | None, int | None] | None:
        """Of a grid, what is subtracted from its row and its column exponents; a side without steps has None."""
        return None


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor of the directory: `name` (unique), `shape`, `dtype` (what an export writes), `terms`
    whose sum it is.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    terms: tuple[Term, ...]

    @property
    def matrix_shape(self) -> Shape:
        """Rows and columns of the matrix as which it is seen."""
        return matrix_shape(self.shape)

    @property
    def elements(self) -> int:
        """Its weights."""
        rows, columns = self.matrix_shape
        return rows * columns

    @property
    def first_grid(self) -> int | None:
        """Number of its first grid term, None without any."""
        return next((t for t, term in enumerate(self.terms) if term.step_offsets is not None), None)


@dataclass(frozen=True, slots=True)
class EarlierTerms:
    """What stands before term `number` of `entry`: the terms of the tensors before it, and its own before that one."""

    tensors: Sequence[TensorEntry]
    entry: TensorEntry
    number: int

    def find(self, key: TermKey) -> tuple[TensorEntry, Term] | None:
        """An earlier term and its tensor, or None when there is none of that key."""
        tensor, term = key
        if tensor < len(self.tensors):
            entry = self.tensors[tensor]
            return (entry, entry.terms[term]) if term < len(entry.terms) else None
        here = tensor == len(self.tensors) and term < self.number
        return (self.entry, self.entry.terms[term]) if here else None


@dataclass(frozen=True, slots=True)
class Selection:
    """The members of a part's set, ascending, among the numbers below `universe`; axis : 0 rows, 1
    columns, None elements.
    """

    members: np.ndarray
    universe: int
    axis: int | None


class Part(ABC):
    """A term with its content."""

    __slots__ = ()

    @abstractmethod
    def record(self, told: MemberSet | None = None, codebooks: Codebooks | None = None) -> Term:
        """What the directory says of it.

        told : how its set is told; codebooks : the codewords that it may refer to
        """

    @abstractmethod
    def stored(self, codebooks: Codebooks | None = None) -> tuple[StoredContent, ...]:
        """What it stores in RAW and in the streams, in the order of its record's `matrices`."""

    @abstractmethod
    def reconstruct(
        self, shape: tuple[int, ...], *, arrays: Arrays = (), codebooks: Codebooks | None = None
    ) -> np.ndarray:
        """float32 array of `shape`: its values as a term of a tensor of that shape, bit-exact.

        arrays : values of earlier tensors by their number; needed for an Alias only
        codebooks : codewords by (tensor, term); needed for a CodebookReference only

        Values beyond float32 are infinite (such a tensor is refused); ValueError for shapes that do not fit together.
        """

    def selection(self, shape: Shape) -> Selection | None:
        """The set of a part that has one."""
        return None

    def own_codewords(self) -> np.ndarray | None:
        """float32[K, d]: the codewords that later parts may refer to."""
        return None

    @property
    def step_exponents(self) -> Exponents | None:
        """Of a grid, the exponents of its rows and of its columns; a side without steps has None."""
        return None


def sum_terms(terms: Sequence[np.ndarray]) -> np.ndarray:
    """The float32 sum of a tensor's terms in order."""
    with np.errstate(over="ignore", invalid="ignore"):
        return sum(terms[1:], terms[0])


def reconstruct_tensor(
    parts: Sequence[Part], shape: tuple[int, ...], *, arrays: Arrays = (), codebooks: Codebooks | None = None
) -> np.ndarray:
    """float32 array of `shape`: the sum of the parts, as a decoder computes it; see `Part.reconstruct`."""
    return sum_terms([part.reconstruct(shape, arrays=arrays, codebooks=codebooks) for part in parts])
