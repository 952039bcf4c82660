"""Raw: the values themselves, in byte planes of the RAW section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ....errors import MalformedArtifact
from ...container.cursor import Cursor, Writer
from ..keys import TermKey
from ..member_sets import MemberSet
from ..raw_planes import STORAGES, from_storage, to_storage
from ..stored import RawContent, RawMatrix, Shape, StoredMatrix
from .term import Arrays, Codebooks, Part, Term


@dataclass(frozen=True, slots=True)
class Raw(Term):
    """The record: in which storage the values are ("float32", "float16", "bfloat16")."""

    storage: str
    wire_id: ClassVar[int] = 0
    name: ClassVar[str] = "raw"
    stream: ClassVar[None] = None

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Raw:
        """One byte [R-RAW-1]."""
        offset = cursor.offset
        storage = cursor.u8("storage")
        if storage >= len(STORAGES):
            message = f"storage {storage}, expected 0..2"
            raise MalformedArtifact(message, rule="R-RAW-1", offset=offset, where=cursor.where)
        return cls(STORAGES[storage])

    def write(self, writer: Writer) -> None:
        writer.u8(STORAGES.index(self.storage))

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        return (self.matrix(*shape),)

    def matrix(self, rows: int, columns: int, name: str = "") -> RawMatrix:
        """A matrix of this record; `name` says what it is within its term."""
        return RawMatrix(self.storage, rows, columns, name)

    def content(self, values: np.ndarray) -> RawValues:
        """What a part holds of a matrix of this record, from its float32[rows, columns]."""
        return RawValues(values, self.storage, rounded=True)

    def numbers(self, shape: Shape) -> int:
        """Its weights are the numbers that it stores."""
        return shape[0] * shape[1]

    def part(self, matrices: Sequence[Any], members: np.ndarray | None, key: TermKey) -> RawValues:
        (values,) = matrices
        return self.content(values)

    def describe(self, names: Sequence[str] = ()) -> str:
        return f"{self.name} {self.storage}"


@dataclass(frozen=True, slots=True)
class RawValues(Part):
    """float32 values stored as `storage` ("float32", "float16", "bfloat16").

    rounded : bool   whether the values are those that the storage holds, so that they need no rounding: a decoder's are
    """

    values: np.ndarray
    storage: str
    rounded: bool = False
    stream: ClassVar[None] = None

    def record(self, told: MemberSet | None = None, codebooks: Codebooks | None = None) -> Raw:
        return Raw(self.storage)

    def stored(self, codebooks: Codebooks | None = None) -> tuple[RawContent]:
        return (RawContent(self.values, self.storage),)

    def decoded(self) -> np.ndarray:
        """float32: what the storage keeps of the values, in their shape."""
        if self.rounded:
            return self.values
        return from_storage(to_storage(self.values, self.storage), self.storage).reshape(np.shape(self.values))

    def reconstruct(
        self, shape: tuple[int, ...], *, arrays: Arrays = (), codebooks: Codebooks | None = None
    ) -> np.ndarray:
        return self.decoded().reshape(shape)
