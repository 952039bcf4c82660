"""What head-to-depth's figures say about its thesis: the questions asked beforehand, and the tables.

Strategy: each question is one falsifier of the thesis with its threshold as a constant; differences are in
thousandths of a bit per byte (mBPB) at equal artifact bytes, negative where the second arm is better, with 95
% intervals over documents and seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from ....runtime.scoring import MILLI
from ...measure.estimate import Estimate
from ..document_scores import nats_of, paired_difference, seeds_note
from ..findings import FALSIFIES, SUPPORTS, UNDECIDED, Chart, ChartPoint, Observation, Table
from .arms import (
    BASELINE,
    EXCHANGES,
    FACTORIZED,
    FACTORIZED_TO_BLOCKS,
    FACTORIZED_TO_TRUNK,
    PRUNED,
    PUBLIC,
    SHARED,
    SMALL,
    SMALL_TO_TRUNK,
)

if TYPE_CHECKING:
    from .study import ArmResult

LEAST_GAIN = 5.0  # mBPB: a gain whose interval excludes so much is none
SAVED_AS_EXPECTED, SAVED_TOO_LITTLE = 0.8, 0.5  # bytes a weight of the head over those of all weights
BARS = "Bars are 95 % intervals of the change against the baseline, over documents and seeds."

Results: TypeAlias = "Mapping[str, ArmResult]"


def depth_observations(results: Results) -> list[Observation]:
    """The answers to every question that the arms at hand can answer."""
    found = [_exchange(results), _longer_sequences(results), _head_savings(results), _wider_trunk(results)]
    observations = [observation for observation in found if observation is not None] + _context(results)
    note = seeds_note(len(results[BASELINE].scores))
    return [replace(each, answer=each.answer + note) for each in observations]


def gain(results: Results, first: str, second: str) -> Estimate:
    """bits per byte of the second arm less the first's, in mBPB."""
    a, b = results[first], results[second]
    found = paired_difference(nats_of(a.scores) / math.log(2), nats_of(b.scores) / math.log(2), a.scores[0].bytes)
    return Estimate(found.mean * MILLI, found.standard_error * MILLI)


def judged(estimate: Estimate) -> str:
    """Whether an arm is better: an interval above -LEAST_GAIN falsifies, else one below 0 supports."""
    return FALSIFIES if estimate.low > -LEAST_GAIN else SUPPORTS if estimate.high < 0 else UNDECIDED


def written(estimate: Estimate) -> str:
    """As text."""
    return f"{estimate.mean:+.1f} mBPB ({estimate.low:+.1f} to {estimate.high:+.1f})"


def _exchange(results: Results) -> Observation:
    gains = {name: gain(results, BASELINE, name) for name in EXCHANGES if name in results}
    outcomes = {judged(estimate) for estimate in gains.values()}
    outcome = SUPPORTS if SUPPORTS in outcomes else FALSIFIES if outcomes == {FALSIFIES} else UNDECIDED
    return Observation(
        "At equal artifact bytes and equal training compute, is a smaller head with a wider shared trunk better than "
        "the baseline?",
        "; ".join(f"{name}: {written(estimate)}" for name, estimate in gains.items()),
        outcome,
    )


def _longer_sequences(results: Results) -> Observation | None:
    """Falsifier 1: the price of the small vocabulary at the same trunk, against what its exchange wins in all."""
    if not {SMALL, SMALL_TO_TRUNK} <= set(results):
        return None
    price, net = gain(results, BASELINE, SMALL), gain(results, BASELINE, SMALL_TO_TRUNK)
    longer = results[SMALL].mean("tokens_a_byte") / results[BASELINE].mean("tokens_a_byte")
    return Observation(
        "Does the smaller vocabulary lengthen sequences so much that the gain is erased?",
        f"{100 * (longer - 1):.0f} % more tokens for the same text; at the same trunk {written(price)}, with the "
        f"wider shared trunk {written(net)}",
        judged(net),
    )


def _head_savings(results: Results) -> Observation:
    """Falsifier 2: bytes a weight of the baseline's head over bytes a weight of its whole artifact."""
    baseline = results[BASELINE]
    share, weights = (
        baseline.mean(f"head_{unit}") / baseline.mean(whole)
        for unit, whole in (("bytes", "tensor_bytes"), ("weights", "stored_weights"))
    )
    ratio = share / weights
    outcome = SUPPORTS if ratio >= SAVED_AS_EXPECTED else FALSIFIES if ratio <= SAVED_TOO_LITTLE else UNDECIDED
    return Observation(
        "Are the head's bytes after compression as many as its weights let expect?",
        f"the baseline's head is {100 * weights:.1f} % of the weights and {100 * share:.1f} % of the bytes of its "
        f"tensors: {ratio:.2f} times the expected saving (at least {SAVED_AS_EXPECTED} supports, at most "
        f"{SAVED_TOO_LITTLE} falsifies)",
        outcome,
    )


def _wider_trunk(results: Results) -> Observation | None:
    """Falsifier 3: the same head, its freed bytes spent on the wider shared trunk against finer steps."""
    gains = {
        name: gain(results, control, name) for name, control in EXCHANGES.items() if {name, control} <= set(results)
    }
    if not gains:
        return None
    outcomes = {judged(estimate) for estimate in gains.values()}
    outcome = FALSIFIES if FALSIFIES in outcomes else SUPPORTS if outcomes == {SUPPORTS} else UNDECIDED
    return Observation(
        "Does the wider shared trunk turn the freed bytes into fewer bits per byte than finer steps of the same "
        "trunk do?",
        "; ".join(f"{name} against {EXCHANGES[name]}: {written(estimate)}" for name, estimate in gains.items()),
        outcome,
    )


def _context(results: Results) -> list[Observation]:
    """Where a gain would come from, each part alone; none of them counts for the verdict."""
    pairs = (
        ("The factorized head alone, at the baseline's trunk", BASELINE, FACTORIZED),
        ("The wider shared trunk alone, with the baseline's full head", BASELINE, SHARED),
        ("The factorized head with blocks of their own instead of shared ones", BASELINE, FACTORIZED_TO_BLOCKS),
        ("Sharing blocks, at the same factorized head and as many weights", FACTORIZED_TO_BLOCKS, FACTORIZED_TO_TRUNK),
        (
            "The trained baseline with a pruned vocabulary, its token tables alone retuned (and so trained for longer)",
            BASELINE,
            PRUNED,
        ),
        ("Pruning and retuning against a small vocabulary from the start", SMALL, PRUNED),
        ("Tokenizer fit: a public tokenizer of other text, at the baseline's architecture", BASELINE, PUBLIC),
    )
    known = [(question, first, second) for question, first, second in pairs if {first, second} <= set(results)]
    known += [(f"The other direction: {name}", BASELINE, name) for name in results if name.split()[0].isdigit()]
    return [
        Observation(question + "?", f"{second} against {first}: {written(estimate)}", judged(estimate), decisive=False)
        for question, first, second in known
        for estimate in [gain(results, first, second)]
    ]


def depth_tables(results: Sequence[ArmResult], cap: int) -> list[Table]:
    """Sizes, training and scores of every arm."""
    return [_score_table(results, cap), _size_table(results), _training_table(results)]


def _score_table(results: Sequence[ArmResult], cap: int) -> Table:
    known = {result.arm.name: result for result in results}
    rows = []
    for result in results:
        against = None if result.arm.name == BASELINE else gain(known, BASELINE, result.arm.name)
        float_bits = sum(score.bits_per_byte for score in result.float_scores) / len(result.float_scores)
        change = [None] * 3 if against is None else [round(x, 1) for x in (against.mean, against.low, against.high)]
        rows.append([result.arm.name, round(result.bits_per_byte, 4), *change, round(float_bits, 4)])
    columns = ["arm", ">bits per byte", ">mBPB against baseline", ">low", ">high", ">float"]
    return Table(
        f"Bits per byte of artifacts of {cap:,} bytes",
        columns,
        rows,
        "means over seeds; negative is better than the baseline",
        [(2, 3, 4)],
    )


def _size_table(results: Sequence[ArmResult]) -> Table:
    rows = [_size_row(result) for result in results]
    note = "the tokenizer's .model file is in no artifact"
    return Table("Where the weights and bytes are", list(rows[0]), [list(row.values()) for row in rows], note)


def _size_row(result: ArmResult) -> dict[str, object]:
    """Cells by their columns."""
    known, head, weights = result.architecture, result.mean("head_bytes"), result.mean("head_weights")
    trunk = result.mean("tensor_bytes") - head, result.mean("stored_weights") - weights
    return {
        "arm": result.arm.name,
        ">vocabulary": known["vocab_size"],
        ">table width": known.get("embedding_dim", known["model_dim"]),
        ">width": known["model_dim"],
        ">unique blocks": known["num_layers"],
        ">weights": round(result.mean("weights")),
        ">in the head": round(weights),
        ">artifact bytes": round(result.mean("artifact_bytes")),
        ">of the head": round(head),
        ">bits a head weight": round(8 * head / weights, 2),
        ">bits a trunk weight": round(8 * trunk[0] / trunk[1], 2),
        ">tokenizer bytes, apart": round(result.mean("tokenizer_bytes")),
    }


def _training_table(results: Sequence[ArmResult]) -> Table:
    rows = [_training_row(result) for result in results]
    title = "Training at equal floating-point operations"
    return Table(title, list(rows[0]), [list(row.values()) for row in rows])


def _training_row(result: ArmResult) -> dict[str, object]:
    """Cells by their columns."""
    return {
        "arm": result.arm.name,
        ">steps": round(result.mean("updates")),
        ">tokens seen": round(result.mean("training_tokens")),
        ">bytes of text seen": round(result.mean("training_bytes")),
        ">bytes a token": round(1 / result.mean("tokens_a_byte"), 3),
    }


def depth_chart(results: Sequence[ArmResult]) -> Chart:
    """Change of bits per byte against the baseline over the head's share of the weights.

    One point an arm, one series a kind of trunk; arms have nothing between them that a line could stand for.
    """
    known = {result.arm.name: result for result in results}
    series: dict[str, list[ChartPoint]] = {}
    for result in results:
        wider = "wider shared trunk" if result.arm.shared else "wider trunk of own blocks"
        kind = wider if result.arm.shared or result.arm.matched else "the baseline's trunk"
        share, name = result.mean("head_weights") / result.mean("stored_weights"), result.arm.name
        if name == BASELINE:
            point = ChartPoint(share, 0.0, name=name)
        else:
            change = gain(known, BASELINE, name)
            point = ChartPoint(share, change.mean, change.low, change.high, name)
        series.setdefault(kind, []).append(point)
    title, labels = "Against the baseline, at equal artifact bytes", ("share of the weights in the head", "mBPB")
    return Chart(title, labels, series, joined=False, note=BARS)
