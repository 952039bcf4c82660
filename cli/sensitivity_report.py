"""What `bytecap sensitivity` prints: the ranking, how much its top holds, and how far it can be relied on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from ..files.numbers import integer, percent
from .tables import print_table
from .text_lines import print_field, print_text

if TYPE_CHECKING:
    from ..lab.measure.rank_stability import RankStability
    from ..lab.measure.sensitivity import Sensitivity


def sensitivity_document(found: Sensitivity) -> dict[str, Any]:
    """Everything found as JSON values: units from the most sensitive, those that were not measured last.

    Null stands where there is no number. `sensitivities` of a unit are by method.
    """
    order = found.order.tolist()
    order += sorted(set(range(len(found.units))) - set(order))
    return {
        "unit": found.kind,
        "ranked_units": len(found.order),
        "by": found.by,
        "bits": found.bits,
        "calibration_tokens": found.tokens,
        "held_out_tokens": found.held_out_tokens,
        "slices": len(found.slice_sensitivities),
        "units": [_unit_document(found, u) for u in order],
        "concentration": [
            {"top_share": share, "top_units": count, "sensitivity_share": share_of_sum, "weight_share": weight}
            for share, count, share_of_sum, weight in found.concentration
        ],
        "stability": None if found.stability is None else _stability_document(found.stability),
        "agreement": {method: _number(value) for method, value in found.agreement.items()},
        "notes": list(found.notes),
    }


def _unit_document(found: Sensitivity, unit: int) -> dict[str, Any]:
    return {
        "name": found.units[unit].name,
        "weights": found.units[unit].weights,
        "sensitivities": {method: _number(values[unit]) for method, values in found.sensitivities.items()},
        "by_slice": [_number(value) for value in found.slice_sensitivities[:, unit]],
    }


def _stability_document(stability: RankStability) -> dict[str, Any]:
    return {
        "mean_rank_correlation": _number(stability.mean_correlation),
        "least_rank_correlation": _number(stability.least_correlation),
        "top_units": stability.top,
        "mean_top_overlap": stability.mean_overlap,
        "least_top_overlap": stability.least_overlap,
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def print_sensitivity(found: Sensitivity, top: int) -> None:
    """The `top` units as a table, then concentration, stability and agreement, a line each."""
    order, values = found.order, found.sensitivities[found.by]
    total = float(values[order].sum())
    kinds = found.kind if len(order) == len(found.units) else f"of {integer(len(found.units))} {found.kind}"
    print_text(f"{integer(len(order))} {kinds}, each alone {found.change}, by {found.by} on {_data(found)}")
    click.echo()
    methods = [found.by, *(method for method in found.sensitivities if method != found.by)]
    rows = [
        [
            str(place),
            found.units[u].name,
            integer(found.units[u].weights),
            percent(values[u], total),
            *(f"{found.sensitivities[method][u]:.3g}" for method in methods),
        ]
        for place, u in enumerate(order[:top].tolist(), start=1)
    ]
    print_table(
        [">rank", "unit", ">weights", ">share", *(f">{method}" for method in methods)],
        rows,
        dispensable=[*(f">{method}" for method in reversed(methods[1:])), ">weights", ">rank"],
    )
    if "measured" not in found.sensitivities:
        predicted = "predicted by the second-order model, nats a token; nothing was measured (--by measured)"
        print_field("losses", predicted, 15)
    print_field("concentration", _concentration(found), 15)
    print_field("stability", _stability(found), 15)
    agreement = ", ".join(f"{method} {value:.3f}" for method, value in found.agreement.items())
    print_field("agreement", f"{agreement} (rank correlation)", 15)


def _concentration(found: Sensitivity) -> str:
    """`top 22 of 2,176 (1.0 %) hold 27.5 % (with 1.0 % of the weights), ...`, of the units that were ranked."""
    ranked = len(found.order)
    held = {
        count: f"{integer(count)} of {integer(ranked)} ({percent(count, ranked)}) hold {100 * share:.1f} % "
        f"(with {100 * weight:.1f} % of the weights)"
        for _, count, share, weight in found.concentration
    }
    measured = "of those measured " if ranked < len(found.units) else ""
    return f"{measured}top {', '.join(held.values())}"


def _data(found: Sensitivity) -> str:
    if found.held_out_tokens:
        return f"{integer(found.held_out_tokens)} held-out tokens"
    return f"{integer(found.tokens)} tokens"


def _stability(found: Sensitivity) -> str:
    stability = found.stability
    if stability is None:
        return "one slice, nothing to compare" if found.by != "row-error" else "the ranking does not depend on the data"
    return (
        f"over {len(found.slice_sensitivities)} slices: "
        f"rank correlation {stability.mean_correlation:.3f} (least {stability.least_correlation:.3f}), "
        f"overlap of the top {stability.top} {stability.mean_overlap:.3f} (least {stability.least_overlap:.3f})"
    )
