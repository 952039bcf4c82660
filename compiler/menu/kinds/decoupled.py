"""`decoupled`: one or 1.6 bits for every weight, and a compact branch of high precision for what those cannot say.

Strategy: pQuant's (arXiv:2602.22592) layer after training instead of in it. The base has two or three codewords, -1, (0) and 1, times a
factor of the row; the branch is some columns or low-rank factors on grids at the ordinary byte price. Both are fitted in turn, the
base to what the branch leaves and the branch to what the base leaves, the branch last. Where the base's error alone is worth more
than the matrix costs as a grid, nothing is offered.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ....format.tensors.grid import MAX_RESOLUTION, GridValues
from ....format.tensors.terms import CodebookValues, LowRankValues, Part, SubsetValues
from ..composite import CompositeMatrix
from .codebook import MAX_EXPONENT, nearest_codewords, row_scales
from .low_rank import factor_values, product, weighted_directions, weighted_singular
from .protocols import Setting
from .subsets import APART, COLUMNS, lines_part, plain_grid, strongest_lines
from .unit import Unit

LEVELS = {"binary": (-1, 1), "ternary": (-1, 0, 1)}
BRANCHES = {
    "columns": (1 / 32, 1 / 8),
    "low-rank": (1 / 32, 1 / 8),
}  # columns or ranks in columns or of the smaller side
SLACK = {"columns": 1, "low-rank": 16}  # directions come apart from the base only by turns, after the estimate
ROUNDS = 2
SCALE_ROUNDS = 4
LEAST_SCALE = 2.0**-60
FIRST_SCALE = 1.4  # means of the magnitudes; of three levels on Gaussian weights


class DecoupledKind:
    """Setting: ("binary" or "ternary", "columns" or "low-rank", their number)."""

    name: ClassVar[str] = "decoupled"

    def settings(self, unit: Unit) -> list[Setting]:
        plain = plain_grid(unit)
        worth = plain.predicted_loss + 8 * unit.bit_value * unit.bytes_of(plain)
        return [
            setting for setting in possible_settings(unit) if _base_loss(unit, setting) < worth * SLACK[str(setting[1])]
        ]

    def follows_price(self, setting: Setting) -> bool:
        return True

    def fit(self, unit: Unit, setting: Setting) -> CompositeMatrix:
        levels, how, count = LEVELS[str(setting[0])], str(setting[1]), int(setting[2])
        columns = strongest_lines(unit, COLUMNS, APART, count) if how == "columns" else np.empty(0, np.int64)
        branch = _ideal_branch(unit, how, count, columns)
        for _ in range(ROUNDS):
            base = _base(unit, unit.target - branch, levels)
            rest = unit.target - unit.decoded([base])
            part = _branch(unit, rest, how, count, columns)
            branch = unit.decoded([part]).astype(np.float64)
        return unit.composite(self.name, setting, [base, part])


def possible_settings(unit: Unit) -> list[Setting]:
    """Every setting that the shape allows."""
    sides = {"columns": unit.shape[1], "low-rank": min(unit.shape)}
    counts = {how: sorted({max(1, round(share * sides[how])) for share in shares}) for how, shares in BRANCHES.items()}
    return [(base, how, n) for base in LEVELS for how, sizes in counts.items() for n in sizes if 4 * n <= sides[how]]


def _base_loss(unit: Unit, setting: Setting) -> float:
    """Nats a token that rounding to the base's levels costs under an ideal branch, later columns making up for errors as far as they can."""
    levels, how, count = LEVELS[str(setting[0])], str(setting[1]), int(setting[2])
    columns = strongest_lines(unit, COLUMNS, APART, count) if how == "columns" else np.empty(0, np.int64)
    rest = unit.target - _ideal_branch(unit, how, count, columns)
    scales = row_scales(_exponents(unit, rest, levels))[:, None]
    errors = np.square(rest - scales * _rounded(rest / scales, levels))
    errors[:, columns] = 0.0
    return 0.5 * float((unit.row_fisher[:, None] * np.square(unit.factor.diagonal()) * errors).sum())


def _ideal_branch(unit: Unit, how: str, count: int, columns: np.ndarray) -> np.ndarray:
    """float64[rows, columns]: the branch by itself, before it is quantized."""
    if how == "low-rank":
        return product(unit, weighted_directions(unit, "target"), count)
    branch = np.zeros(unit.shape)
    branch[:, columns] = unit.target[:, columns]
    return branch


def _branch(unit: Unit, rest: np.ndarray, how: str, count: int, columns: np.ndarray) -> SubsetValues | LowRankValues:
    """The branch for what the base leaves."""
    if how == "low-rank":
        return factor_values(unit, rest, count, weighted_singular(unit, rest))
    return lines_part(unit, rest, columns, COLUMNS, 0.0)


def _base(unit: Unit, values: np.ndarray, levels: tuple[int, ...]) -> Part:
    """Levels times row factors, chosen with error feedback, and the factors once more for the levels chosen."""
    words = np.array(levels, np.float64)[:, None]
    exponents = _exponents(unit, values, levels)
    indices = nearest_codewords(unit, values, row_scales(exponents), words)
    chosen = words[:, 0][indices]
    weighed = chosen @ unit.damped_hessian
    scales = (weighed * values).sum(1) / np.maximum((weighed * chosen).sum(1), LEAST_SCALE)
    better = _nearest_exponents(np.where(scales > 0, scales, row_scales(exponents)))
    indices = nearest_codewords(unit, values, row_scales(better), words)
    book = GridValues(np.array(levels, np.int32)[:, None], None, None, 1.0, 0)
    return CodebookValues(book, indices, better, MAX_RESOLUTION, 1)


def _exponents(unit: Unit, values: np.ndarray, levels: tuple[int, ...]) -> np.ndarray:
    """int64[rows]: factors of least weighted squared error, by turns with the levels."""
    weights = unit.damped_hessian.diagonal()
    scales = FIRST_SCALE * np.abs(values).mean(1, keepdims=True) + LEAST_SCALE
    for _ in range(SCALE_ROUNDS):
        chosen = _rounded(values / scales, levels)
        found = (weights * chosen * values).sum(1, keepdims=True) / np.maximum(
            (weights * np.square(chosen)).sum(1, keepdims=True), LEAST_SCALE
        )
        scales = np.where(found > 0, found, scales)
    return _nearest_exponents(scales[:, 0])


def _nearest_exponents(scales: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(np.log2(scales) * 2**MAX_RESOLUTION), -MAX_EXPONENT, MAX_EXPONENT).astype(np.int64)


def _rounded(values: np.ndarray, levels: tuple[int, ...]) -> np.ndarray:
    """The nearest level of each value."""
    return np.where(values < 0, -1.0, 1.0) * (1.0 if 0 not in levels else np.abs(values) > 0.5)


KIND = DecoupledKind()
