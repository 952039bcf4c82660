"""The report page of a compile: one HTML file that stands by itself, drawn from the report's data.

Strategy: no scripts, no fonts, no images and no addresses: one inline style sheet and inline SVG. Everything
shown is in the report that `--json` prints, and nothing is computed here but sums and shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..files.ledger import Ledger
from ..files.numbers import decimals, integer, percent, significant
from . import sections
from .allocation import candidate_section
from .markup import Html, element, paragraph, whole_page


def render_page(report: Mapping[str, Any], ledger: Ledger, sha256: str) -> str:
    """The page of a report with an explanation (explanation.py) and its `reproduce` facts (compile_page.py)."""
    explanation = report["explanation"]
    whole = explanation["swaps"]["whole"]
    name = explanation["reproduce"]["output"] or "dry run, nothing written"
    bits, loss = decimals(report["bits_per_weight"], 2), significant(whole["measured"])
    verdict = f"{_size(ledger)}, {bits} bits a weight, KL {loss} nats a token from the checkpoint"
    return whole_page(
        f"bytecap: {name}",
        "bytecap compile report",
        verdict,
        element("p", f"{name}  ·  SHA-256 {sha256}", class_="digest"),
        sections.tiles(_tiles(report, ledger)),
        _warnings(report),
        sections.score_section(report["score"]),
        sections.byte_section(explanation),
        candidate_section(report["candidates"]),
        sections.swap_section(explanation),
        sections.bound_section(explanation),
        sections.entropy_section(explanation),
        sections.curve_section(explanation, None if ledger.cap is None else ledger.cap - ledger.code_bytes),
        sections.stage_section(explanation),
        sections.reproduction_section(report, ledger, explanation["reproduce"]),
    )


def _size(ledger: Ledger) -> str:
    return f"{integer(ledger.total_bytes)} bytes" + (f" of {integer(ledger.cap)}" if ledger.cap is not None else "")


def _tiles(report: Mapping[str, Any], ledger: Ledger) -> list[tuple[str, str, Html | None]]:
    explanation = report["explanation"]
    whole, mean = explanation["swaps"]["landed"], explanation["bounds"]["mean"]
    items: list[tuple[str, str, Html | None]] = []
    if ledger.cap:
        share = percent(ledger.total_bytes, ledger.cap, 2)
        meter = element(
            "div", element("i", style=f"width:{100 * ledger.total_bytes / ledger.cap:.2f}%"), class_="meter"
        )
        items.append((share, f"of the cap, {integer(ledger.cap - ledger.total_bytes)} bytes left", meter))
    score = report["score"]
    if score and score["artifact"] is not None:
        gap = f"bits per byte, {sections.gap_text(score['gap'])} from the checkpoint"
        items.append((decimals(score["artifact"]["bits_per_byte"], 4), gap, None))
    weights = f"bits a weight, {integer(report['weights'])} weights, whole file"
    loss = f"a token of KL from the checkpoint; {significant(1000 * whole['predicted'])} predicted"
    return [
        *items,
        (decimals(report["bits_per_weight"], 3), weights, None),
        (f"{significant(1000 * whole['measured'])} mnat", loss, None),
        (f"{decimals(mean['distance'])} bits", "a weight above the rate-distortion bound", None),
    ]


def _warnings(report: Mapping[str, Any]) -> Html | None:
    if not report["at_finest_steps"]:
        return None
    return paragraph("The cap is larger than the finest steps need: more bytes would not make the model better.")
