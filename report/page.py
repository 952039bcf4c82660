"""The report page of a compile: one HTML file that stands by itself, drawn from the report's data.

Strategy: no scripts, no fonts, no images and no addresses: one inline style sheet and inline SVG. The verdict is on
top, then the curve of loss over bytes, then where the bytes went. Everything shown is in the report that `--json`
prints or in the artifact, and nothing is computed here but sums and shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..compiler.explanation.prediction import far_off_notes
from ..files.ledger import Ledger
from ..files.numbers import decimals, integer, percent, significant
from ..files.printable import printable
from ..format.byte_account import Inspection
from .allocation import candidate_section
from .byte_sections import byte_section
from .heading import Origin, headed_page, tiles
from .loss_sections import curve_section, gap_text, score_section, stage_section, swap_section
from .markup import Html, element, paragraph
from .rate_sections import bound_section, entropy_section
from .reproduction import reproduction_section


def render_page(report: Mapping[str, Any], ledger: Ledger, found: Inspection) -> str:
    """The page of a report with an explanation (explanation.py) and its `reproduce` facts (compile_page.py).

    found : the inspection of the artifact
    """
    explanation = report["explanation"]
    made = explanation["reproduce"]
    name = Path(made["output"] or made["checkpoint"]).name
    facts = {
        "checkpoint": f"{printable(made['checkpoint'])}, {integer(report['weights'])} weights",
        "calibration": f"{integer(report['calibration_tokens'])} tokens of {printable(made['calibration'])}",
        "computes": found.program.words,
        "artifact": f"SHA-256 {found.sha256}" if made["output"] else "nothing was written",
    }
    return headed_page(
        Origin("compile report", printable(name), made["date"], made["command"]),
        _verdict(report, ledger),
        facts,
        tiles(_tiles(report, ledger)),
        _warnings(report),
        curve_section(explanation, None if ledger.cap is None else ledger.cap - ledger.code_bytes),
        score_section(report["score"]),
        byte_section(explanation, found),
        candidate_section(report["candidates"]),
        swap_section(explanation),
        bound_section(explanation),
        entropy_section(explanation),
        stage_section(explanation),
        reproduction_section(report, ledger, made),
    )


def _verdict(report: Mapping[str, Any], ledger: Ledger) -> str:
    """Size, rate, score and loss in one line."""
    parts = [_size(ledger), f"{decimals(report['bits_per_weight'], 2)} bits a weight"]
    if _scored(report):
        parts.append(f"{decimals(report['score']['artifact']['bits_per_byte'], 4)} bits per byte")
    measured = report["explanation"]["swaps"]["whole"]["measured"]
    return ", ".join([*parts, f"KL {significant(measured)} nats a token from the checkpoint"])


def _scored(report: Mapping[str, Any]) -> bool:
    return bool(report["score"]) and report["score"]["artifact"] is not None


def _size(ledger: Ledger) -> str:
    return f"{integer(ledger.total_bytes)} bytes" + (f" of {integer(ledger.cap)}" if ledger.cap is not None else "")


def _tiles(report: Mapping[str, Any], ledger: Ledger) -> list[tuple[str, str, Html | None]]:
    """Bits per byte first where they were measured."""
    explanation = report["explanation"]
    whole, mean = explanation["swaps"]["landed"], explanation["bounds"]["mean"]
    items: list[tuple[str, str, Html | None]] = []
    if _scored(report):
        gap = f"bits per byte, {gap_text(report['score']['gap'])} from the checkpoint"
        items.append((decimals(report["score"]["artifact"]["bits_per_byte"], 4), gap, None))
    if ledger.cap:
        share = percent(ledger.total_bytes, ledger.cap, 2)
        meter = element(
            "div", element("i", style=f"width:{100 * ledger.total_bytes / ledger.cap:.2f}%"), class_="meter"
        )
        items.append((share, f"of the cap; {integer(ledger.cap - ledger.total_bytes)} bytes left", meter))
    weights = f"bits a weight, {integer(report['weights'])} weights, whole file"
    predicted = f"{significant(1000 * whole['predicted'])} predicted"
    if not report["prediction"]["supported"]:
        predicted = "the statistics support no prediction"
    loss = f"a token of KL from the checkpoint; {predicted}"
    return [
        *items,
        (decimals(report["bits_per_weight"], 3), weights, None),
        (f"{significant(1000 * whole['measured'])} mnat", loss, None),
        (f"{decimals(mean['distance'])} bits", "a weight above the rate-distortion bound", None),
    ]


def _warnings(report: Mapping[str, Any]) -> Html | None:
    """What keeps the numbers below from saying what they seem to say."""
    said = []
    if report["at_finest_steps"]:
        said.append("The cap is larger than the finest steps need: more bytes would not make the model better.")
    if not report["prediction"]["supported"]:
        doubts = "; ".join(report["prediction"]["doubts"])
        said.append(f"No predicted loss on this page may be relied on: {doubts}. Give more calibration text.")
    said += [f"{note[0].upper()}{note[1:]}." for note in far_off_notes(report["prediction"])]
    return element("div", *(paragraph(sentence) for sentence in said)) if said else None
