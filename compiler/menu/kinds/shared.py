"""What the members of a group store together: once, in the first of them, and by its name in the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....format.tensors.grid import GridValues, reconstruct_grid
from ....format.tensors.set_choice import KnownSets
from ....format.tensors.terms import CodebookReference


@dataclass(frozen=True, slots=True)
class Shared:
    """One member's view of what its group shares.

    owner : index of the tensor that stores it; owned : whether this member is the one
    term : the owner's part that holds it (from 0)
    content : the codewords of a book, or the int64 members of a set
    """

    content: GridValues | np.ndarray
    owner: int
    owned: bool
    term: int = 0

    @property
    def place(self) -> tuple[int, int]:
        return self.owner, self.term

    @property
    def codewords(self) -> GridValues | CodebookReference:
        """What this member's codebook part says of its codewords."""
        return self.content if self.owned else CodebookReference(*self.place)

    @property
    def codebooks(self) -> dict[tuple[int, int], np.ndarray]:
        """Where a reference to the book finds float32[K, d] codewords."""
        return {} if self.owned else {self.place: reconstruct_grid(self.content)}

    def sets(self, universe: int) -> KnownSets:
        """The earlier set that this member may name, of numbers below `universe`."""
        return {} if self.owned else {self.place: (universe, self.content)}
