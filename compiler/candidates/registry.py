"""The registry of candidate kinds: the ways in which a matrix may be stored.

Strategy: a kind proposes settings for a unit (a matrix with its statistics and the price of a byte) and fits one setting at
a time. Fitting is separate so that a choice made on the float matrix is fitted again to the target of the walk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from ..composite import Quantized
from .unit import Unit

Setting = tuple[str | int, ...]


class CandidateKind(Protocol):
    """One kind of candidate; its name is kebab-case."""

    name: ClassVar[str]

    def settings(self, unit: Unit) -> Sequence[Setting]:
        """Settings worth a trial for this matrix; none where the kind cannot hold it."""

    def follows_price(self, setting: Setting) -> bool:
        """Whether the bytes move with the byte price, as those of a grid do."""

    def fit(self, unit: Unit, setting: Setting) -> Quantized:
        """The matrix stored this way, at the unit's byte price."""


KINDS: dict[str, CandidateKind] = {}


def register_kind(kind: type) -> type:
    """Class decorator: add a kind under its name; a duplicate is refused."""
    if kind.name in KINDS:
        raise ValueError(f"candidate kind {kind.name!r} is registered twice")
    KINDS[kind.name] = kind()
    return kind
