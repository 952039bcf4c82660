"""What `bytecap curve` prints: a row a point, and how often each kind does better or worse than the controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..files.numbers import integer
from .tables import print_table
from .text_lines import print_field, print_text

if TYPE_CHECKING:
    from ..lab.measure.byte_returns import Control, ReturnPoint
    from ..lab.measure.curves import ByteReturns

DISPENSABLE = (">metadata", ">mBPB a KB", ">a KB", ">items", ">protected", ">against widened", ">against finer")
CONTROLS = {"finer": "uniformly finer steps", "widened": "the allocator's own steps"}


def curve_document(found: ByteReturns) -> dict[str, Any]:
    """Everything found as JSON values: bits, not thousandths of bits, but for what is named mbpb."""
    inputs = found.inputs
    settings = asdict(inputs.settings) | {"profile": inputs.profile, "seed": inputs.seed, "tokens": inputs.tokens}
    return {
        "settings": settings,
        "inputs": inputs.digest,
        "base": asdict(found.base),
        "units": [{"unit": unit, "points": [_point(point) for point in found.of(unit)]} for unit in found.units],
        "notes": list(found.notes),
    }


def _point(point: ReturnPoint) -> dict[str, Any]:
    values = asdict(point)
    del values["unit"]
    per_byte = {
        "recovered_per_byte": point.recovered_per_byte,
        "recovered_bits_per_byte_per_byte": point.bits_per_byte_per_byte,
    }
    return values | per_byte


def print_curves(found: ByteReturns) -> None:
    """The base, a table of all points, and a line a kind."""
    base, settings = found.base, found.inputs.settings
    text = (
        ""
        if base.bits_per_byte is None
        else f", {base.bits_per_byte:.5f} bits per byte (float {base.float_bits_per_byte:.5f})"
    )
    steps = f"{integer(base.bytes)} bytes on {settings.steps} steps"
    print_text(f"base: {steps}, divergence {1000 * base.divergence:.3f} mbit a token{text}")
    click.echo()
    scored = base.bits_per_byte is not None
    columns = [
        "unit",
        ">budget",
        ">items",
        ">protected",
        ">metadata",
        ">recovered",
        ">a KB",
        *([">mBPB a KB"] * scored),
        ">against finer",
        ">against widened",
    ]
    print_table(columns, [_row(point, scored) for point in found.points], dispensable=DISPENSABLE)
    print_text(
        "recovered and differences in mbit a token of divergence, with 95 % intervals; "
        "above 0 the exceptions are better"
    )
    for unit in found.units:
        print_field(unit, f"{_standing([point for point in found.of(unit) if point.bytes is not None])}", 10)


def _row(point: ReturnPoint, scored: bool) -> list[str]:
    if point.bytes is None:
        return [point.unit, integer(point.budget), "0", *["-"] * (6 + scored)]
    recovered = _interval(point.recovered, point.recovered_reach)
    a_kb = [f"{1e6 * point.recovered_per_byte:.3f}"] if point.protected_bytes else ["-"]
    if scored:
        a_kb.append(f"{1e6 * point.bits_per_byte_per_byte:.3f}" if point.protected_bytes else "-")
    controls = [_interval(control.advantage, control.advantage_reach) for control in (point.finer, point.widened)]
    metadata = integer(sum(point.metadata.values()))
    return [
        point.unit,
        integer(point.budget),
        integer(point.items),
        integer(point.protected_bytes),
        metadata,
        recovered,
        *a_kb,
        *controls,
    ]


def _interval(mean: float, reach: float) -> str:
    return f"{1000 * mean:+.3f} +- {1000 * reach:.3f}"


def _standing(points: Sequence[ReturnPoint]) -> str:
    if not points:
        return "no budget holds one"
    return ", ".join(f"{_wins([getattr(point, name) for point in points])} {words}" for name, words in CONTROLS.items())


def _wins(controls: Sequence[Control]) -> str:
    sides = [control.advantage - control.advantage_reach > 0 for control in controls]
    worse = [control.advantage + control.advantage_reach < 0 for control in controls]
    return f"better at {sum(sides)} and worse at {sum(worse)} of {len(controls)} budgets than"
