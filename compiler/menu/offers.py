"""Offers: the lines of the menus from which a matrix's kind is chosen, and those that several matrices
take together or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..quantize.representation import Quantized
from .kinds import KINDS, SHARED_KINDS, Unit
from .kinds.alias import ALONE
from .kinds.shared import Shared
from .setting import Setting

PLAIN, ALIAS = "grid", "alias"  # kinds that the menu treats apart


@dataclass(frozen=True, slots=True)
class Offer:
    """One line of a menu: the kind, its setting, octaves from the byte price, coded bytes and
    second-order loss in nats a token.

    shared : what the matrix stores for, or takes from, the other members of its group; None of one that stands alone
    bounded : whether large errors of rare tokens' logits are weighed as what they cost (statistics/large_errors.py)
    """

    kind: str
    setting: Setting
    octaves: float
    bytes: int
    predicted_loss: float
    shared: Shared | None = None
    bounded: bool = False

    @classmethod
    def of(cls, unit: Unit, kind: str, setting: Setting, made: Quantized, octaves: float = 0.0, **more: Any) -> Offer:
        """Of a matrix stored this way, by a trial encode; more : `shared`, `bounded`."""
        return cls(kind, setting, octaves, unit.bytes_of(made), made.predicted_loss, **more)

    @property
    def follows_price(self) -> bool:
        """Whether its bytes move with the byte price."""
        if self.kind == PLAIN:
            return True
        return (KINDS if self.shared is None else SHARED_KINDS)[self.kind].follows_price(self.setting)

    @property
    def fits_target(self) -> bool:
        """Whether a walk fits it to the corrected target: structure without a grid is the float
        weights' own, unless it is a group's.
        """
        return self.follows_price or self.shared is not None

    def fit(self, unit: Unit) -> Quantized:
        """The matrix of a unit stored this way, at the unit's own byte price."""
        if self.kind == PLAIN:
            return unit.grid()
        if self.shared is not None:
            return SHARED_KINDS[self.kind].fit(unit, self.setting, self.shared)
        return KINDS[self.kind].fit(unit, self.setting)

    def cost(self, nats_per_byte: float) -> float:
        """Its bytes and what its loss is worth in bytes."""
        return self.bytes + self.predicted_loss / nats_per_byte


@dataclass(frozen=True, slots=True)
class GroupOffer:
    """One choice for several matrices: all take their offer, or none does; offers by tensor index."""

    kind: str
    family: str
    setting: Setting
    offers: Mapping[int, Offer]

    @property
    def members(self) -> tuple[int, ...]:
        return tuple(self.offers)

    def cost(self, nats_per_byte: float) -> float:
        """Of all members together."""
        return sum(offer.cost(nats_per_byte) for offer in self.offers.values())


def is_mere_alias(offer: Offer) -> bool:
    """Whether a matrix takes the values of an earlier tensor as they are."""
    return offer.kind == ALIAS and offer.setting.how == ALONE
