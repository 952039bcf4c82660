"""What a kind of representation has to answer.

Strategy: a kind proposes settings for a unit (a matrix with its statistics and the price of a byte) and
fits one setting at a time. Fitting is separate so that a choice made on the float matrix is fitted
again to the target of the walk. A shared kind is for groups of matrices: each member tells what the
group needs to know of it, what they share is made of that once, and then every member is fitted to it,
as often as its target changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from ...quantize.representation import Quantized
from ..setting import Setting
from .shared import Shared
from .unit import Unit


class CandidateKind(Protocol):
    """One kind of candidate; its name is kebab-case."""

    name: ClassVar[str]
    setting: ClassVar[type[Setting]]

    def settings(self, unit: Unit) -> Sequence[Setting]:
        """Settings worth a trial for this matrix; none where the kind cannot hold it."""

    def follows_price(self, setting: Setting) -> bool:
        """Whether the bytes move with the byte price, as those of a grid do."""

    def fit(self, unit: Unit, setting: Setting) -> Quantized:
        """The matrix stored this way, at the unit's byte price."""


class SharedKind(Protocol):
    """One kind of candidate for a group of matrices, all of it or none; its name is kebab-case and no other kind's.

    families : kinds of groups that it is offered to (groups.py); term : the part (from 0) that holds what is shared
    """

    name: ClassVar[str]
    setting: ClassVar[type[Setting]]
    families: ClassVar[tuple[str, ...]]
    term: ClassVar[int]

    def tell(self, unit: Unit) -> Any:
        """What the groups of a matrix have to know of it, small."""

    def settings(self, told: Sequence[Any]) -> Sequence[Setting]:
        """Settings worth a thought for members that told this; none where the kind cannot hold them."""

    def join(self, told: Sequence[Any], setting: Setting) -> Any:
        """What the members share (`Shared.content`), of what they told."""

    def estimate(self, told: Sequence[Any], setting: Setting, content: Any, nats_per_byte: float) -> float:
        """About what the members would cost together: bytes, and loss in bytes. Settings are compared by it."""

    def follows_price(self, setting: Setting) -> bool:
        """Whether the bytes move with the byte price, as those of a grid do."""

    def fit(self, unit: Unit, setting: Setting, shared: Shared) -> Quantized:
        """One member stored this way, at the unit's byte price."""


def is_shared(kind: CandidateKind | SharedKind) -> bool:
    """Whether a kind is for groups."""
    return hasattr(kind, "families")
