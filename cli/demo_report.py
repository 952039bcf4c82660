"""What `bytecap demo` prints: what was made, the ledger, both scores with their gap, the verdict, the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..files.numbers import integer
from .compile_report import compile_document
from .eval_report import gap_document, gap_text, score_document, score_text
from .ledger_report import cap_line, print_ledger
from .text_lines import print_field
from .verify_report import check_document, verdict_text

if TYPE_CHECKING:
    from ..lab.demo.demo import Demo


def demo_document(demo: Demo) -> dict[str, Any]:
    """The demo's results as JSON values."""
    return {
        "folder": str(demo.folder),
        "checkpoint": str(demo.checkpoint),
        "weights": demo.weights,
        "training": {"steps": demo.steps, "seconds": demo.training_seconds},
        "compile": compile_document(demo.compiled, demo.artifact),
        "reference": score_document(demo.reference),
        "score": score_document(demo.score),
        "gap": gap_document(demo.gap),
        "passed": demo.passed,
        "checks": [check_document(check) for check in demo.checks],
    }


def print_demo(demo: Demo) -> None:
    """The demo's results as text; the last line names the folder."""
    text_bytes = demo.data.text.stat().st_size
    print_field("text", f"{integer(text_bytes)} bytes of Python's own documentation", 12)
    training = f"{integer(demo.steps)} training steps in {demo.training_seconds:.0f} s"
    print_field("model", f"{integer(demo.weights)} weights, {training}", 12)
    click.echo()
    print_ledger(demo.compiled.ledger)
    print_field("float", score_text(demo.reference), 12)
    print_field("artifact", score_text(demo.score), 12)
    print_field("gap", gap_text(demo.gap), 12)
    print_field("verdict", f"{verdict_text(demo.checks)}; {cap_line(demo.compiled.ledger)}", 12)
    print_field("files", str(demo.folder), 12)
