"""Protected weights: what gets more precision than the cheap path gives, each kind in the order in
which its bytes should pay.

Strategy: a kind ranks its items over all matrices at once by how much of the grid's second-order loss
each recovers for a weight stored, and turns the first n of them into what every matrix becomes. Which n
fills a budget is found with whole files.
    rows, channels        the lines, protected in one of FORMS
    sparse                single weights, likewise
    tensors, blocks       whole matrices on finer steps
    heads                 the rows and columns of an attention head, protected
    low-rank              singular directions of the grid's error under both second moments, as a
                          product on top of the grid
    codebook              a codebook of the grid's error on top of the grid; an item is a larger codebook for one matrix
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ...compiler.menu.composite import CompositeMatrix
from ...compiler.menu.kinds import Unit
from ...compiler.menu.kinds.codebook import CodebookSetting, codebook_part
from ...compiler.menu.kinds.low_rank import weighted_directions
from ...compiler.menu.kinds.sparse import weight_losses
from ...compiler.menu.kinds.subsets import APART, COLUMNS, FINER, RAW, ROWS, line_losses, plain_grid
from ...compiler.statistics.convex_hull import loss_saved, lower_hull
from ...format.registry import paired
from ...format.tensors.grid import matrix_shape
from ...format.tensors.terms import GridInStream
from .choices import WEIGHTS, Candidate, Choice, Finer, Protected
from .equal_bytes import Bench
from .unit_losses import second_order_losses
from .units import Submatrix, WeightSet, find_units, weight_set

FORMS = (FINER, APART, RAW)
RESIDUAL_CODEBOOKS = (
    (8, 2),
    (8, 4),
    (8, 16),
    (8, 256),
    (4, 256),
)  # (weights in a codeword, codewords), the cheapest first
LEAST_WEIGHTS = 8  # a codebook takes less than this part of the weights that it stands for


@dataclass(frozen=True, slots=True)
class Protection:
    """What protecting means: `form`, one of FORMS, of lines and single weights; how many `octaves`
    finer lines and matrices are.
    """

    form: str
    octaves: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Items of one kind, the best first.

    items : their number; build(n, share) : what the matrices become with the first n, refined by this
        share of the octaves
    shared : whether a share below 1 means anything
    """

    items: int
    build: Callable[[int, float], Mapping[int, Choice]]
    shared: bool = False


@dataclass(frozen=True, slots=True)
class ResidualCodebook:
    """The plain grid, and a codebook of what it misses."""

    setting: CodebookSetting

    def fit(self, unit: Unit) -> CompositeMatrix:
        return unit.remembered(("residual", self.setting), lambda: self._fit(unit))

    def _fit(self, unit: Unit) -> CompositeMatrix:
        base = plain_grid(unit)
        part = codebook_part(unit, unit.target - base.weights, self.setting)
        return unit.composite(
            "codebook", replace(self.setting, how=f"over {self.setting.how}"), [GridInStream(base.grid, 1), part]
        )


def rank_protected(bench: Bench, byte_price: float, kind: str, form: str = FINER, octaves: float = 1.0) -> Ranking:
    """Everything of one of PROTECTED_KINDS on the cheap path at a byte price.

    form : one of FORMS, of protected lines and single weights; octaves : how much finer protected lines
        and matrices are

    Raises CheckpointError when the model has no such units.
    """
    return PROTECTED_KINDS[kind](bench, byte_price, Protection(form, octaves))


def _by_falling(gains: np.ndarray) -> np.ndarray:
    return np.argsort(-gains, kind="stable")


def _counted(owners: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """(tensor, places of its items) in tensor order."""
    return [(int(i), np.flatnonzero(owners == i)) for i in np.unique(owners)]


def _lines(axis: int) -> Callable[[Bench, float, Protection], Ranking]:
    def rank(bench: Bench, price: float, how: Protection) -> Ranking:
        units = {i: bench.unit(i, price) for i in bench.matrices}
        gains = [line_losses(unit, axis, how.form) / unit.shape[1 - axis] for unit in units.values()]
        owners = np.repeat(list(units), [len(each) for each in gains])
        members = np.concatenate([np.arange(len(each)) for each in gains])
        order = _by_falling(np.concatenate(gains))

        def build(count: int, share: float) -> dict[int, Choice]:
            taken = order[:count]
            return {
                i: _protected(axis, members[taken[own]], units[i].shape[axis], how)
                for i, own in _counted(owners[taken])
            }

        return Ranking(len(order), build)

    return rank


def _protected(axis: int, members: np.ndarray, lines: int, how: Protection) -> Choice:
    """Given lines protected; where these are all lines, the last one in the order is left as it is, for
    a set is never everything.
    """
    return Protected(axis, members[: lines - 1], how.form, -how.octaves)


def _sparse(bench: Bench, price: float, how: Protection) -> Ranking:
    units = {i: bench.unit(i, price) for i in bench.matrices}
    losses = [weight_losses(unit, how.form).reshape(-1) for unit in units.values()]
    owners = np.repeat(np.array(list(units), np.int32), [each.size for each in losses])
    positions = np.concatenate([np.arange(each.size) for each in losses])
    order = _by_falling(np.concatenate(losses))

    def build(count: int, share: float) -> dict[int, Choice]:
        taken = order[:count]
        return {
            i: Protected(WEIGHTS, positions[taken[own]][: units[i].target.size - 1], how.form)
            for i, own in _counted(owners[taken])
        }

    return Ranking(len(order) // 4, build)


def _low_rank(bench: Bench, price: float, how: Protection) -> Ranking:
    units = {i: bench.unit(i, price) for i in bench.matrices}
    squares = [
        np.square(weighted_directions(unit, "error")[1][: min(unit.shape) // 2]) / sum(unit.shape)
        for unit in units.values()
    ]
    owners = np.repeat(list(units), [len(each) for each in squares])
    order = _by_falling(np.concatenate(squares))

    def build(count: int, share: float) -> dict[int, Choice]:
        return {i: Candidate("low-rank", ("over", len(own))) for i, own in _counted(owners[order[:count]])}

    return Ranking(len(order), build)


def _codebook(bench: Bench, price: float, how: Protection) -> Ranking:
    upgrades = []  # (loss recovered a byte, tensor, place among its settings)
    settings = {}
    for i in bench.matrices:
        unit = bench.unit(i, price)
        offered = [CodebookSetting("scaled", *each) for each in RESIDUAL_CODEBOOKS if _holds(unit, *each)]
        plain = plain_grid(unit)
        points = [(unit.bytes_of(plain), plain.predicted_loss)]
        points += [(found.bytes, found.predicted_loss) for found in (ResidualCodebook(s).fit(unit) for s in offered)]
        kept = lower_hull(points, first=0)
        settings[i] = [offered[k - 1] for k in kept[1:]]
        for place, (a, b) in enumerate(pairwise(kept)):
            upgrades.append((loss_saved(points, a, b), i, place))
    upgrades.sort(key=lambda upgrade: (-upgrade[0], upgrade[1], upgrade[2]))

    def build(count: int, share: float) -> dict[int, Choice]:
        return {
            i: ResidualCodebook(settings[i][place]) for _, i, place in upgrades[:count]
        }  # the last of a tensor is its largest

    return Ranking(len(upgrades), build)


def _holds(unit: Unit, width: int, size: int) -> bool:
    return unit.shape[1] % width == 0 and width * size * LEAST_WEIGHTS <= unit.target.size


def _named_units(kind: str) -> Callable[[Bench, float, Protection], Ranking]:
    def rank(bench: Bench, price: float, how: Protection) -> Ranking:
        found = [_within(unit, bench.matrices) for unit in find_units(bench.model, kind)]
        found = [unit for unit in found if unit.submatrices]
        errors = [np.zeros(matrix_shape(t.values.shape)) for t in bench.model.tensors]
        for i in bench.matrices:
            unit = bench.unit(i, price)
            errors[i] = plain_grid(unit).weights - unit.target
        weights = np.array([unit.weights for unit in found])
        order = _by_falling(second_order_losses(found, errors, bench.statistics) / weights)
        shapes = {i: bench.unit(i, price).shape for i in bench.matrices}

        def build(count: int, share: float) -> dict[int, Choice]:
            taken: dict[int, list[Submatrix]] = {}
            for item in order[:count]:
                for area in found[item].submatrices:
                    taken.setdefault(area.tensor, []).append(area)
            return {i: _cover(shapes[i], areas, how.form, -how.octaves * share) for i, areas in sorted(taken.items())}

        return Ranking(len(order), build, shared=True)

    return rank


def _within(unit: WeightSet, tensors: Sequence[int]) -> WeightSet:
    """What of a unit lies in these tensors."""
    return weight_set(unit.name, [area for area in unit.submatrices if area.tensor in tensors])


def _cover(shape: tuple[int, int], areas: Sequence[Submatrix], form: str, octaves: float) -> Choice:
    """A matrix with these areas of it protected: whole, in rows, in columns or in single weights, whichever says it."""
    mask = np.zeros(shape, bool)
    for area in areas:
        mask[area.rows, area.columns] = True
    if mask.all():
        return Finer(octaves)
    rows, columns = mask.all(1), mask.all(0)
    if (mask == rows[:, None]).all():
        return Protected(ROWS, np.flatnonzero(rows), form, octaves)
    if (mask == columns).all():
        return Protected(COLUMNS, np.flatnonzero(columns), form, octaves)
    return Protected(WEIGHTS, np.flatnonzero(mask), form)


PROTECTED_KINDS: dict[str, Callable[[Bench, float, Protection], Ranking]] = paired(
    (
        ("rows", _lines(ROWS)),
        ("channels", _lines(COLUMNS)),
        ("tensors", _named_units("tensors")),
        ("blocks", _named_units("blocks")),
        ("heads", _named_units("heads")),
        ("codebook", _codebook),
        ("low-rank", _low_rank),
        ("sparse", _sparse),
    )
)
