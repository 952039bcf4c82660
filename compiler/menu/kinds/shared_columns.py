"""`shared-columns`: one set of input channels that several matrices protect, told once.

Strategy: matrices that read one register, or the residual stream in any layer, have the same channels.
Each tells what its columns would lose, as `protected-columns` weighs them; the set is of the channels
that lose most in all together, so that only the first member pays for it (the format's set encoding
*same*). The set stays when targets change in a walk; its values are fitted again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....format.assembly import part_bytes
from ..composite import CompositeMatrix
from ..setting import Selection
from .protected_columns import ProtectedColumnsKind
from .shared import Shared
from .subsets import APART, COLUMNS, RAW, line_losses, line_parts
from .unit import Unit

SUBSET_TERM = 1  # after the grid


@dataclass(frozen=True, slots=True)
class Told:
    """What a member's columns lose, float64[columns] by what ranks them, and its own best: (bytes,
    loss, bytes of the set) by setting.
    """

    shape: tuple[int, int]
    losses: dict[str, np.ndarray]
    alone: dict[Selection, tuple[int, float, int]]


class SharedColumnsKind:
    """The columns that lose most in all members together: `Selection`."""

    name: ClassVar[str] = "shared-columns"
    setting: ClassVar[type[Selection]] = Selection
    families: ClassVar[tuple[str, ...]] = ("input", "stream")
    term: ClassVar[int] = SUBSET_TERM

    def settings(self, told: Sequence[Told]) -> list[Selection]:
        """Those that every member would have alone."""
        return [setting for setting in told[0].alone if all(setting in each.alone for each in told)]

    def tell(self, unit: Unit) -> Told:
        single = ProtectedColumnsKind()
        rankings = {_ranking(setting.how) for setting in single.settings(unit)}
        losses = {how: line_losses(unit, COLUMNS, how) for how in sorted(rankings)}
        return Told(unit.shape, losses, {setting: _alone(unit, single, setting) for setting in single.settings(unit)})

    def join(self, told: Sequence[Told], setting: Selection) -> np.ndarray:
        """int64[n], ascending: the channels that lose most, summed over the members."""
        losses = sum(each.losses[_ranking(setting.how)] for each in told)
        return np.sort(np.argsort(-losses, kind="stable")[: setting.count]).astype(np.int64)

    def estimate(self, told: Sequence[Told], setting: Selection, content: np.ndarray, nats_per_byte: float) -> float:
        """What the members' own sets would cost if only the first were told: nearly a lower bound."""
        found = [each.alone[setting] for each in told]
        return sum(size + loss / nats_per_byte for size, loss, _ in found) - sum(mask for *_, mask in found[1:])

    def follows_price(self, setting: Selection) -> bool:
        return True

    def fit(self, unit: Unit, setting: Selection, shared: Shared) -> CompositeMatrix:
        parts = line_parts(unit, COLUMNS, shared.content, setting.how)
        return unit.composite(self.name, setting, parts, sets=shared.sets(unit.shape[1]))


def _ranking(how: str) -> str:
    """What ranks the columns: raw values stand apart, too."""
    return APART if how == RAW else how


def _alone(unit: Unit, single: ProtectedColumnsKind, setting: Selection) -> tuple[int, float, int]:
    """Bytes and loss with the best columns of this matrix alone, and how many of the bytes tell which they are."""
    found = single.fit(unit, setting)
    known = {(0, SUBSET_TERM): (unit.shape[1], found.parts[SUBSET_TERM].members)}
    return found.bytes, found.predicted_loss, found.bytes - part_bytes(found.parts, unit.shape, unit.codec, sets=known)


KIND = SharedColumnsKind()
