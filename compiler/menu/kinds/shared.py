"""What the members of a group store together: once, in the first of them, and by its name in the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....format.tensors.set_choice import KnownSets


@dataclass(frozen=True, slots=True)
class Shared:
    """One member's view of the set that its group shares.

    content : int64, the members of the set, ascending
    owner : index of the tensor that stores it; owned : whether this member is the one
    term : the owner's part that holds it (from 0)
    """

    content: np.ndarray
    owner: int
    owned: bool
    term: int = 0

    def sets(self, universe: int) -> KnownSets:
        """The earlier set that this member may name, of numbers below `universe`."""
        return {} if self.owned else {(self.owner, self.term): (universe, self.content)}
