"""The part of the page that says which kinds of candidates the matrices became, and what the others would have cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..files.numbers import integer, significant
from .charts import bar_chart
from .markup import Html, folded, paragraph, section, table
from .sections import MNAT, MOST_ROWS

Data = Mapping[str, Any]


def candidate_section(found: Data | None) -> Html | None:
    """The menus of candidate_tables.py; nothing when the recipe offered none."""
    if found is None:
        return None
    kinds = [
        [
            r["kind"],
            integer(r["offered"]),
            integer(r["won"]),
            integer(r["bytes"]),
            _bytes(r["saved"]),
            _bytes(r["most_saved"]),
        ]
        for r in found["kinds"]
    ]
    bars = [
        (f"{c['name']} ({_title(c)})", c["saved"], f"{_bytes(c['saved'])} bytes")
        for c in found["chosen"]
        if c["saved"] > 0
    ]
    return section(
        "Kinds of candidates",
        paragraph(
            "Every matrix was offered in other kinds than one grid, at the byte price found, with coded bytes of a "
            "trial encode and second-order losses. "
            "Saved are bytes at equal predicted loss against its grid, "
            f"1,000 bytes being worth {significant(1000 * MNAT * found['nats_per_byte'])} mnat; below 0 the kind would "
            "have cost so much more. "
            "The largest choices were confirmed by the loss measured on held-out text. Kinds named shared are offered "
            "to groups of matrices, "
            "which take them together or not at all: of those, offered to counts groups, and the first member pays for "
            "what all use."
        ),
        bar_chart(bars[:MOST_ROWS], "bytes saved at equal predicted loss", "Bytes saved by choice") if bars else None,
        table(["kind", ">offered to", ">won", ">bytes of them", ">saved", ">best offer saves"], kinds),
        _chosen_table(found)
        if found["chosen"]
        else paragraph("No kind pays on any matrix: every one of them is one grid."),
        folded("Best offer of each kind by matrix", _offer_table(found)),
        folded("Offers to groups of matrices", _group_table(found)) if found["groups"] else None,
    )


def _chosen_table(found: Data) -> Html:
    rows = [
        [
            c["name"],
            _title(c),
            integer(c["plain"]["bytes"]),
            integer(c["bytes"]),
            significant(MNAT * c["plain"]["predicted_loss"]),
            significant(MNAT * c["predicted_loss"]),
            _bytes(c["saved"]),
            *_measured(c["measured"]),
        ]
        for c in found["chosen"]
    ]
    columns = [
        "matrix",
        "became",
        ">bytes as grid",
        ">bytes",
        ">loss as grid, mnat",
        ">loss, mnat",
        ">saved",
        ">measured as grid",
        ">measured",
    ]
    return table(columns, rows)


def _offer_table(found: Data) -> Html:
    rows = []
    for matrix in found["matrices"]:
        rows.append(
            [matrix["name"], "grid", integer(matrix["bytes"]), significant(MNAT * matrix["predicted_loss"]), ""]
        )
        for offer in matrix["offers"]:
            rows.append(
                [
                    "",
                    _title(offer),
                    integer(offer["bytes"]),
                    significant(MNAT * offer["predicted_loss"]),
                    _bytes(offer["saved"]),
                ]
            )
    return table(["matrix", "kind", ">bytes", ">predicted, mnat", ">saved"], rows)


def _group_table(found: Data) -> Html:
    rows = [
        [
            _title(g),
            ", ".join(g["names"]),
            integer(g["plain"]["bytes"]),
            integer(g["bytes"]),
            significant(MNAT * g["plain"]["predicted_loss"]),
            significant(MNAT * g["predicted_loss"]),
            _bytes(g["saved"]),
            "chosen" if g["chosen"] else "",
        ]
        for g in found["groups"]
    ]
    return table(
        ["kind", "matrices", ">bytes as grids", ">bytes", ">loss as grids, mnat", ">loss, mnat", ">saved", ""], rows
    )


def _measured(losses: Data | None) -> list[str]:
    return ["", ""] if losses is None else [significant(MNAT * losses["plain"]), significant(MNAT * losses["chosen"])]


def _title(offer: Data) -> str:
    return " ".join(map(str, (offer["kind"], *offer["setting"])))


def _bytes(saved: float | None) -> str:
    return "" if saved is None else integer(round(saved))
