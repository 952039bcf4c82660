"""`token-groups`: rows of a token table as the mean of related tokens and a grid of the difference.

Strategy: the groups come from the tokenizer (vocabulary.py), the rest is that of `vq-rows`: group means are codewords, an index a
row names its group, so that an artifact needs no tokenizer. Measured on the tied table of the prose checkpoint (1,024 tokens; 144,138, 88,407 and
32,955 bytes as a grid at byte prices 3e-4, 1e-3 and 4e-3) it does not pay: 88 groups by first piece cost 3,284, 2,819 and 2,278 bytes more at equal
predicted loss, 818 by spelling 24,059, 20,674 and 10,746, where 32 groups of freely chosen rows (`vq-rows`) save 626, 689 and 439 bytes.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..composite import CompositeMatrix
from .prices import coded_cost
from .protocols import Setting
from .rescue import rescue_discounts, rescue_rows
from .row_clustering import Clusters
from .unit import Unit
from .vq_rows import row_codebook

MOST_COST = 1.5  # estimated, over that of a grid, of a grouping that is tried


class TokenGroupsKind:
    """Setting: (name of the grouping, "plain" or "scaled")."""

    name: ClassVar[str] = "token-groups"

    def settings(self, unit: Unit) -> list[Setting]:
        most = MOST_COST * coded_cost(unit, unit.target)
        usable = [
            name for name, labels in unit.groupings.items() if 2 <= labels.max() + 1 < len(labels) == len(unit.target)
        ]
        return [
            (name, how)
            for name in usable
            for how in ("plain", "scaled")
            if _estimate(unit, unit.groupings[name]) <= most
        ]

    def follows_price(self, setting: Setting) -> bool:
        return True

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        labels, rows = unit.groupings[str(setting[0])], len(unit.target)
        clusters, count = Clusters(labels, np.ones(rows)), int(labels.max()) + 1
        book = row_codebook(
            unit, clusters, np.ones(rows), scaled=setting[1] == "scaled", pieces=1, count=count, rescued=rows
        )
        return unit.composite(self.name, setting, [book, rescue_rows(unit, unit.target - unit.decoded([book]), rows)])


def _estimate(unit: Unit, labels: np.ndarray) -> float:
    """Nats a token of the loss and bits of group means, indices and differences, all rows at one scale."""
    clusters, count = Clusters(labels, np.ones(len(labels))), int(labels.max()) + 1
    words = clusters.means(unit.target, unit.row_fisher, count)
    error = unit.target - words[labels]
    claims = clusters.claims(unit.row_fisher * rescue_discounts(unit, error, len(error)), count)
    return (
        coded_cost(unit, error)
        + coded_cost(unit, words, unit.factor, np.sqrt(claims))
        + unit.bit_value * len(labels) * np.log2(count)
    )


KIND = TokenGroupsKind()
