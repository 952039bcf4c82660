"""Stored matrices and sets: what a term keeps outside the directory, whatever kind of term it is.

Strategy: a matrix is either raw, in the planes of the RAW section, or coded, integers in a stream of
CODES with the exponents of its rows and columns in stream 0. The walk over all terms (matrices.py) and
the writer (assembly.py) know no more of a term than the matrices and the set that it lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..codecs import ExpectedScales
from .grid import Exponents
from .member_sets import MemberSet

Shape = tuple[int, int]  # rows and columns of the matrix as which a tensor is seen


class CodedValues(Protocol):
    """Integers of a matrix and the exponents of its sides: a GridValues, or the IndexValues of a codebook."""

    @property
    def codes(self) -> np.ndarray:
        """int32[rows, columns]"""

    @property
    def row_exponents(self) -> np.ndarray | None:
        """int32 or int64[rows]; None: a side without steps."""

    @property
    def column_exponents(self) -> np.ndarray | None:
        """int32 or int64[columns]; None: a side without steps."""

    @property
    def base(self) -> float:
        """What the factors of the exponents multiply."""

    @property
    def resolution(self) -> int:
        """Steps per octave are 2**resolution."""

    def expected_scales(self) -> ExpectedScales:
        """What the integers are expected to be."""


class CodedRecord(Protocol):
    """What the directory says of a matrix in a stream."""

    @property
    def stream(self) -> int:
        """Number of its stream, 1.."""

    @property
    def resolution(self) -> int:
        """Steps per octave are 2**resolution."""

    @property
    def row_offset(self) -> int | None:
        """What was subtracted from its row exponents; None: no steps."""

    @property
    def column_offset(self) -> int | None:
        """What was subtracted from its column exponents; None: no steps."""

    def values(self, integers: np.ndarray, exponents: Exponents) -> CodedValues:
        """The matrix, from int32[rows, columns] of its stream and the exponents of stream 0."""

    def expected_scales(self, shape: Shape, exponents: Exponents) -> ExpectedScales:
        """What the integers of a matrix of that shape are expected to be."""


@dataclass(frozen=True, slots=True)
class RawMatrix:
    """A matrix in the planes of a storage; `name` says what it is within its term."""

    storage: str
    rows: int
    columns: int
    name: str = ""

    @property
    def elements(self) -> int:
        """Rows times columns."""
        return self.rows * self.columns


@dataclass(frozen=True, slots=True)
class CodedMatrix:
    """A matrix in a stream: the record that locates and scales it; `name` says what it is within its term."""

    record: CodedRecord
    rows: int
    columns: int
    name: str = ""

    @property
    def elements(self) -> int:
        """Rows times columns."""
        return self.rows * self.columns

    def expected_scales(self, exponents: Exponents) -> ExpectedScales:
        """What its integers are expected to be."""
        return self.record.expected_scales((self.rows, self.columns), exponents)


StoredMatrix = RawMatrix | CodedMatrix


@dataclass(frozen=True, slots=True)
class RawContent:
    """What a writer stores in RAW: float32 values of any shape, and their storage."""

    values: np.ndarray
    storage: str


@dataclass(frozen=True, slots=True)
class CodedContent:
    """What a writer stores in a stream (1..)."""

    values: CodedValues
    stream: int


StoredContent = RawContent | CodedContent


@dataclass(frozen=True, slots=True)
class StoredSet:
    """How a term's set is told, of numbers below `universe`; axis : 0 of rows, 1 of columns, None of elements."""

    record: MemberSet
    universe: int
    axis: int | None
