"""The artifacts of byte-allocation: uniform, allocated, and with the strongest members of the matrices kept finer.

Strategy: one plan names every artifact by what is protected in it and asks for each of them at the same bytes. Members
are protected by finer steps of their line, or as a set with a residual, which single weights always are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ....compiler.rate_control.landing import Trial
from ...measure.equal_bytes import Bench
from ...measure.simple_steps import ALL_STEPS, ROW_SCALE
from ..finer_members import COLUMNS, ROWS, WEIGHTS, OnSteps, WithResidual
from ..measured_artifact import MeasuredArtifact
from ..measuring import Choices, MakeChoices, Measurements
from ..protected_sets import Members, claims_of, exception_bytes, families, strongest

SET_SHARES = (0.01, 0.05)  # at which rows and columns are also stored as sets
FAMILY_SHARE = 0.01
OCTAVES = 2.0
BUDGETS = (0.85, 1.0, 1.15)  # of the budget, for the curves against bytes
ByShare = Mapping[float, MeasuredArtifact]


@dataclass(frozen=True, slots=True)
class AllocationArtifacts:
    """Every artifact of the experiment.

    uniform, allocated : by budget
    by_share : by kind of exception and share of the weights
    on_allocator : rows on the allocator's continuous steps, by share
    best_axis, best_share : the rows or columns of least predicted loss
    nominal : those and single weights at equal nominal bits, by axis
    families : rows of one family of matrices, by its name
    """

    budget: int
    uniform: Mapping[int, MeasuredArtifact]
    allocated: Mapping[int, MeasuredArtifact]
    by_share: Mapping[str, ByShare]
    on_allocator: ByShare
    best_axis: str
    best_share: float
    nominal: Mapping[str, MeasuredArtifact]
    families: Mapping[str, MeasuredArtifact]

    @property
    def plain(self) -> MeasuredArtifact:
        return self.uniform[self.budget]

    @property
    def best(self) -> MeasuredArtifact:
        return self.by_share[self.best_axis][self.best_share]


@dataclass(frozen=True, slots=True)
class AllocationPlan:
    """What is measured: `shares` of the weights to protect, at `bits` a weight of the whole artifact."""

    measurements: Measurements
    shares: Sequence[float]
    bits: float

    @property
    def budget(self) -> int:
        return self.measurements.budget_of(self.bits)

    def measure(self) -> AllocationArtifacts:
        """Every artifact; the best is the one of least predicted loss, so that the evaluation text has no say."""
        kept, budgets = self.measurements, [round(factor * self.budget) for factor in BUDGETS]
        sets = [share for share in SET_SHARES if share in self.shares] or list(self.shares[:1])
        kept.expect(2 * len(BUDGETS) + 4 * len(self.shares) + 2 * len(sets) + 6)
        uniform = {b: kept.at_bytes(ROW_SCALE, b, uniform_choices) for b in budgets}
        allocated = {b: kept.at_bytes("allocator", b, lambda bench: {}) for b in budgets}
        by_share = self._by_share(sets)
        on_allocator = {x: self._protected(ALL_STEPS, ROWS, x, as_set=False) for x in self.shares}
        lines = [(axis, x) for axis in (ROWS, COLUMNS) for x in self.shares]
        best_axis, best_share = min(lines, key=lambda key: by_share[key[0]][key[1]].predicted_loss)
        return AllocationArtifacts(
            self.budget,
            uniform,
            allocated,
            by_share,
            on_allocator,
            best_axis,
            best_share,
            {axis: self._nominal(axis, best_share, uniform[self.budget]) for axis in (best_axis, WEIGHTS)},
            {name: self._in_family(name) for name in self._families()},
        )

    def choices(self, rule: str, axis: str, share: float, *, as_set: bool) -> MakeChoices:
        """Every matrix on the steps of a rule, this share of all weights protected."""
        return lambda bench: protected_choices(
            bench, rule, axis, strongest(claims_of(bench, ROW_SCALE), axis, share), as_set=as_set
        )

    def _by_share(self, sets: Sequence[float]) -> dict[str, ByShare]:
        found = {
            axis: {x: self._protected(ROW_SCALE, axis, x, as_set=axis == WEIGHTS) for x in self.shares}
            for axis in (ROWS, COLUMNS, WEIGHTS)
        }
        for axis in (ROWS, COLUMNS):
            found[f"{axis}, told as sets"] = {x: self._protected(ROW_SCALE, axis, x, as_set=True) for x in sets}
        return found

    def _protected(self, rule: str, axis: str, share: float, *, as_set: bool) -> MeasuredArtifact:
        choices, extra = self.choices(rule, axis, share, as_set=as_set), _exception_bytes if as_set else None
        return self.measurements.at_bytes(_name(rule, axis, share, as_set), self.budget, choices, extra)

    def _nominal(self, axis: str, share: float, plain: MeasuredArtifact) -> MeasuredArtifact:
        """At the bits that the steps alone ask for, with a coder that costs nothing."""
        as_set = axis == WEIGHTS
        price = plain.byte_price * 2.0 ** (OCTAVES * share)
        choices = self.choices(ROW_SCALE, axis, share, as_set=as_set)
        return self.measurements.at_price(_name(ROW_SCALE, axis, share, as_set), price, choices)

    def _families(self) -> list[str]:
        return self.measurements.part("families", {}, lambda bench: list(families(bench.model, bench.matrices)))

    def _in_family(self, family: str) -> MeasuredArtifact:
        def choices(bench: Bench) -> Choices:
            only = families(bench.model, bench.matrices)[family]
            members = strongest(claims_of(bench, ROW_SCALE), ROWS, FAMILY_SHARE, only)
            return protected_choices(bench, ROW_SCALE, ROWS, members, as_set=False)

        name = f"{ROW_SCALE}, rows {FAMILY_SHARE:g} of {family} {OCTAVES:g} octaves finer"
        return self.measurements.at_bytes(name, self.budget, choices)


def _name(rule: str, axis: str, share: float, as_set: bool) -> str:
    return f"{rule}, {axis} {share:g} {OCTAVES:g} octaves finer{', told' if as_set else ''}"


def uniform_choices(bench: Bench) -> Choices:
    """One precision for the whole model."""
    return protected_choices(bench, ROW_SCALE, ROWS, {}, as_set=False)


def protected_choices(bench: Bench, rule: str, axis: str, members: Members, *, as_set: bool) -> Choices:
    """Every matrix by a rule, its members finer: as a set with a residual, or by the steps of their lines."""
    plain = {} if rule == ALL_STEPS else {i: OnSteps(rule) for i in bench.matrices}
    kind = WithResidual if as_set else OnSteps
    return plain | {i: kind(rule, axis, tuple(chosen), OCTAVES) for i, chosen in members.items()}


def _exception_bytes(bench: Bench, trial: Trial) -> Mapping[str, int]:
    return exception_bytes({i: trial.quantized[i] for i in bench.matrices}, bench.job.codec)
