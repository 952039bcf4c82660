"""Alias: the values of an earlier tensor of the same shape (tying, shared depth). It stores nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...container.cursor import Cursor, Writer
from ..keys import TermKey
from ..member_sets import MemberSet
from ..stored import Shape, StoredMatrix
from .term import Arrays, Codebooks, EarlierTerms, Part, Problem, Term


@dataclass(frozen=True, slots=True)
class Alias(Term, Part):
    """The record, which is all there is: the number of the source."""

    source: int
    wire_id: ClassVar[int] = 2
    name: ClassVar[str] = "alias"
    stream: ClassVar[None] = None

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> Alias:
        return cls(cursor.varint("source tensor"))

    def write(self, writer: Writer) -> None:
        writer.varint(self.source)

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        return ()

    def reference_problem(self, before: EarlierTerms) -> Problem | None:
        """[R-REC-3]"""
        shape = before.entry.shape
        if self.source < len(before.tensors) and before.tensors[self.source].shape == shape:
            return None
        return f"alias of tensor {self.source}, expected an earlier tensor of shape {shape}", "R-REC-3"

    @property
    def sources(self) -> tuple[int, ...]:
        return (self.source,)

    def part(self, matrices: Sequence[Any], members: np.ndarray | None, key: TermKey) -> Alias:
        return self

    def describe(self, names: Sequence[str]) -> str:
        return f"{self.name} of {names[self.source]}"

    def record(self, told: MemberSet | None = None, codebooks: Codebooks | None = None) -> Alias:
        return self

    def stored(self, codebooks: Codebooks | None = None) -> tuple[()]:
        return ()

    def reconstruct(
        self, shape: tuple[int, ...], *, arrays: Arrays = (), codebooks: Codebooks | None = None
    ) -> np.ndarray:
        return arrays[self.source].reshape(shape)
