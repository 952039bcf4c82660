"""What the points of vq-head come to: observations by rules fixed beforehand, tables, charts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..findings import FALSIFIES, SUPPORTS, UNDECIDED, Chart, Estimate, Observation, Table
from ..measuring import MILLI, Point, divergence_change, interval, score_change

Setting = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class BudgetPoints:
    """Artifacts of one budget.

    grid : the allocator's; books, factors : heads by setting; best : codebook of least predicted loss; whole : that of whole or wide rows, None where
    none fits
    rescued : that codebook by share of rows with a grid of the difference; free : `best` with its codewords and factors for nothing
    biased : `best` with a bias a token, None where the head can have none
    """

    bits: float
    budget: int
    float_model: Point
    grid: Point
    books: Mapping[Setting, Point]
    factors: Mapping[Setting, Point]
    best: Setting
    whole: Setting | None
    rescued: Mapping[float, Point]
    free: Point
    biased: Point | None

    @property
    def book(self) -> Point:
        return self.books[self.best]

    @property
    def low_rank(self) -> Point | None:
        if not self.factors:
            return None
        return min(self.factors.values(), key=lambda point: point.predicted_loss)


def judge_budgets(changes: Sequence[Estimate], *, everywhere: bool) -> str:
    """Of paired changes by budget: supports when one (or, `everywhere`, all) lies below 0, falsifies when all lie above."""
    sides = [change.side() for change in changes]
    if not sides:
        return UNDECIDED
    if all(side > 0 for side in sides):
        return FALSIFIES
    return SUPPORTS if (all if everywhere else any)(side < 0 for side in sides) else UNDECIDED


def observations(found: Sequence[BudgetPoints]) -> list[Observation]:
    return [
        _against_grid(found),
        _against_low_rank(found),
        _score(found),
        _bookkeeping(found),
        _biased(found),
        _rescued(found),
    ]


def _against_grid(found: Sequence[BudgetPoints]) -> Observation:
    changes = [divergence_change(each.grid, each.book) for each in found]
    return Observation(
        "Does the best codebook head beat the grid head at equal bytes?",
        "; ".join(
            f"{each.bits:g} bits a weight ({title(each.best)}): {interval(change, 'mbit a token')} of {MILLI * each.grid.mean_divergence:.3g}"
            for each, change in zip(found, changes, strict=True)
        ),
        judge_budgets(changes, everywhere=False),
    )


def _against_low_rank(found: Sequence[BudgetPoints]) -> Observation:
    found = [each for each in found if each.factors]
    changes = [divergence_change(each.low_rank, each.book) for each in found]
    return Observation(
        "Does it beat low-rank factors alone?",
        "; ".join(
            f"{each.bits:g} bits: {interval(change, 'mbit a token')} of {MILLI * each.low_rank.mean_divergence:.3g}"
            for each, change in zip(found, changes, strict=True)
        )
        or "no low-rank head fits",
        judge_budgets(changes, everywhere=True),
    )


def _score(found: Sequence[BudgetPoints]) -> Observation:
    changes = [score_change(each.grid, each.book) for each in found]
    return Observation(
        "And in bits per byte?",
        "; ".join(f"{each.bits:g} bits: {interval(change, 'mBPB')}" for each, change in zip(found, changes, strict=True)),
        judge_budgets(changes, everywhere=False), decisive=False,
    )  # fmt: skip


def _bookkeeping(found: Sequence[BudgetPoints]) -> Observation:
    changes = [divergence_change(each.grid, each.free) for each in found]
    parts = []
    for each, change in zip(found, changes, strict=True):
        extra = each.book.extra
        parts.append(
            f"{each.bits:g} bits: codewords {extra['codeword_bytes']:,}, factors {extra['factor_bytes']:,}, map {extra['map_bytes']:,} bytes; "
            f"with codewords and factors for nothing {interval(change, 'mbit a token')}"
        )
    return Observation(
        "Would it win if its bookkeeping were free?",
        "; ".join(parts),
        judge_budgets(changes, everywhere=False),
        decisive=False,
    )


def _biased(found: Sequence[BudgetPoints]) -> Observation:
    found = [each for each in found if each.biased is not None]
    changes = [divergence_change(each.book, each.biased) for each in found]
    parts = (
        f"{each.bits:g} bits: {interval(change, 'mbit a token')}" for each, change in zip(found, changes, strict=True)
    )
    return Observation(
        "Does a bias a token improve it at equal bytes?",
        "; ".join(parts) or "the head can have none",
        judge_budgets(changes, everywhere=False),
        decisive=False,
    )


def _rescued(found: Sequence[BudgetPoints]) -> Observation:
    parts, changes = [], []
    for each in (each for each in found if each.rescued):
        share, point = min(each.rescued.items(), key=lambda item: item[1].predicted_loss)
        changes.append(divergence_change(each.grid, point))
        before = divergence_change(each.books[each.whole], point)
        parts.append(
            f"{each.bits:g} bits: {share:.0%} of the rows on top of {title(each.whole)}: {interval(before, 'mbit a token')}, "
            f"then {interval(changes[-1], 'mbit a token')} against the grid"
        )
    return Observation(
        "Do rescued rows repair a codebook of whole rows?", "; ".join(parts) or "no codebook of whole rows fits", judge_budgets(changes, everywhere=False),
        decisive=False,
    )  # fmt: skip


def title(setting: Setting) -> str:
    """A setting in words."""
    kind, _, *numbers = setting
    if kind == "vq-rows":
        pieces, count, rescued = numbers
        width = "whole rows" if pieces == 1 else f"1/{pieces} rows"
        return f"{count} {width}" + (f", {rescued} rows rescued" if rescued else "")
    return f"{numbers[1]} pieces of {numbers[0]}" if kind == "codebook" else f"rank {numbers[0]}"


def tables(found: Sequence[BudgetPoints]) -> list[Table]:
    return [_table(each) for each in found]


def _table(each: BudgetPoints) -> Table:
    columns = [
        "head", ">bytes", ">of the head", ">codewords", ">factors", ">map", ">rescued rows", ">KL, mbit", ">change, mbit", ">low", ">high",
        ">gap, mBPB", ">predicted, mnat",
    ]  # fmt: skip
    heads = [("grid", each.grid), *((title(s), p) for s, p in each.books.items())]
    heads += [] if each.biased is None else [(f"{title(each.best)}, with a bias a token", each.biased)]
    heads += [(f"{title(each.whole)}, {share:.0%} of rows rescued", p) for share, p in each.rescued.items()]
    heads += [(f"low-rank, {title(s)}", p) for s, p in each.factors.items()]
    rows = [_row(name, point, each) for name, point in heads]
    note = f"{each.budget:,} bytes. Changes are against the grid head, paired by sequence, with 95 % intervals; predicted losses choose the best codebook."
    return Table(f"Heads at {each.bits:g} bits a weight", columns, rows, note)


def _row(name: str, point: Point, each: BudgetPoints) -> list[object]:
    change, extra = divergence_change(each.grid, point), point.extra
    parts = [extra.get(f"{part}_bytes") for part in ("head", "codeword", "factor", "map", "rescued")]
    return [
        name, point.bytes, *parts, MILLI * point.mean_divergence, change.mean, change.low, change.high,
        score_change(each.float_model, point).mean, MILLI * point.predicted_loss,
    ]  # fmt: skip


def charts(found: Sequence[BudgetPoints]) -> list[Chart]:
    def line(points: Callable[[BudgetPoints], Iterable[Point]]) -> list[tuple[float, float]]:
        best = [(each.budget, min(points(each), key=lambda p: p.predicted_loss, default=None)) for each in found]
        return [(budget, MILLI * point.mean_divergence) for budget, point in best if point is not None]

    series = {
        "grid": line(lambda each: [each.grid]),
        "best codebook": line(lambda each: [each.book]),
        "whole rows, rows rescued": line(lambda each: each.rescued.values()),
        "low-rank": line(lambda each: each.factors.values()),
    }
    series = {name: points for name, points in series.items() if points}
    return [Chart("Divergence against bytes", ("bytes of the artifact", "KL, mbit a token"), series, logarithmic=True)]
