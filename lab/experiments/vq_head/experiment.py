"""vq-head: is a codebook head a better use of the same bytes than a grid head, with all bookkeeping counted?

Strategy: the token tables are stored as codewords (whole rows, quarters of rows, or short pieces), a map from
tokens to codewords and a factor a row; the trunk as the allocator does, at the byte price that brings every
artifact to the same bytes. Against it: the allocator's grid, and low-rank factors alone. Which codebook is
judged follows from the second-order prediction. A bias a token and rescued rows are ablations.
"""

from __future__ import annotations

from typing import ClassVar

from ..findings import Findings
from ..inputs import MEASURED, Inputs

BITS = (1.6, 2.4)  # a weight, of the whole artifact


class VqHead:
    """Thesis of seed 004: structured compression of the output head by a codebook."""

    name: ClassVar[str] = "vq-head"
    thesis: ClassVar[str] = (
        "A codebook head (codewords, a token-to-codeword map, row factors) is a better use of the head's bytes than a "
        "grid, and than naive low-rank factors, after all bookkeeping is counted."
    )
    supports: ClassVar[tuple[str, ...]] = (
        "At some budget the best codebook head (by predicted loss) beats the grid head at equal artifact bytes (95 % "
        "interval of the paired divergence below 0).",
        "At every budget it beats low-rank factors alone.",
    )
    falsifies: ClassVar[tuple[str, ...]] = (
        "At every budget the grid head beats the best codebook head at equal artifact bytes.",
        "At every budget low-rank factors alone beat the best codebook head.",
    )

    def run(self, inputs: Inputs) -> Findings:
        """Measure every artifact. DataError for missing inputs, unknown options and budgets that hold nothing."""
        inputs.require(self.name, *MEASURED)
        from ..measuring import Measurements
        from .artifacts import CodebookPlan
        from .report import charts, observations, tables

        kept = Measurements(self.name, inputs)
        plan = CodebookPlan(kept, **inputs.chosen(budgets=BITS, menu=None))
        found = plan.measure()
        settings = {"bits a weight": ", ".join(f"{bits:g}" for bits in plan.budgets), "weights": kept.weights}
        return Findings(observations(found), tables(found), charts(found), kept.settings(settings))
