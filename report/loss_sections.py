"""The parts of a compile's page about what the bytes cost: the curve, the score, swapped tensors and the stages.

Strategy: a part shows one chart that answers its question, one short table, and folds away the long tables by tensor.
Losses are shown in thousandths of a nat a token (mnat), which keeps them readable numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

from ..files.numbers import decimals, integer, significant
from .amounts import MNAT
from .bars import Row, bar_chart
from .markup import Html, element, folded, paragraph, section, table
from .plots import Point, Series, curve_chart, point_chart

Data = Mapping[str, Any]
TRIALS = ["trial", ">bytes", ">predicted, mnat", ">byte price", ""]
KINDS = "matrices", "control tensors"
MOST_TOLD = 6  # of the costliest and of the outlying points
FITTED = (
    "Drift correction fits each matrix to the errors of those before it. Alone in the float model it has nothing to\n"
    "correct and shows the fit as a cost, so the whole artifact costs less than the sum of its tensors."
)
AXES = "bytes of the artifact", "loss, mnat a token"


def gap_text(gap: Data) -> str:
    """`+18.25 ± 0.31 mBPB`; the standard error is left out where one sequence has none."""
    error = gap["standard_error_mbpb"]
    return f"{gap['mbpb']:+.2f}" + ("" if error is None else f" ± {error:.2f}") + " mBPB"


def score_section(score: Data | None) -> Html | None:
    """Artifact and checkpoint on the evaluation text; why not, where it could not be scored; None without any."""
    if score is None:
        return None
    names, notes = ", ".join(score["data"]), [paragraph(f"{note}.") for note in score["notes"]]
    if score["artifact"] is None:
        return section("Score", paragraph(f"Nothing of {names} was scored."), *notes)
    rows = [
        [name, decimals(score[name]["bits_per_byte"], 5), decimals(score[name]["bits_per_token"], 5)]
        for name in ("artifact", "checkpoint")
    ]
    scored = f"{integer(score['tokens'])} tokens, {integer(score['bytes'])} bytes"
    return section(
        "Score",
        paragraph(
            f"On the first {scored} of {names}, in windows of {integer(score['sequence_length'])} tokens: "
            f"{gap_text(score['gap'])}, paired by window, with its standard error."
        ),
        table(["model", ">bits per byte", ">bits per token"], rows, None),
        *notes,
    )


def curve_section(explanation: Data, budget: int | None) -> Html:
    """Loss over bytes of all trials, and what the artifact would lose at other sizes, in numbers."""
    trials = [point for point in explanation["rate_distortion"] if point["predicted_loss"] > 0]
    size, measured = explanation["chosen"]["bytes"], explanation["swaps"]["whole"]["measured"]
    landed = [point for point in trials if _is(point, explanation["chosen"])][-1:]
    around = [point for point in trials if point["kind"] == "quick"]
    series = [Series("quick trials, predicted", [_trial(point, size) for point in around])]
    series += [Series("the artifact, predicted", [_trial(point, size) for point in landed], joined=False)]
    if measured > 0:
        found = Point(
            size,
            MNAT * measured,
            name=f"{_rough(MNAT * measured)} measured",
            tip=f"{integer(size)} bytes, {_mnat(measured)} measured",
        )
        series.append(Series("the artifact, measured", [found], joined=False))
    series = [each for each in series if each.points]
    marked = None
    if landed:
        loss = MNAT * landed[0]["predicted_loss"]
        marked = Point(size, loss, name=f"this artifact: {_rough(loss)} predicted")
    limit = None if budget is None else (float(budget), "cap")
    chart = curve_chart(series, AXES, "Loss over bytes of all trials", marked=marked, limit=limit) if series else None
    return section(
        "Rate and distortion",
        paragraph(
            "What another cap would cost: the curve is of quick trials, every matrix by itself, at half to twice the "
            "chosen byte price, and of those that the search made. Where the artifact (ringed) is drift-corrected, its "
            "prediction is against corrected weights and the inputs that quantized layers produce. What was measured "
            "is its KL divergence from the checkpoint, on the text named below."
        ),
        chart,
        _size_table(around, size, landed),
        folded("All trials", table(TRIALS, _trial_rows(explanation))),
    )


def _trial_rows(explanation: Data) -> list[list[str]]:
    return [
        [
            p["kind"],
            integer(p["bytes"]),
            significant(MNAT * p["predicted_loss"]),
            f"{p['byte_price']:.4g}",
            "chosen" if _is(p, explanation["chosen"]) else "",
        ]
        for p in explanation["rate_distortion"]
    ]


def _trial(point: Data, size: int) -> Point:
    """A trial as a point, named by how much larger or smaller than the artifact it is."""
    loss, change = point["predicted_loss"], point["bytes"] / size - 1
    tip = f"{integer(point['bytes'])} bytes, {_mnat(loss)} predicted"
    name = f"{100 * change:+.0f} % bytes: {_rough(MNAT * loss)}" if abs(change) > 0.04 else ""
    return Point(point["bytes"], MNAT * loss, name=name, tip=tip)


def _rough(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else significant(value, 3 if value >= 10 else 2)


def _mnat(loss: float) -> str:
    return f"{significant(MNAT * loss)} mnat"


def _size_table(trials: Sequence[Data], size: int, landed: Sequence[Data]) -> Html | None:
    """Predicted losses by size, from the smallest."""
    chosen = {point["bytes"]: point for point in (*trials, *landed)}
    if len(chosen) < 2 or not landed:
        return None
    rows = [
        [
            "this artifact" if point is landed[0] else "another cap",
            integer(point["bytes"]),
            f"{100 * (point['bytes'] / size - 1):+.1f} %",
            significant(MNAT * point["predicted_loss"]),
        ]
        for _, point in sorted(chosen.items())
    ]
    return folded("In numbers", table(["", ">bytes", ">of them", ">predicted, mnat"], rows))


def _is(point: Data, chosen: Data) -> bool:
    return point["bytes"] == chosen["bytes"] and point["byte_price"] == chosen["byte_price"]


def swap_section(explanation: Data) -> Html:
    data = explanation["swaps"]
    elements = {t["name"]: t["elements"] for t in data["tensors"]}
    vectors = {row["name"] for row in data["tensors"]} - {row["name"] for row in explanation["bounds"]["matrices"]}
    points = {kind: [_swap(t) for t in data["tensors"] if _kind(t, vectors) == kind] for kind in KINDS}
    series = [Series(kind, found, joined=False) for kind, found in points.items() if found]
    labels = "predicted, mnat a token", "measured, mnat a token"
    ordered = sorted(data["tensors"], key=lambda t: -t["measured"])
    rows = [[t["name"], integer(elements[t["name"]]), *_losses(t)] for t in ordered]
    source = (
        "calibration text that no statistic has seen"
        if data["held_out"]
        else "calibration text that the statistics have seen, too short to hold some out"
    )
    return section(
        "What each tensor costs",
        paragraph(
            "One tensor of the float model at a time is swapped for its decoded one. Measured is the KL divergence "
            f"from the float model on {integer(data['tokens'])} tokens of {source}; predicted is what the second-order "
            "model says of the same swap. On the dashed line both agree. 1 mnat is a thousandth of a nat."
        ),
        paragraph(FITTED)
        if len(explanation["stages"]) > 1 and data["whole"]["measured"] < data["sum"]["measured"]
        else None,
        point_chart(series, labels, "Predicted and measured loss of swapping one tensor", telling(series))
        if series
        else None,
        table(
            ["", ">predicted, mnat", ">measured, mnat", ">predicted / measured"],
            [
                ["sum over tensors, swapped one at a time", *_losses(data["sum"])],
                ["all tensors swapped at once, the sum predicted", *_losses(data["whole"])],
                ["all tensors swapped at once, as quantization predicted", *_losses(data["landed"])],
            ],
        ),
        folded(
            "By tensor",
            table(["tensor", ">weights", ">predicted, mnat", ">measured, mnat", ">predicted / measured"], rows),
        ),
    )


def _kind(row: Data, vectors: Set[str]) -> str:
    """Of a swapped tensor; "" where a loss has no place on logarithmic axes."""
    if row["predicted"] <= 0 or row["measured"] <= 0:
        return ""
    return KINDS[row["name"] in vectors]


def _swap(row: Data) -> Point:
    return Point(MNAT * row["predicted"], MNAT * row["measured"], name=row["name"], tip=", ".join(_losses(row)[:2]))


def telling(series: Sequence[Series]) -> list[Point]:
    """The points that matter most, in turn the costliest and those farthest from what was predicted."""
    points = [point for each in series for point in each.points]
    costly = sorted(points, key=lambda point: -point.y)[:MOST_TOLD]
    outlying = sorted(points, key=lambda point: -abs(math.log(point.y / point.x)) * point.y**0.25)[:MOST_TOLD]
    return list(dict.fromkeys(point for pair in zip(costly, outlying, strict=True) for point in pair))


def _losses(row: Data) -> list[str]:
    return [significant(MNAT * row["predicted"]), significant(MNAT * row["measured"]), decimals(row["ratio"], 2)]


def stage_section(explanation: Data) -> Html:
    stages, weights = explanation["stages"], explanation["bytes"]["weights"]
    last = stages[-1]["bytes"]
    rows = [
        [
            s["stage"],
            integer(s["bytes"]),
            significant(MNAT * s["divergence"]),
            significant(MNAT * s["divergence"] * 4 ** (8 * (s["bytes"] - last) / weights)),
        ]
        for s in stages
    ]
    bars = [Row(s["stage"], MNAT * s["divergence"], _mnat(s["divergence"])) for s in stages]
    costs = explanation["bounds"]["uniform_step_costs"]
    names = {
        "columns": "one step for all columns of a matrix",
        "rows": "one step for all rows of a matrix",
        "tensors": "one step for all matrices",
    }
    uniform = [[text, decimals(costs[key])] for key, text in names.items()]
    cells = [
        [r["name"], decimals(r["uniform_columns"]), decimals(r["uniform_rows"])]
        for r in explanation["bounds"]["matrices"]
    ]
    return section(
        "What each stage brings",
        paragraph(
            "KL divergence from the float model on the same tokens as above. The last column moves it to the "
            "artifact's size at 6.02 dB a bit, so that stages of slightly different sizes compare."
        ),
        bar_chart(bars, "KL from the float model, mnat a token", "KL divergence after each stage"),
        table(["model after", ">bytes", ">KL, mnat", ">KL at equal bytes, mnat"], rows),
        element("h3", "What steps of their own bring"),
        paragraph(
            "Bits a weight that coarser steps would cost: ½ log₂ of arithmetic over geometric mean of the "
            "sensitivities that steps follow."
        ),
        table(
            ["instead of sensitivity-weighted steps", ">bits a weight"],
            uniform,
            ["one step for the whole model", decimals(sum(costs.values()))],
        ),
        folded("By matrix", table(["matrix", ">columns", ">rows"], cells)),
    )
