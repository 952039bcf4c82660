"""What `bytecap demo` prints: what was made, the ledger, both scores with their gap, the verdict, the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..files.numbers import integer
from .compile_report import compile_document
from .eval_report import gap_document, gap_text, score_document, score_text
from .ledger_report import cap_line, print_ledger
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
    click.echo(f"{'text':<11} {integer(text_bytes)} bytes of Python's own documentation")
    training = f"{integer(demo.steps)} training steps in {demo.training_seconds:.0f} s"
    click.echo(f"{'model':<11} {integer(demo.weights)} weights, {training}\n")
    print_ledger(demo.compiled.ledger)
    click.echo(f"{'float':<11} {score_text(demo.reference)}")
    click.echo(f"{'artifact':<11} {score_text(demo.score)}")
    click.echo(f"{'gap':<11} {gap_text(demo.gap)}")
    click.echo(f"{'verdict':<11} {verdict_text(demo.checks)}; {cap_line(demo.compiled.ledger)}")
    click.echo(f"{'files':<11} {demo.folder}")
