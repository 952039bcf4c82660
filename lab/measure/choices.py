"""What a matrix may be instead of its plain grid: a candidate of the menu, a finer grid, or a grid with
given members protected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...compiler.menu.kinds import KINDS, Unit
from ...compiler.menu.kinds.sparse import weight_parts
from ...compiler.menu.kinds.subsets import COLUMNS, FINER, FINER_OCTAVES, ROWS, line_parts
from ...compiler.menu.setting import Selection
from ...compiler.quantize.representation import Quantized

WEIGHTS = 2  # beside ROWS and COLUMNS: members are row-major positions


class Choice(Protocol):
    """What a matrix is instead of its plain grid."""

    def fit(self, unit: Unit) -> Quantized:
        """The matrix of a unit stored this way, at the unit's own byte price."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kind of candidate and the values of its setting, whose members are the candidate's own choice."""

    kind: str
    setting: tuple[str | int, ...]

    def fit(self, unit: Unit) -> Quantized:
        kind = KINDS[self.kind]
        return kind.fit(unit, kind.setting(*self.setting))


@dataclass(frozen=True, slots=True)
class Finer:
    """The plain grid, so many octaves of the byte price from the others (finer below 0)."""

    octaves: float

    def fit(self, unit: Unit) -> Quantized:
        return unit.grid(octaves=self.octaves)


@dataclass(frozen=True, slots=True)
class Protected:
    """Given members of a matrix, protected.

    axis : ROWS, COLUMNS or WEIGHTS (row-major positions); members : int64, 1 to one less than there
        are, each once, in any order
    how : "finer", a second grid for what the first one misses there; "apart", a grid of their own;
        "raw", half-precision values
    octaves : of a "finer" grid of lines from the byte price
    """

    axis: int
    members: Sequence[int] | np.ndarray
    how: str = FINER
    octaves: float = FINER_OCTAVES

    def fit(self, unit: Unit) -> Quantized:
        members = np.sort(np.asarray(self.members, np.int64))
        kind = {ROWS: "rescued-rows", COLUMNS: "protected-columns", WEIGHTS: "sparse"}[self.axis]
        parts = (
            weight_parts(unit, members, self.how)
            if self.axis == WEIGHTS
            else line_parts(unit, self.axis, members, self.how, self.octaves)
        )
        return unit.composite(kind, Selection(self.how, len(members)), parts)


Choices = Mapping[int, Choice | tuple[str, tuple[str | int, ...]]]
