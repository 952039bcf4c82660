"""The part of the page that says which kinds of candidates the matrices became, and what the others would have cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..compiler.explanation.table_steps import table_steps_text
from ..files.numbers import integer, significant
from .amounts import MNAT, MOST_ROWS
from .bars import Row, bar_chart
from .markup import Html, folded, paragraph, record_table, section

Data = Mapping[str, Any]


def candidate_section(found: Data | None) -> Html | None:
    """What the menu offered and what was taken; nothing when the recipe offered nothing."""
    if found is None:
        return None
    bars = [
        Row(f"{c['name']} ({_title(c)})", c["saved"], f"{_bytes(c['saved'])} bytes")
        for c in found["chosen"]
        if c["saved"] > 0
    ]
    worth = significant(1000 * MNAT * found["nats_per_byte"])
    count = len(found["matrices"])
    offered = "1 matrix was" if count == 1 else f"{integer(count)} matrices were"
    none = paragraph("No kind pays on any matrix: every one of them is one grid.")
    return section(
        "Kinds of candidates",
        paragraph(
            f"{offered} offered in other kinds than one grid, at the byte price found, with coded bytes of a "
            "trial encode and second-order losses. Saved are bytes at equal predicted loss against its grid, 1,000 "
            f"bytes being worth {worth} mnat; below 0 the kind would have cost so much more. The largest choices were "
            "confirmed by the loss measured on held-out text. Kinds named shared are offered to groups of matrices, "
            "which take them together or not at all: of those, offered to counts groups, and the first member pays "
            "for what all use."
        ),
        *(
            paragraph(
                f"{row['name']} has other steps than the price says, by its measured loss: {table_steps_text(row)}."
            )
            for row in found["finer"]
        ),
        bar_chart(bars[:MOST_ROWS], "bytes saved at equal predicted loss", "Bytes saved by choice") if bars else None,
        record_table([_kind_row(kind) for kind in found["kinds"]]),
        record_table([_chosen_row(choice) for choice in found["chosen"]]) if found["chosen"] else none,
        folded("Best offer of each kind by matrix", record_table(_offer_rows(found))),
        folded("Offers to groups of matrices", record_table([_group_row(group) for group in found["groups"]]))
        if found["groups"]
        else None,
    )


def _kind_row(kind: Data) -> dict[str, str]:
    """Cells by their columns."""
    return {
        "kind": kind["kind"],
        ">offered to": integer(kind["offered"]),
        ">won": integer(kind["won"]),
        ">bytes of them": integer(kind["bytes"]),
        ">saved": _bytes(kind["saved"]),
        ">best offer saves": _bytes(kind["most_saved"]),
    }


def _chosen_row(choice: Data) -> dict[str, str]:
    """Cells by their columns."""
    plain, measured = choice["plain"], _measured(choice["measured"])
    return {
        "matrix": choice["name"],
        "became": _title(choice),
        ">bytes as grid": integer(plain["bytes"]),
        ">bytes": integer(choice["bytes"]),
        ">loss as grid, mnat": significant(MNAT * plain["predicted_loss"]),
        ">loss, mnat": significant(MNAT * choice["predicted_loss"]),
        ">saved": _bytes(choice["saved"]),
        ">measured as grid": measured[0],
        ">measured": measured[1],
    }


def _offer_rows(found: Data) -> list[dict[str, str]]:
    """A matrix as its grid, and under it the best offer of each kind."""
    rows = []
    for matrix in found["matrices"]:
        rows.append(_offer_row(matrix["name"], "grid", matrix, ""))
        rows += [_offer_row("", _title(offer), offer, _bytes(offer["saved"])) for offer in matrix["offers"]]
    return rows


def _offer_row(matrix: str, kind: str, offer: Data, saved: str) -> dict[str, str]:
    """Cells by their columns."""
    loss = significant(MNAT * offer["predicted_loss"])
    return {
        "matrix": matrix,
        "kind": kind,
        ">bytes": integer(offer["bytes"]),
        ">predicted, mnat": loss,
        ">saved": saved,
    }


def _group_row(group: Data) -> dict[str, str]:
    """Cells by their columns."""
    plain = group["plain"]
    return {
        "kind": _title(group),
        "matrices": ", ".join(group["names"]),
        ">bytes as grids": integer(plain["bytes"]),
        ">bytes": integer(group["bytes"]),
        ">loss as grids, mnat": significant(MNAT * plain["predicted_loss"]),
        ">loss, mnat": significant(MNAT * group["predicted_loss"]),
        ">saved": _bytes(group["saved"]),
        "": "chosen" if group["chosen"] else "",
    }


def _measured(losses: Data | None) -> list[str]:
    return ["", ""] if losses is None else [significant(MNAT * losses["plain"]), significant(MNAT * losses["chosen"])]


def _title(offer: Data) -> str:
    return " ".join(map(str, (offer["kind"], *offer["setting"])))


def _bytes(saved: float | None) -> str:
    return "" if saved is None else integer(round(saved))
