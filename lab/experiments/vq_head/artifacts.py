"""The artifacts of vq-head: the token tables as grids, as codebooks and as low-rank factors, at equal bytes.

Strategy: at every budget the codebook of least predicted loss is the one that is judged. Variants of it say what its
bookkeeping costs, what rescued rows add to it and what a bias a token adds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....errors import DataError
from ....format.tensors.grid import matrix_shape
from ...measure.choices import Candidate
from ...measure.equal_bytes import Bench
from ...measure.rank_stability import count_of
from ..head_tables import table_choices, tables_of
from ..measured_artifact import MeasuredArtifact
from ..measuring import Choices, Measurements
from .head_bytes import head_bytes

ROWS_A_WORD = (2, 4, 8)  # whole rows; codewords are the vocabulary over this
QUARTER_ROWS_A_WORD = (2, 8)
VECTORS = ((2, 64), (2, 256), (4, 256), (8, 256))  # (weights in a codeword, codewords)
RESCUED = (0.05, 0.2, 1.0)  # of the rows
LEAST_SHARE = 8  # short codewords take less than this part of the weights they stand for
RANKS = (2, 4)  # of the low-rank head: the width over this
Setting = tuple[str | int, ...]  # a kind of representation, then its own setting


@dataclass(frozen=True, slots=True)
class HeadsAtBudget:
    """Artifacts of one budget.

    grid : the allocator's
    books, factors : codebooks and low-rank heads by their setting
    best : setting of the codebook of least predicted loss
    whole : setting of the best codebook of whole or wide rows, None where none fits
    rescued : the codebook `whole` by the share of its rows that a grid of the difference rescues
    free : `best` with its codewords and factors for nothing
    biased : `best` with a bias a token, None where the head can have none
    """

    bits: float
    budget: int
    float_model: MeasuredArtifact
    grid: MeasuredArtifact
    books: Mapping[Setting, MeasuredArtifact]
    factors: Mapping[Setting, MeasuredArtifact]
    best: Setting
    whole: Setting | None
    rescued: Mapping[float, MeasuredArtifact]
    free: MeasuredArtifact
    biased: MeasuredArtifact | None

    @property
    def book(self) -> MeasuredArtifact:
        return self.books[self.best]

    @property
    def low_rank(self) -> MeasuredArtifact | None:
        return self.factors[least_loss(self.factors)] if self.factors else None


@dataclass(frozen=True, slots=True)
class CodebookPlan:
    """What is measured: at `budgets` bits a weight, the codebooks of `menu` (settings), or the standard ones."""

    measurements: Measurements
    budgets: Sequence[float]
    menu: Sequence[Sequence[str | int]] | None

    def measure(self) -> list[HeadsAtBudget]:
        """Every artifact. DataError when no codebook fits into a budget."""
        rows, columns = self.measurements.part("head-shape", {}, lambda bench: list(_table_shape(bench)))
        menu = [tuple(each) for each in self.menu or codebook_menu(rows, columns)]
        low_rank = [("low-rank", "alone", max(1, columns // part)) for part in RANKS]
        self.measurements.expect(len(self.budgets) * (3 + len(menu) + len(low_rank) + len(RESCUED)))
        return [self._at(bits, rows, menu, low_rank) for bits in self.budgets]

    def _at(self, bits: float, rows: int, menu: Sequence[Setting], low_rank: Sequence[Setting]) -> HeadsAtBudget:
        kept = self.measurements
        budget = kept.budget_of(bits)
        grid = kept.at_bytes("allocator", budget, lambda bench: {})
        books = self._fitting({each: each for each in menu}, budget)
        factors = self._fitting({each: each for each in low_rank}, budget)
        if not books:
            raise DataError(f"no codebook head fits into {budget} bytes; this experiment needs a larger model")
        best = least_loss(books)
        wide = {setting: each for setting, each in books.items() if setting[0] == "vq-rows"}
        whole = least_loss(wide) if wide else None
        repairs = {share: (*whole[:-1], count_of(share, rows)) for share in RESCUED} if whole else {}
        rescued = self._fitting(repairs, budget)
        shown = books[best].extra
        free = self._head(best, budget + shown["codeword_bytes"] + shown["factor_bytes"])
        biased = self._head(best, budget, biased=True) if self._may_have_bias() else None
        return HeadsAtBudget(bits, budget, kept.float_model(), grid, books, factors, best, whole, rescued, free, biased)

    def _may_have_bias(self) -> bool:
        return self.measurements.part("bias-possible", {}, lambda bench: bench.with_head_bias() is not None)

    def _fitting(self, settings: Mapping[Any, Setting], budget: int) -> dict[Any, MeasuredArtifact]:
        """Heads of these settings, by the same keys; those that do not fit are left out."""
        heads = {key: self._head(setting, budget) for key, setting in settings.items()}
        return {key: head for key, head in heads.items() if head.fits}

    def _head(self, setting: Setting, budget: int, *, biased: bool = False) -> MeasuredArtifact:
        def choices(bench: Bench) -> Choices:
            return table_choices(bench, Candidate(str(setting[0]), tuple(setting[1:])))

        name = "head " + " ".join(map(str, setting))
        return self.measurements.at_bytes(name, budget, choices, head_bytes, must_fit=False, biased=biased)


def least_loss(artifacts: Mapping[Setting, MeasuredArtifact]) -> Setting:
    """The setting of least predicted loss: the evaluation text has no say."""
    return min(artifacts, key=lambda setting: artifacts[setting].predicted_loss)


def _table_shape(bench: Bench) -> tuple[int, int]:
    return matrix_shape(bench.model.tensors[tables_of(bench)[0]].values.shape)


def codebook_menu(rows: int, columns: int) -> list[Setting]:
    """Whole rows, quarters of rows, and short pieces, where they fit a head of this shape; at least the first."""
    whole = [("vq-rows", "scaled", 1, max(2, rows // share), 0) for share in ROWS_A_WORD]
    quarters = [("vq-rows", "scaled", 4, max(2, rows // share), 0) for share in QUARTER_ROWS_A_WORD if columns % 4 == 0]
    fitting = [each for each in VECTORS if columns % each[0] == 0 and math.prod(each) * LEAST_SHARE <= rows * columns]
    return whole + quarters + [("codebook", "scaled", width, count) for width, count in fitting]
