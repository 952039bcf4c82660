"""The parts of the page, each a function from the report's data to markup, in the order in which they are read.

Strategy: a part shows one chart that answers its question, one short table, and folds away the long tables by tensor.
Losses are shown in thousandths of a nat a token (mnat), which keeps them readable numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..files.ledger import Ledger
from ..files.numbers import decimals, integer, percent, significant
from .charts import bar_chart, curve_chart, point_chart, span_chart
from .markup import Html, element, folded, paragraph, section, table

Data = Mapping[str, Any]
MOST_ROWS = 40  # of a chart
MNAT = 1000.0
FITTED = (
    "Drift correction fits each matrix to the errors of those before it. Alone in the float model it has nothing to\n"
    "correct and shows the fit as a cost, so the whole artifact costs less than the sum of its tensors."
)
AXES = "bytes of the artifact", "predicted loss, mnat a token"


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


def byte_section(explanation: Data) -> Html:
    data = explanation["bytes"]
    file, weights = data["file"], data["weights"]
    shared = [(row["name"], row["bytes"]) for row in data["shared"]]
    chart = bar_chart(
        [
            (r["role"], r["bytes"], f"{percent(r['bytes'], file)}, {decimals(r['bits_per_weight'], 2)} b/w")
            for r in data["roles"][:MOST_ROWS]
        ],
        "bytes of coded integers",
        "Bytes by role",
    )
    layers = [("all layers together" if r["layer"] is None else f"layer {r['layer']}", r) for r in data["layers"]]
    return section(
        "Where the bytes went",
        paragraph(
            "By role, a role being the tensors of one name in all layers. b/w are coded bits a weight. Each table "
            "adds up to the file."
        ),
        chart,
        _share_table("role", [(r["role"], r) for r in data["roles"]], shared, file, weights),
        folded("By layer", _share_table("layer", layers, shared, file, weights)),
        folded("By tensor", _share_table("tensor", [(r["name"], r) for r in data["tensors"]], shared, file, weights)),
        folded("By section of the file", _plain_table("section", data["sections"], file)),
        folded("By stream", _plain_table("part", data["streams"], file)),
        folded("Metadata, which the tables above count too", _metadata_table(data["metadata"], file))
        if data["metadata"]
        else None,
    )


def _share_table(
    title: str, rows: Sequence[tuple[str, Data]], shared: Sequence[tuple[str, int]], file: int, weights: int
) -> Html:
    cells = [
        [name, integer(r["elements"]), integer(r["bytes"]), percent(r["bytes"], file), decimals(r["bits_per_weight"])]
        for name, r in rows
    ]
    cells += [
        [element("span", name, class_="muted"), "", integer(size), percent(size, file), ""] for name, size in shared
    ]
    total = sum(r["bytes"] for _, r in rows) + sum(size for _, size in shared)
    columns = [title, ">weights", ">bytes", ">share", ">bits a weight"]
    return table(
        columns, cells, ["file", integer(weights), integer(total), percent(total, file), decimals(8 * total / weights)]
    )


def _plain_table(title: str, rows: Sequence[Data], file: int) -> Html:
    total = sum(row["bytes"] for row in rows)
    cells = [[row["name"], integer(row["bytes"]), percent(row["bytes"], file)] for row in rows]
    return table([title, ">bytes", ">share"], cells, ["file", integer(total), percent(total, file)])


def _metadata_table(rows: Sequence[Data], file: int) -> Html:
    """Bytes that say where and how finely values stand."""
    return table(
        ["what", ">bytes", ">share of the file"],
        [[row["name"], integer(row["bytes"]), percent(row["bytes"], file)] for row in rows],
    )


def swap_section(explanation: Data) -> Html:
    data = explanation["swaps"]
    elements = {t["name"]: t["elements"] for t in data["tensors"]}
    vectors = {row["name"] for row in data["tensors"]} - {row["name"] for row in explanation["bounds"]["matrices"]}
    points = [
        (t["name"], MNAT * t["predicted"], MNAT * t["measured"], "b" if t["name"] in vectors else "a")
        for t in data["tensors"]
        if t["predicted"] > 0 and t["measured"] > 0
    ]
    names = {"a": "matrices", "b": "control tensors"} if any(kind == "b" for *_, kind in points) else {"a": "matrices"}
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
        point_chart(points, names, labels, "Predicted and measured loss of swapping one tensor") if points else None,
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


def _losses(row: Data) -> list[str]:
    return [significant(MNAT * row["predicted"]), significant(MNAT * row["measured"]), decimals(row["ratio"], 2)]


def bound_section(explanation: Data) -> Html:
    data = explanation["bounds"]
    ordered = sorted(data["matrices"], key=lambda row: -row["elements"] * row["coded"])
    known = [row for row in ordered if row["bound"] is not None]
    spans = [(r["name"], r["bound"], r["coded"], f"{r['distance']:+.3f}") for r in known[:MOST_ROWS]]
    mean = data["mean"]
    cells = [
        [
            r["name"],
            integer(r["elements"]),
            *(decimals(r[key]) for key in ("coded", "bound", "distance")),
            significant(MNAT * r["loss"]),
        ]
        for r in ordered
    ]
    columns = ["matrix", ">weights", ">coded", ">bound", ">distance", ">loss, mnat"]
    totals = [
        "mean, weighted by weights",
        integer(sum(r["elements"] for r in known)),
        *(decimals(mean[k]) for k in ("coded", "bound", "distance")),
        "",
    ]
    return section(
        "Distance to the rate-distortion bound",
        paragraph(
            "The bound is the least rate at which independent Gaussian weights, with variances that are a product of "
            "a row's and a column's, could reach the same second-order loss under the same moments (reverse water "
            "filling). Bits a weight; the largest matrices first."
        ),
        span_chart(spans, ("bound", "coded"), "bits a weight", "Coded bits and bound by matrix") if spans else None,
        folded("By matrix", table(columns, cells, totals)),
    )


def entropy_section(explanation: Data) -> Html:
    rows = sorted(explanation["entropies"], key=lambda row: -row["elements"] * row["coded"])
    keys = ("integers", "entropy", "coded", "contexts")
    total = sum(row["elements"] for row in rows)
    means = [sum(row["elements"] * row[key] for row in rows) / total if total else None for key in keys]
    cells = [[row["name"], integer(row["elements"]), *(decimals(row[key]) for key in keys)] for row in rows]
    columns = ["tensor", ">weights", ">entropy of integers", ">given the trellis", ">coded", ">gain of contexts"]
    return section(
        "Entropy and coded size",
        paragraph(
            "Bits a weight. The order-0 entropy is that of one static distribution a tensor; a trellis fixes an "
            "integer's parity, which then costs nothing. Contexts (running scales of rows and columns) bring the "
            f"rest: {decimals(means[3])} bits a weight on average."
        ),
        table(columns[:1] + columns[2:], [["all tensors", *(decimals(mean) for mean in means)]]),
        folded(
            "By tensor",
            table(columns, cells, ["mean, weighted by weights", integer(total), *(decimals(mean) for mean in means)]),
        ),
    )


def curve_section(explanation: Data, budget: int | None) -> Html:
    series: dict[str, list[tuple[float, float]]] = {}
    for point in explanation["rate_distortion"]:
        if point["predicted_loss"] > 0:
            series.setdefault(point["kind"], []).append((point["bytes"], MNAT * point["predicted_loss"]))
    chosen = explanation["chosen"]
    hits = [p for p in explanation["rate_distortion"] if _is(p, chosen) and p["predicted_loss"] > 0]
    marked = (hits[-1]["bytes"], MNAT * hits[-1]["predicted_loss"]) if hits else None
    rows = [
        [
            p["kind"],
            f"{p['byte_price']:.4g}",
            integer(p["bytes"]),
            significant(MNAT * p["predicted_loss"]),
            "chosen" if _is(p, chosen) else "",
        ]
        for p in explanation["rate_distortion"]
    ]
    return section(
        "Rate and distortion",
        paragraph(
            "Every whole artifact that the search for the byte price made, with its predicted loss, and quick ones at "
            "half to twice the chosen price, which say what another cap would cost. Drift-corrected trials measure "
            "the loss against the corrected weights and the inputs that quantized layers produce, quick ones against "
            "the float model's."
        ),
        curve_chart(series, marked, budget, AXES, "Bytes and predicted loss of all trials") if series else None,
        folded("All trials", table(["trial", ">byte price", ">bytes", ">predicted, mnat", ""], rows)),
    )


def _is(point: Data, chosen: Data) -> bool:
    return point["bytes"] == chosen["bytes"] and point["byte_price"] == chosen["byte_price"]


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
    bars = [(s["stage"], MNAT * s["divergence"], f"{significant(MNAT * s['divergence'])} mnat") for s in stages]
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


def reproduction_section(report: Data, ledger: Ledger, reproduce: Data) -> Html:
    seconds = report["seconds"]
    parts = [[row.name, row.kind, integer(row.bytes)] for row in ledger.rows]
    facts = [
        ["checkpoint", reproduce["checkpoint"]],
        ["its SHA-256", reproduce["checkpoint_sha256"]],
        ["calibration", f"{integer(report['calibration_tokens'])} tokens of {reproduce['calibration']}"],
        ["its SHA-256", reproduce["calibration_sha256"]],
        ["architecture", ", ".join(f"{name} {value}" for name, value in report["architecture"].items())],
        ["from defaults", ", ".join(report["defaults"]) or "nothing"],
        ["on reading", "; ".join(report["notes"]) or "nothing left out"],
        ["bytecap", reproduce["version"]],
    ]
    return section(
        "Making it again",
        paragraph("The same inputs and options give the same bytes, on any number of threads."),
        element("pre", reproduce["command"]),
        table(["input", "value"], facts),
        element("h3", "Ledger"),
        table(["part", "kind", ">bytes"], parts, ["total", _against_cap(ledger), integer(ledger.total_bytes)]),
        element("h3", "Seconds"),
        table(
            ["stage", ">seconds"],
            [[stage, decimals(s, 1)] for stage, s in seconds.items()],
            ["all", decimals(sum(seconds.values()), 1)],
        ),
        element("h3", "Recipe"),
        element("pre", report["recipe"]),
    )


def _against_cap(ledger: Ledger) -> str:
    return "" if ledger.cap is None else f"of {integer(ledger.cap)}, {integer(ledger.cap - ledger.total_bytes)} left"


def tiles(items: Sequence[tuple[str, str, Html | None]]) -> Html:
    """The figures at the top: (value, what it is, something under it)."""
    return element(
        "div",
        *(
            element("div", element("b", value), element("span", text), below, class_="tile")
            for value, text, below in items
        ),
        class_="tiles",
    )
