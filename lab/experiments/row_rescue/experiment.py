"""row-rescue: is the head's damage in few vocabulary rows, and does rescuing those rows pay at equal bytes?

Strategy: the base quantizes the token tables (head and embedding, tied or not) on the same steps in all their rows, the trunk and the
steps of columns as the allocator does. The strongest k % of the rows are rescued: by a residual of so many octaves finer steps or by
half-precision values, told as a set, or by finer steps in the same grid. All artifacts have the same bytes. How concentrated the damage is,
is measured as well: the divergence that is left when only the strongest rows are restored to their float values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ....compiler.menu.kinds import Unit
from ....compiler.model.structure import token_tables
from ....compiler.pipeline import START_PRICE
from ....compiler.quantize.composite import CompositeMatrix
from ....compiler.quantize.gptq import QuantizedMatrix
from ....compiler.rate_control.landing import Trial
from ....compiler.statistics.swaps import measure_divergences
from ....format.assembly import part_bytes
from ....format.tensors.parts import GridInStream, RawValues, SubsetValues
from ....progress import silent
from ...measure.equal_bytes import Bench
from ...measure.rank_stability import count_of, rank_stability
from ...measure.sensitivity import calibrate_slices, data_slices
from ..findings import Findings
from ..inputs import Inputs
from ..measuring import Choices, Measurements, Point
from ..protected_sets import SLICE_TOKENS, SLICES, told_bytes
from ..steps import ALL_STEPS, COLUMN_STEPS, ONE_STEP, ROW_SCALE, ROW_STEPS, ROWS, Exceptions, Steps
from .report import RescuePoints, charts, observations, tables

BITS = 2.4  # a weight, of the whole artifact
SHARES = (0.02, 0.05, 0.1, 0.2)
RESIDUAL, RAW, FINER_STEPS = "residual", "float16", "steps"
HOWS = ((RESIDUAL, 1.0), (RESIDUAL, 2.0), (FINER_STEPS, 1.0), (FINER_STEPS, 2.0), (RAW, 0.0))
CONCENTRATION = (0.01, 0.05, 0.1)


class RowRescue:
    """Thesis of seed 000: rescue the few vocabulary rows that hold the damage."""

    name: ClassVar[str] = "row-rescue"
    thesis: ClassVar[str] = (
        "Most of the damage of quantizing embedding and head comes from a small subset of vocabulary rows, so that keeping only those rows "
        "in higher precision is the right use of the bytes."
    )
    supports: ClassVar[tuple[str, ...]] = (
        "The strongest 10 % of the rows hold half of the measured damage or more.",
        "The best rescue (by predicted loss) improves final bits per byte at equal artifact bytes: 95 % interval of the paired change below 0.",
    )
    falsifies: ClassVar[tuple[str, ...]] = (
        "The damage is diffuse: the strongest 10 % of the rows hold less than a quarter of it.",
        "The selected rows are unstable: the top 5 % overlap by less than 0.25 between slices of data (stable: 0.5 or more).",
        "Sets and residual records cost more bytes than the rescue gains (cheap: less than half of the gain).",
        "Rescuing rows does not improve final bits per byte on the scored artifact.",
    )

    def run(self, inputs: Inputs) -> Findings:
        kept = Measurements(self.name, inputs)
        plan = _Plan(kept, **inputs.chosen(shares=SHARES, bits=BITS))
        about = {
            "concentration": kept.part(
                "row-concentration", {"bits": plan.bits}, lambda b: _concentration(b, plan.budget)
            ),
            "stability": kept.part("row-stability", {}, lambda b: _stability(b, inputs.seed)),
        }
        found = plan.measure()
        settings = {
            "bits a weight": plan.bits, "budget, bytes": plan.budget, "weights": kept.weights_and_matrices()[0],
            "evaluation tokens": inputs.tokens, "seed": inputs.seed, "trellis": "none", "drift correction, distillation": "none",
        }  # fmt: skip
        return Findings(observations(found, about), tables(found, about), charts(found, about), settings)


@dataclass
class _Plan:
    """Every artifact of the experiment."""

    measurements: Measurements
    shares: Sequence[float]
    bits: float

    @property
    def budget(self) -> int:
        return self.measurements.budget_of(self.bits)

    def measure(self) -> RescuePoints:
        self.measurements.total = 7 + len(HOWS) * len(self.shares)
        bases = {rule: self._of_rule(rule) for rule in (COLUMN_STEPS, ALL_STEPS, ONE_STEP, ROW_STEPS, ROW_SCALE)}
        more = self._at(
            f"head {COLUMN_STEPS}", round(1.02 * self.budget), lambda b: table_choices(b, Steps(COLUMN_STEPS)), None
        )
        rescued = {}
        for how, octaves in HOWS:
            for share in self.shares:
                rescued[how, octaves, share] = self._rescued(how, octaves, share)
        return RescuePoints(self.budget, self.measurements.float_model(), bases, more, rescued)

    def _at(
        self,
        name: str,
        budget: int,
        choices: Callable[[Bench], Choices],
        extra: Callable[[Bench, Trial], Mapping[str, Any]] | None,
    ) -> Point:
        return self.measurements.at_bytes(name, budget, choices, extra)

    def _of_rule(self, rule: str) -> Point:
        if rule == ALL_STEPS:
            return self._at("allocator", self.budget, lambda b: {}, None)
        return self._at(f"head {rule}", self.budget, lambda b: table_choices(b, Steps(rule)), _table_bytes)

    def _rescued(self, how: str, octaves: float, share: float) -> Point:
        def choices(bench: Bench) -> Choices:
            members = tuple(strongest_rows(bench, share))
            return table_choices(bench, rescue(how, octaves, members))

        return self._at(f"head {COLUMN_STEPS}, rows {share:g} {how} {octaves:g}", self.budget, choices, _table_bytes)


@dataclass(frozen=True, slots=True)
class HalfPrecisionRows:
    """A matrix on the same steps in all rows with these rows, ascending, as half-precision values instead."""

    members: tuple[int, ...]

    def fit(self, unit: Unit) -> CompositeMatrix:
        base: QuantizedMatrix = Steps(COLUMN_STEPS).fit(unit)
        members = np.asarray(self.members, np.int64)
        base.grid.codes[members] = 0
        part = SubsetValues(0, members, RawValues(unit.target[members].astype(np.float32), RAW), 1)
        return unit.composite(ROWS, (RAW, len(members)), [GridInStream(base.grid, 1), part])


def rescue(how: str, octaves: float, members: tuple[int, ...]) -> Steps | Exceptions | HalfPrecisionRows:
    """A table on the same steps in all rows, with these rows rescued."""
    if how == RAW:
        return HalfPrecisionRows(members)
    return (Steps if how == FINER_STEPS else Exceptions)(COLUMN_STEPS, ROWS, members, octaves)


def table_choices(bench: Bench, choice: Steps | Exceptions | HalfPrecisionRows) -> Choices:
    """All token tables stored this way; they have a row a token each."""
    return {i: choice for i in tables_of(bench)}


def tables_of(bench: Bench) -> list[int]:
    return [i for i in token_tables(bench.model.program) if i in bench.matrices]


def row_claims(bench: Bench) -> np.ndarray:
    """float64[tokens]: what an error of the same size costs in each row, all tables together: g_i times the mean of L_jj^2."""
    prepared = [bench.unit(i, START_PRICE).prepared for i in tables_of(bench)]
    return sum(p.row_fisher * float(np.square(p.factor.diagonal()).mean()) for p in prepared)


def strongest_rows(bench: Bench, share: float) -> list[int]:
    """The share of all token rows with the greatest claims, ascending."""
    claims = row_claims(bench)
    return np.sort(np.argsort(-claims, kind="stable")[: count_of(share, len(claims))]).tolist()


def _table_bytes(bench: Bench, trial: Trial) -> dict[str, int]:
    """Bytes of the tables alone by a trial encode, and of their rescued rows and where these are."""
    codec = bench.trials.codec
    found = {i: trial.quantized[i] for i in tables_of(bench)}
    known = {"head_bytes": sum(part_bytes(q.parts, q.weights.shape, codec) for q in found.values())}
    return known | told_bytes(found, codec)


def _concentration(bench: Bench, budget: int) -> dict[str, list[float]]:
    """Share of the damage of the tables on equal row steps in the strongest 1, 5 and 10 % of the rows: predicted, and measured by restoring them.

    measured : 1 - KL(strongest rows restored to float) / KL(none restored), on held-out calibration text, the trunk float.
    """
    trial = bench.at_bytes(budget, table_choices(bench, Steps(COLUMN_STEPS)))
    tables = tables_of(bench)
    units = {i: bench.unit(i, trial.byte_price) for i in tables}
    losses = sum(units[i].row_losses(trial.quantized[i].weights) for i in tables)
    claims = row_claims(bench)
    order = np.argsort(-claims, kind="stable")
    predicted, swaps = [], [_restored(bench, trial, tables, order[:0])]
    for share in CONCENTRATION:
        top = order[: count_of(share, len(order))]
        predicted.append(float(losses[top].sum() / losses.sum()))
        swaps.append(_restored(bench, trial, tables, top))
    trials = bench.trials
    held_out = trials.held_out if len(trials.held_out) else bench.meter.sequences
    whole, *left = measure_divergences(bench.model, swaps, held_out, threads=trials.threads)
    return {"predicted": predicted, "measured": [1 - each / whole for each in left], "divergence": [whole]}


def _restored(bench: Bench, trial: Trial, tables: Sequence[int], rows: np.ndarray) -> dict[int, np.ndarray]:
    """The decoded tables with some rows as they were."""
    found = {}
    for i in tables:
        values = trial.quantized[i].weights.reshape(bench.model.tensors[i].values.shape).copy()
        values[rows] = bench.model.tensors[i].values[rows]
        found[i] = values
    return found


def _stability(bench: Bench, seed: int) -> dict[str, float]:
    """How far disjoint slices of text agree on the rows: rank correlation of their claims, overlap of the top 5 %."""
    trials, length = bench.trials, bench.model.program.sequence_length
    slices = data_slices(trials.text, length, SLICES * SLICE_TOKENS, SLICES)
    measured = calibrate_slices(bench.model, slices, seed, trials.threads, silent)
    rank = rank_stability(np.stack([sum(s.matrices[i].row_fisher for i in tables_of(bench)) for s in measured]))
    counts = np.bincount(trials.text[: trials.text.size], minlength=len(row_claims(bench)))[: len(row_claims(bench))]
    top = count_of(0.05, len(counts))
    frequent, strong = (set(np.argsort(-each, kind="stable")[:top].tolist()) for each in (counts, row_claims(bench)))
    return {
        "correlation": rank.mean_correlation, "overlap": rank.mean_overlap, "least_overlap": rank.least_overlap, "top": rank.top,
        "frequent": len(frequent & strong) / len(strong),
    }  # fmt: skip
