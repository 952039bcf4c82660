"""Some rows or some columns with a grid of their own: what `rescued-rows` and `protected-columns` share.

Strategy: "apart" takes the chosen lines out first, on a grid of their own scale, and quantizes what is left of the matrix;
"finer" quantizes the matrix and adds a grid of one octave finer steps for what the chosen lines still miss. Both stages see
the matrix's own second-order model, restricted to the lines.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...format.grid import reconstruct_grid
from ...format.parts import GridInStream, Part, SubsetValues
from ..calibration import MatrixStatistics
from ..composite import CompositeMatrix
from .registry import Setting
from .unit import Unit

ROWS, COLUMNS = 0, 1
SHARES = (0.01, 0.04)
FINER_OCTAVES = -1.0


class LinesKind:
    """A kind of candidate for some lines of one axis. Setting: ("apart" or "finer", number of lines)."""

    name: ClassVar[str]
    axis: ClassVar[int]

    def settings(self, unit: Unit) -> list[Setting]:
        """No more than a quarter of all lines."""
        lines = unit.shape[self.axis]
        counts = sorted({max(1, round(share * lines)) for share in SHARES})
        return [(how, count) for count in counts if 4 * count <= lines for how in ("apart", "finer")]

    def follows_price(self, setting: Setting) -> bool:
        return True

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        return unit.composite(self.name, setting, _parts(unit, setting, self.axis))


def _parts(unit: Unit, setting: Setting, axis: int) -> list[Part]:
    """The grid of the whole matrix and the grid of the chosen lines."""
    how, count = setting[0], int(setting[1])
    if how == "apart":
        members = _strongest(_energies(unit, unit.target, axis), count)
        chosen = _lines(unit, unit.target, members, axis, 0.0)
        rest = unit.target.copy()
        rest[_at(members, axis)] -= reconstruct_grid(chosen.part)
        return [GridInStream(unit.grid(rest).grid, 1), chosen]
    base = unit.remembered("grid", unit.grid)
    error = unit.target - base.weights
    members = _strongest(_energies(unit, error, axis), count)
    return [GridInStream(base.grid, 1), _lines(unit, error, members, axis, FINER_OCTAVES)]


def _energies(unit: Unit, values: np.ndarray, axis: int) -> np.ndarray:
    """float64[lines]: twice the loss of leaving out each row, or each column by itself."""
    if axis == ROWS:
        return 2 * unit.row_losses(unit.target - values)
    return (unit.sensitivities * np.square(values)).sum(0)


def _strongest(energies: np.ndarray, count: int) -> np.ndarray:
    return np.sort(np.argsort(-energies, kind="stable")[:count]).astype(np.int64)


def _at(members: np.ndarray, axis: int) -> tuple:
    return (members,) if axis == ROWS else (slice(None), members)


def _lines(unit: Unit, values: np.ndarray, members: np.ndarray, axis: int, octaves: float) -> SubsetValues:
    """A grid for the chosen lines of `values`; columns also take up what they can of the others' share of the loss."""
    moment, fisher = unit.statistics.input_moment, unit.row_fisher
    if axis == ROWS:
        found = unit.quantize(values[members], MatrixStatistics(moment, fisher[members]), octaves)
        return SubsetValues(axis, members, found.grid, 1)
    among = moment[np.ix_(members, members)]
    wanted = values[:, members]
    if octaves < 0:  # an error: the chosen columns correct the whole of it, e H_m (H_mm)^-1
        solid = unit.damped_moment
        wanted = np.linalg.solve(solid[np.ix_(members, members)], (values @ solid[:, members]).T).T
    return SubsetValues(axis, members, unit.quantize(wanted, MatrixStatistics(among, fisher), octaves).grid, 1)
