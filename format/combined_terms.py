"""Terms that combine several matrices, or put one in only some places of a tensor (spec/tensors.md, chapter 5).

Strategy: as in recipes.py a record's `write` and `read` stand side by side. The records of the matrices inside are those of
raw and grid terms, so this page only says which matrices there are, of which shapes, and how they are laid out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .cursor import Cursor, Writer
from .errors import InvalidArtifact
from .recipes import Grid, Shape, StoredMatrix, register_term


@register_term
@dataclass(frozen=True, slots=True)
class LowRank:
    """The product of a grid [rows, rank] and a grid [rank, columns]."""

    rank: int
    left: Grid
    right: Grid
    wire_id: ClassVar[int] = 3
    name: ClassVar[str] = "low-rank"

    def write(self, writer: Writer) -> None:
        writer.varint(self.rank)
        self.left.write(writer)
        self.right.write(writer)

    def matrices(self, shape: Shape) -> tuple[StoredMatrix, ...]:
        rows, columns = shape
        return StoredMatrix(self.left, rows, self.rank, "left"), StoredMatrix(self.right, self.rank, columns, "right")

    @classmethod
    def read(cls, cursor: Cursor, shape: Shape) -> LowRank:
        start = cursor.offset
        rank = cursor.varint()
        if not 1 <= rank <= min(shape):
            message = f"rank {rank}, expected 1..{min(shape)}"
            raise InvalidArtifact(message, rule="R-REC-5", offset=start, where=cursor.where)
        return cls(rank, Grid.read(cursor, (shape[0], rank)), Grid.read(cursor, (rank, shape[1])))
