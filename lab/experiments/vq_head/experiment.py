"""vq-head: is a codebook head a better use of the same bytes than a grid head, with all bookkeeping counted?

Strategy: the token tables are stored as codewords (whole rows, quarters of rows, or short pieces), a map from tokens to codewords and a
factor a row; the trunk as the allocator does, at the byte price that brings every artifact to the same bytes. Against it: the allocator's
grid, and low-rank factors alone. Which codebook is judged follows from the second-order prediction. A bias a token and rescued rows are
ablations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ....compiler.quantize.composite import CompositeMatrix
from ....compiler.rate_control.landing import Trial
from ....errors import DataError
from ....format.assembly import part_bytes
from ....format.tensors.grid import GridValues, matrix_shape
from ....format.tensors.parts import CodebookValues, GridInStream
from ...measure.equal_bytes import Bench, Candidate
from ...measure.rank_stability import count_of
from ..findings import Findings
from ..inputs import Inputs
from ..measuring import Choices, Measurements, Point
from ..row_rescue.experiment import tables_of
from .report import BudgetPoints, charts, observations, tables

BITS = (1.6, 2.4)  # a weight, of the whole artifact
ROWS_A_WORD = (2, 4, 8)  # whole rows; codewords are the vocabulary over this
QUARTER_ROWS_A_WORD = (2, 8)
VECTORS = ((2, 64), (2, 256), (4, 256), (8, 256))  # (weights in a codeword, codewords)
RESCUED = (0.05, 0.2, 1.0)  # of the rows
LEAST_SHARE = 8  # short codewords take less than this part of the weights they stand for
RANKS = (2, 4)  # of the low-rank head: the width over this


class VqHead:
    """Thesis of seed 004: structured compression of the output head by a codebook."""

    name: ClassVar[str] = "vq-head"
    thesis: ClassVar[str] = (
        "A codebook head (codewords, a token-to-codeword map, row factors) is a better use of the head's bytes than a grid, "
        "and than naive low-rank factors, after all bookkeeping is counted."
    )
    supports: ClassVar[tuple[str, ...]] = (
        "At some budget the best codebook head (by predicted loss) beats the grid head at equal artifact bytes "
        "(95 % interval of the paired divergence below 0).",
        "At every budget it beats low-rank factors alone.",
    )
    falsifies: ClassVar[tuple[str, ...]] = (
        "At every budget the grid head beats the best codebook head at equal artifact bytes.",
        "At every budget low-rank factors alone beat the best codebook head.",
    )

    def run(self, inputs: Inputs) -> Findings:
        kept = Measurements(self.name, inputs)
        plan = _Plan(kept, **inputs.chosen(budgets=BITS, menu=None))
        found = plan.measure()
        settings = {
            "bits a weight": ", ".join(f"{bits:g}" for bits in plan.budgets), "weights": kept.weights_and_matrices()[0],
            "evaluation tokens": inputs.tokens, "seed": inputs.seed, "trellis": "none", "drift correction, distillation": "none",
        }  # fmt: skip
        return Findings(observations(found), tables(found), charts(found), settings)


@dataclass
class _Plan:
    """Every artifact of the experiment; menu : settings (kind, *setting) of codebooks instead of the standard ones."""

    measurements: Measurements
    budgets: Sequence[float]
    menu: Sequence[Sequence[str | int]] | None

    def measure(self) -> list[BudgetPoints]:
        kept = self.measurements
        rows, columns = kept.part(
            "head-shape", {}, lambda b: list(matrix_shape(b.model.tensors[tables_of(b)[0]].values.shape))
        )
        menu = [tuple(each) for each in self.menu or codebook_menu(rows, columns)]
        low_rank = [("low-rank", "alone", max(1, columns // part)) for part in RANKS]
        kept.total = len(self.budgets) * (3 + len(menu) + len(low_rank) + len(RESCUED))
        return [self._at(bits, rows, menu, low_rank) for bits in self.budgets]

    def _at(self, bits: float, rows: int, menu: Sequence[tuple], low_rank: Sequence[tuple]) -> BudgetPoints:
        kept = self.measurements
        budget = kept.budget_of(bits)
        grid = kept.at_bytes("allocator", budget, lambda bench: {})
        books = self._fitting({each: self._head(each, budget) for each in menu})
        factors = self._fitting({each: self._head(each, budget) for each in low_rank})
        if not books:
            raise DataError(f"no codebook head fits into {budget} bytes; this experiment needs a larger model")
        best = min(books, key=lambda each: books[each].predicted_loss)
        wide = [each for each in books if each[0] == "vq-rows"]
        whole = min(wide, key=lambda each: books[each].predicted_loss) if wide else None
        rescued = self._fitting(
            {share: self._head((*whole[:-1], count_of(share, rows)), budget) for share in RESCUED} if whole else {}
        )
        shown = books[best].extra
        free = self._head(best, budget + shown["codeword_bytes"] + shown["factor_bytes"])
        biased = self._head(best, budget, biased=True) if self._bias_possible() else None
        return BudgetPoints(bits, budget, kept.float_model(), grid, books, factors, best, whole, rescued, free, biased)

    def _bias_possible(self) -> bool:
        return self.measurements.part("bias-possible", {}, lambda b: b.with_head_bias() is not None)

    @staticmethod
    def _fitting(points: Mapping[Any, Point]) -> dict[Any, Point]:
        return {key: point for key, point in points.items() if point.fits}

    def _head(self, setting: tuple, budget: int, *, biased: bool = False) -> Point:
        name = "head " + " ".join(map(str, setting))
        return self.measurements.at_bytes(
            name, budget, head_choices(setting), head_bytes, must_fit=False, biased=biased
        )


def codebook_menu(rows: int, columns: int) -> list[tuple[str | int, ...]]:
    """Whole rows, quarters of rows, and short pieces, where they fit a head of this shape; at least the first."""
    whole = [("vq-rows", "scaled", 1, max(2, rows // share), 0) for share in ROWS_A_WORD]
    quarters = [("vq-rows", "scaled", 4, max(2, rows // share), 0) for share in QUARTER_ROWS_A_WORD if columns % 4 == 0]
    short = [
        ("codebook", "scaled", width, count) for width, count in VECTORS
        if columns % width == 0 and width * count * LEAST_SHARE <= rows * columns
    ]  # fmt: skip
    return whole + quarters + short


def head_choices(setting: Sequence[str | int]) -> Callable[[Bench], Choices]:
    """All token tables by a kind of candidate and its setting."""
    return lambda bench: {i: Candidate(str(setting[0]), tuple(setting[1:])) for i in tables_of(bench)}


def head_bytes(bench: Bench, trial: Trial) -> Mapping[str, int]:
    """Bytes of the tables by a trial encode; of codebooks: codewords, row factors, the map, and rescued rows."""
    codec = bench.trials.codec
    found = {"head_bytes": 0, "codeword_bytes": 0, "factor_bytes": 0, "map_bytes": 0, "rescued_bytes": 0}
    for i in tables_of(bench):
        quantized = trial.quantized[i]
        shape = quantized.weights.shape
        whole = part_bytes(quantized.parts, shape, codec)
        found["head_bytes"] += whole
        if isinstance(quantized, CompositeMatrix) and isinstance(quantized.parts[0], CodebookValues):
            for name, value in _book_bytes(quantized.parts[0], shape, codec).items():
                found[name] += value
            found["rescued_bytes"] += whole - part_bytes(quantized.parts[:1], shape, codec)
    return found


def _book_bytes(book: CodebookValues, shape: tuple[int, int], codec: int) -> dict[str, int]:
    """What a codebook part alone takes, by what it is for."""
    words: GridValues = book.codewords
    codewords = part_bytes([GridInStream(words, 1)], words.codes.shape, codec)
    whole = part_bytes([book], shape, codec)
    factors = (
        0
        if book.row_exponents is None
        else whole - part_bytes([replace(book, row_exponents=None, resolution=0)], shape, codec)
    )
    return {"codeword_bytes": codewords, "factor_bytes": factors, "map_bytes": whole - codewords - factors}
