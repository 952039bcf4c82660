"""The parts of a compile's page about rates: how far the matrices are from the bound, and what contexts bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..files.numbers import decimals, integer, significant
from .amounts import MNAT, MOST_ROWS
from .bars import span_chart
from .markup import Html, folded, paragraph, section, table

Data = Mapping[str, Any]


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
