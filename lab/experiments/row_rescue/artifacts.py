"""The artifacts of row-rescue: the token tables on simple row steps, with and without rescued rows, at equal bytes.

Strategy: the base has the same steps in all rows of the tables. A share of the rows is rescued in one of
several ways: by a residual on finer steps, by half-precision values, or by finer steps in the same grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ....compiler.menu.composite import CompositeMatrix
from ....compiler.menu.kinds import Unit
from ....compiler.menu.setting import Selection
from ....compiler.rate_control.landing import Trial
from ....format.assembly import part_bytes
from ....format.tensors.terms import GridInStream, RawValues, SubsetValues
from ...measure.choices import Choice
from ...measure.equal_bytes import Bench
from ...measure.simple_steps import ALL_STEPS, COLUMN_STEPS, ONE_STEP, ROW_SCALE, ROW_STEPS
from ..comparing import gain
from ..finer_members import ROWS, OnSteps, WithResidual
from ..head_tables import quantized_tables, strongest_rows, table_choices
from ..measured_artifact import MeasuredArtifact
from ..measuring import Choices, Measurements
from ..protected_sets import exception_bytes

RULES = (COLUMN_STEPS, ALL_STEPS, ONE_STEP, ROW_STEPS, ROW_SCALE)  # of the tables' steps; the first is the base
RESIDUAL, RAW, FINER_STEPS = "residual", "float16", "steps"
WAYS = ((RESIDUAL, 1.0), (RESIDUAL, 2.0), (FINER_STEPS, 1.0), (FINER_STEPS, 2.0), (RAW, 0.0))  # (how, octaves finer)
MORE = 1.02  # of the budget: what a byte gains on the base
Rescued = Mapping[tuple[str, float, float], MeasuredArtifact]


@dataclass(frozen=True, slots=True)
class RescueArtifacts:
    """Every artifact of the experiment.

    bases : by the rule of the tables' steps; more : the base with 2 % more bytes
    rescued : by (how, octaves, share of the rows)
    """

    budget: int
    float_model: MeasuredArtifact
    bases: Mapping[str, MeasuredArtifact]
    more: MeasuredArtifact
    rescued: Rescued

    @property
    def plain(self) -> MeasuredArtifact:
        return self.bases[COLUMN_STEPS]

    @property
    def best(self) -> tuple[tuple[str, float, float], MeasuredArtifact]:
        """The rescue of least predicted loss: the evaluation text has no say."""
        return min(self.rescued.items(), key=lambda item: item[1].predicted_loss)

    @property
    def gain_of_a_byte(self) -> float:
        """ln of divergence that one more byte gains on the base."""
        return gain(self.plain, self.more) / (self.more.bytes - self.plain.bytes)


@dataclass(frozen=True, slots=True)
class RescuePlan:
    """What is measured: `shares` of the rows to rescue, at `bits` a weight of the whole artifact."""

    measurements: Measurements
    shares: Sequence[float]
    bits: float

    @property
    def budget(self) -> int:
        return self.measurements.budget_of(self.bits)

    def measure(self) -> RescueArtifacts:
        """Every artifact."""
        kept = self.measurements
        kept.expect(len(RULES) + 2 + len(WAYS) * len(self.shares))
        bases = {rule: self._of_rule(rule) for rule in RULES}
        more = kept.at_bytes(f"head {COLUMN_STEPS}", round(MORE * self.budget), base_choices)
        rescued = {(*way, share): self._rescued(*way, share) for way in WAYS for share in self.shares}
        return RescueArtifacts(self.budget, kept.float_model(), bases, more, rescued)

    def _of_rule(self, rule: str) -> MeasuredArtifact:
        if rule == ALL_STEPS:
            return self.measurements.at_bytes("allocator", self.budget, lambda bench: {})
        choices = lambda bench: table_choices(bench, OnSteps(rule))  # noqa: E731
        return self.measurements.at_bytes(f"head {rule}", self.budget, choices, _table_bytes)

    def _rescued(self, how: str, octaves: float, share: float) -> MeasuredArtifact:
        def choices(bench: Bench) -> Choices:
            return table_choices(bench, rescue(how, octaves, tuple(strongest_rows(bench, share))))

        name = f"head {COLUMN_STEPS}, rows {share:g} {how} {octaves:g}"
        return self.measurements.at_bytes(name, self.budget, choices, _table_bytes)


@dataclass(frozen=True, slots=True)
class HalfPrecisionRows:
    """A matrix on the same steps in all rows with these rows, ascending, as half-precision values instead."""

    members: tuple[int, ...]

    def fit(self, unit: Unit) -> CompositeMatrix:
        base = OnSteps(COLUMN_STEPS).fit(unit)
        members = np.asarray(self.members, np.int64)
        base.grid.codes[members] = 0
        part = SubsetValues(0, members, RawValues(unit.target[members].astype(np.float32), RAW), 1)
        return unit.composite(ROWS, Selection(RAW, len(members)), [GridInStream(base.grid, 1), part])


def base_choices(bench: Bench) -> Choices:
    """The tables on the same steps in all rows."""
    return table_choices(bench, OnSteps(COLUMN_STEPS))


def rescue(how: str, octaves: float, members: tuple[int, ...]) -> Choice:
    """A table on the same steps in all rows, with these rows rescued."""
    if how == RAW:
        return HalfPrecisionRows(members)
    return (OnSteps if how == FINER_STEPS else WithResidual)(COLUMN_STEPS, ROWS, members, octaves)


def _table_bytes(bench: Bench, trial: Trial) -> dict[str, int]:
    """Bytes of the tables alone by a trial encode, and of their rescued rows and where these are."""
    codec, tables = bench.job.codec, quantized_tables(bench, trial.quantized)
    head = sum(part_bytes(q.parts, q.weights.shape, codec) for q in tables.values())
    return {"head_bytes": head} | exception_bytes(tables, codec)
