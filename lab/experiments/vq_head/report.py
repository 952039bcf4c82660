"""What the artifacts of vq-head come to: observations by rules fixed beforehand, tables, charts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..comparing import (
    ARTIFACT_BYTES,
    BARS,
    CHANGE_COLUMNS,
    KL_AXIS,
    MILLI,
    change_cells,
    change_interval,
    chart_line,
    divergence_change,
    divergence_text,
    interval,
    outcome_by_budget,
    score_change,
    score_text,
)
from ..findings import Chart, ChartPoint, Observation, Table
from ..measured_artifact import CHANGES, MeasuredArtifact
from .artifacts import HeadsAtBudget, Setting


def observations(found: Sequence[HeadsAtBudget]) -> list[Observation]:
    """Those that decide first."""
    return [
        _against_grid(found),
        _against_low_rank(found),
        _score(found),
        _bookkeeping(found),
        _biased(found),
        _rescued(found),
    ]


def _by_budget(
    question: str,
    pairs: Sequence[tuple[str, MeasuredArtifact, MeasuredArtifact]],
    *,
    none: str = "",
    everywhere: bool = False,
    decisive: bool = False,
) -> Observation:
    """One answer a budget, (text, first, second), judged together; `none` is the answer where there is no budget."""
    changes = [divergence_change(first, second) for _, first, second in pairs]
    answer = "; ".join(text for text, _, _ in pairs) or none
    return Observation(question, answer, outcome_by_budget(changes, everywhere=everywhere), decisive)


def _against_grid(found: Sequence[HeadsAtBudget]) -> Observation:
    answers = [
        (
            f"{each.bits:g} bits a weight ({title(each.best)}): {divergence_text(each.grid, each.book)}",
            each.grid,
            each.book,
        )
        for each in found
    ]
    return _by_budget("Does the best codebook head beat the grid head at equal bytes?", answers, decisive=True)


def _against_low_rank(found: Sequence[HeadsAtBudget]) -> Observation:
    answers = [
        (f"{each.bits:g} bits: {divergence_text(each.low_rank, each.book)}", each.low_rank, each.book)
        for each in found
        if each.low_rank is not None
    ]
    question, none = "Does it beat low-rank factors alone?", "no low-rank head fits"
    return _by_budget(question, answers, none=none, everywhere=True, decisive=True)


def _score(found: Sequence[HeadsAtBudget]) -> Observation:
    changes = [score_change(each.grid, each.book) for each in found]
    shown = [f"{each.bits:g} bits: {score_text(each.grid, each.book)}" for each in found]
    outcome = outcome_by_budget(changes, everywhere=False)
    return Observation("And in the score?", "; ".join(shown), outcome, decisive=False)


def _bookkeeping(found: Sequence[HeadsAtBudget]) -> Observation:
    def text(each: HeadsAtBudget) -> str:
        codewords, factors, places = (each.book.extra[f"{part}_bytes"] for part in ("codeword", "factor", "map"))
        return (
            f"{each.bits:g} bits: codewords {codewords:,}, factors {factors:,}, map {places:,} bytes; with codewords "
            f"and factors for nothing {_change(each.grid, each.free)}"
        )

    answers = [(text(each), each.grid, each.free) for each in found]
    return _by_budget("Would it win if its bookkeeping were free?", answers)


def _biased(found: Sequence[HeadsAtBudget]) -> Observation:
    answers = [
        (f"{each.bits:g} bits: {_change(each.book, each.biased)}", each.book, each.biased)
        for each in found
        if each.biased is not None
    ]
    return _by_budget("Does a bias a token improve it at equal bytes?", answers, none="the head can have none")


def _rescued(found: Sequence[HeadsAtBudget]) -> Observation:
    answers = []
    for each in (each for each in found if each.rescued):
        share, best = min(each.rescued.items(), key=lambda item: item[1].predicted_loss)
        text = (
            f"{each.bits:g} bits: {share:.0%} of the rows on top of {title(each.whole)}: "
            f"{_change(each.books[each.whole], best)}, then {_change(each.grid, best)} against the grid"
        )
        answers.append((text, each.grid, best))
    question, none = "Do rescued rows repair a codebook of whole rows?", "no codebook of whole rows fits"
    return _by_budget(question, answers, none=none)


def _change(first: MeasuredArtifact, second: MeasuredArtifact) -> str:
    return interval(divergence_change(first, second), "mbit a token")


def title(setting: Setting) -> str:
    """A setting in words."""
    kind, _, *numbers = setting
    if kind == "vq-rows":
        pieces, count, rescued = numbers
        width = "whole rows" if pieces == 1 else f"1/{pieces} rows"
        return f"{count} {width}" + (f", {rescued} rows rescued" if rescued else "")
    return f"{numbers[1]} pieces of {numbers[0]}" if kind == "codebook" else f"rank {numbers[0]}"


def tables(found: Sequence[HeadsAtBudget]) -> list[Table]:
    """One a budget."""
    return [_table(each) for each in found]


def _table(each: HeadsAtBudget) -> Table:
    columns = [
        *("head", *CHANGE_COLUMNS, f">gap, {CHANGES[each.grid.unit]}", ">predicted, mnat"),
        *(">bytes", ">of the head", ">codewords", ">factors", ">map", ">rescued rows"),
    ]
    heads = [("grid", each.grid), *((title(setting), book) for setting, book in each.books.items())]
    heads += [] if each.biased is None else [(f"{title(each.best)}, with a bias a token", each.biased)]
    heads += [(f"{title(each.whole)}, {share:.0%} of rows rescued", head) for share, head in each.rescued.items()]
    heads += [(f"low-rank, {title(setting)}", head) for setting, head in each.factors.items()]
    note = (
        f"{each.budget:,} bytes. Changes are against the grid head, paired by sequence, with 95 % intervals; predicted "
        "losses choose the best codebook."
    )
    rows = [_row(*head, each) for head in heads]
    return Table(f"Heads at {each.bits:g} bits a weight", columns, rows, note, [change_interval(1)])


def _row(name: str, artifact: MeasuredArtifact, each: HeadsAtBudget) -> list[object]:
    parts = [artifact.extra.get(f"{part}_bytes") for part in ("head", "codeword", "factor", "map", "rescued")]
    gap = score_change(each.float_model, artifact).mean
    measured = [*change_cells(artifact, each.grid), gap, MILLI * artifact.predicted_loss]
    return [name, *measured, artifact.bytes, *parts]


def charts(found: Sequence[HeadsAtBudget]) -> list[Chart]:
    """Divergence by bytes, of the best head of each kind."""

    def line(heads: Callable[[HeadsAtBudget], Iterable[MeasuredArtifact]]) -> list[ChartPoint]:
        best = [(each.budget, min(heads(each), key=lambda p: p.predicted_loss, default=None)) for each in found]
        return chart_line((budget, head) for budget, head in best if head is not None)

    series = {
        "grid": line(lambda each: [each.grid]),
        "best codebook": line(lambda each: [each.book]),
        "whole rows, rows rescued": line(lambda each: each.rescued.values()),
        "low-rank": line(lambda each: each.factors.values()),
    }
    series = {name: points for name, points in series.items() if points}
    note = BARS
    return [Chart("Divergence against bytes", (ARTIFACT_BYTES, KL_AXIS), series, logarithmic=True, note=note)]
