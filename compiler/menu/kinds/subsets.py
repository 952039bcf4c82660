"""Some rows or some columns stored apart from the rest: what `rescued-rows` and `protected-columns` share.

Strategy: which lines, and what is made of them, are two functions, so that a set from any ranking can
be built. "apart" takes the lines out first, on a grid of their own scale, and quantizes what is left of
the matrix; "finer" quantizes the matrix and adds a grid of one octave finer steps for what the lines
still miss; "raw" is "apart" with half-precision values instead of a grid. All see the matrix's own
second-order model, restricted to the lines.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ....format.tensors.terms import GridInStream, Part, RawValues, SubsetValues
from ...quantize.grid_matrix import QuantizedMatrix
from ...statistics.matrix_statistics import MatrixStatistics
from ..composite import CompositeMatrix
from ..setting import Selection
from .unit import Unit

ROWS, COLUMNS = 0, 1
SHARES = (0.01, 0.04)
FINER_OCTAVES = -1.0
APART, FINER, RAW = "apart", "finer", "raw"
LEAST_RAW_BITS = 8.0
LARGEST_HALF = float(np.finfo(np.float16).max)


class LinesKind:
    """A kind of representation for some lines of one axis."""

    name: ClassVar[str]
    setting: ClassVar[type[Selection]] = Selection
    axis: ClassVar[int]

    def settings(self, unit: Unit) -> list[Selection]:
        """No more than a quarter of all lines; "raw" where a grid would take nearly as many bits for the strongest."""
        lines = unit.shape[self.axis]
        counts = [count for count in sorted({max(1, round(share * lines)) for share in SHARES}) if 4 * count <= lines]
        members = {count: strongest_lines(unit, self.axis, APART, count) for count in counts}
        raw = {count for count in counts if worth_half_precision(unit, _at(members[count], self.axis))}
        return [Selection(how, count) for count in counts for how in (APART, FINER, RAW) if how != RAW or count in raw]

    def follows_price(self, setting: Selection) -> bool:
        return True

    def fit(self, unit: Unit, setting: Selection) -> CompositeMatrix:
        members = strongest_lines(unit, self.axis, setting.how, setting.count)

        def made() -> CompositeMatrix:
            return unit.composite(self.name, setting, line_parts(unit, self.axis, members, setting.how))

        return unit.remembered((self.name, setting), made)


def worth_half_precision(unit: Unit, at: tuple, least_bits: float = LEAST_RAW_BITS) -> bool:
    """Whether a grid spends more than so many bits on these weights, so that half-precision values may take fewer.

    1/2 log2(1 + s w² / D) bits on average, D the squared error times sensitivity s that the byte price allows.
    """
    return (
        float(0.5 * np.log2(1 + unit.sensitivities[at] * np.square(unit.target[at]) / unit.distortion).mean())
        > least_bits
    )


def strongest_lines(unit: Unit, axis: int, how: str, count: int) -> np.ndarray:
    """int64[count], ascending: the lines that lose most, what the plain grid leaves of them where it is
    "finer", all of them otherwise.
    """
    return np.sort(np.argsort(-line_losses(unit, axis, how), kind="stable")[:count]).astype(np.int64)


def line_losses(unit: Unit, axis: int, how: str) -> np.ndarray:
    """float64[lines]: twice the loss of leaving out each row, or each column by itself, or that
    correcting the plain grid there takes away.
    """
    if how != FINER:
        return (
            2 * unit.row_losses(np.zeros(unit.shape))
            if axis == ROWS
            else (unit.sensitivities * np.square(unit.target)).sum(0)
        )
    error, hessian = unit.target - plain_grid(unit).weights, unit.damped_hessian
    weighed = unit.weighed(error)
    if axis == ROWS:
        return ((weighed @ hessian) * weighed).sum(1) / unit.row_fisher
    return ((error @ hessian) * (weighed @ hessian)).sum(0) / hessian.diagonal()


def line_parts(unit: Unit, axis: int, members: np.ndarray, how: str, octaves: float = FINER_OCTAVES) -> list[Part]:
    """The grid of the matrix and the lines `members` (int64, ascending, 1 to one less than there are) beside it.

    how : "apart", "finer" (so many `octaves` from the byte price) or "raw"
    """
    if how == FINER:
        base = plain_grid(unit)
        return [GridInStream(base.grid, 1), lines_part(unit, unit.target - base.weights, members, axis, octaves)]
    chosen = (
        lines_part(unit, unit.target, members, axis, 0.0) if how == APART else _raw_lines(unit.target, members, axis)
    )
    rest = unit.target.copy()
    rest[_at(members, axis)] -= chosen.inner_values()
    return [GridInStream(unit.grid(rest).grid, 1), chosen]


def plain_grid(unit: Unit) -> QuantizedMatrix:
    """The unit's own grid at its byte price, made once."""
    return unit.remembered("grid", unit.grid)


def half_precision(values: np.ndarray) -> RawValues:
    """Values as float16, those beyond it at its bounds."""
    return RawValues(np.clip(values, -LARGEST_HALF, LARGEST_HALF).astype(np.float32), "float16")


def _raw_lines(values: np.ndarray, members: np.ndarray, axis: int) -> SubsetValues:
    return SubsetValues(axis, members, half_precision(values[_at(members, axis)]), 1)


def _at(members: np.ndarray, axis: int) -> tuple:
    return (members,) if axis == ROWS else (slice(None), members)


def lines_part(unit: Unit, values: np.ndarray, members: np.ndarray, axis: int, octaves: float) -> SubsetValues:
    """A grid for the chosen lines of `values`; of an error (octaves below 0) for what corrects the whole of it best."""
    hessian, fisher = unit.statistics.hessian, unit.row_fisher
    if axis == ROWS:
        wanted = values[members]
        if octaves < 0:  # (G_mm)^-1 (G E)_m
            coupled = unit.weighed(np.eye(len(values))[:, members])[members]
            wanted = np.linalg.solve(coupled, unit.weighed(values)[members])
        found = unit.quantize(wanted, MatrixStatistics(hessian, fisher[members]), octaves)
        return SubsetValues(axis, members, found.grid, 1)
    among = hessian[np.ix_(members, members)]
    wanted = values[:, members]
    if octaves < 0:  # e H_m (H_mm)^-1
        solid = unit.damped_hessian
        wanted = np.linalg.solve(solid[np.ix_(members, members)], (values @ solid[:, members]).T).T
    return SubsetValues(axis, members, unit.quantize(wanted, MatrixStatistics(among, fisher), octaves).grid, 1)
