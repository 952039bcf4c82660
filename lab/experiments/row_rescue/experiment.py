"""row-rescue: is the head's damage in few vocabulary rows, and does rescuing those rows pay at equal bytes?

Strategy: the base quantizes the token tables (head and embedding, tied or not) on the same steps in all their rows, and
the trunk and the steps of columns as the allocator does. The strongest k % of the rows are rescued: by a residual of so
many octaves finer steps or by half-precision values, stored as a set, or by finer steps in the same grid. All artifacts
have the same bytes. How concentrated the damage is, is measured as well: the divergence that is left when only the
strongest rows are restored to their float values.
"""

from __future__ import annotations

from typing import ClassVar

from ..findings import Findings
from ..inputs import MEASURED, Inputs

BITS = 2.4  # a weight, of the whole artifact
SHARES = (0.02, 0.05, 0.1, 0.2)


class RowRescue:
    """Thesis of seed 000: rescue the few vocabulary rows that hold the damage."""

    name: ClassVar[str] = "row-rescue"
    thesis: ClassVar[str] = (
        "Most of the damage of quantizing embedding and head comes from a small subset of vocabulary rows, so that "
        "keeping only those rows in higher precision is the right use of the bytes."
    )
    supports: ClassVar[tuple[str, ...]] = (
        "The strongest 10 % of the rows hold half of the measured damage or more.",
        "The best rescue (by predicted loss) improves final bits per byte at equal artifact bytes: 95 % interval of "
        "the paired change below 0.",
    )
    falsifies: ClassVar[tuple[str, ...]] = (
        "The damage is diffuse: the strongest 10 % of the rows hold less than a quarter of it.",
        "The selected rows are unstable: the top 5 % overlap by less than 0.25 between slices of data (stable: 0.5 "
        "or more).",
        "Sets and residual records cost more bytes than the rescue gains (cheap: less than half of the gain).",
        "Rescuing rows does not improve final bits per byte on the scored artifact.",
    )

    def run(self, inputs: Inputs) -> Findings:
        """Measure every artifact. DataError for missing inputs, unknown options and budgets that hold nothing."""
        inputs.require(self.name, *MEASURED)
        from ..measuring import Measurements
        from .artifacts import RescuePlan
        from .damage import damage_by_row, row_stability
        from .report import charts, observations, tables

        kept = Measurements(self.name, inputs)
        plan = RescuePlan(kept, **inputs.chosen(shares=SHARES, bits=BITS))
        bits = {"bits": plan.bits}
        about = {
            "concentration": kept.part("row-concentration", bits, lambda bench: damage_by_row(bench, plan.budget)),
            "stability": kept.part("row-stability", {}, lambda bench: row_stability(bench, inputs.seed)),
        }
        found = plan.measure()
        settings = {"bits a weight": plan.bits, "budget, bytes": plan.budget, "weights": kept.weights}
        return Findings(observations(found, about), tables(found), charts(found), kept.settings(settings))
