"""The part of a compile's page that says how it was made: command, inputs, ledger, seconds and recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..files.ledger import Ledger
from ..files.numbers import decimals, integer
from .markup import Html, element, paragraph, section, table

Data = Mapping[str, Any]


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
        paragraph(_where_the_same(report["instructions"])),
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


def _where_the_same(instructions: Data) -> str:
    libraries = ", ".join(f"{library} {name}" for library, name in instructions["libraries"].items())
    where = (
        "on every x86-64 processor with AVX2"
        if instructions["reproducible"]
        else "where the libraries use the same instructions; with --reproducible on every x86-64 processor with AVX2"
    )
    used = f"Used here: {libraries}; what they compute has the fingerprint {instructions['fingerprint']}."
    return f"The same inputs and options give the same bytes, on any number of threads, {where}. {used}"
