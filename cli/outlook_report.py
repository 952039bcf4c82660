"""What `bytecap compile --dry-run` prints: the caps that are of use, what this one is worth, and what it will cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..compiler.explanation.prediction import usual_text
from ..files.numbers import integer
from .progress import duration
from .text_lines import print_field, print_text

if TYPE_CHECKING:
    from ..compiler.outlook import Outlook


def outlook_document(outlook: Outlook) -> dict[str, Any]:
    """An outlook as JSON values."""
    return {"output": None, "outlook": outlook.document()}


def print_outlook(outlook: Outlook) -> None:
    """An outlook as text; the first line says what it stands on."""
    forecast = outlook.forecast
    tokens = f"{integer(outlook.tokens)} tokens and some rows of some matrices of each kind"
    print_text(f"dry run, nothing compiled or written; estimated from {tokens}")
    click.echo()
    span = f"{duration(forecast.low)} to {duration(forecast.high)}"
    lines = {
        "checkpoint": f"{integer(outlook.weights)} weights, {integer(outlook.float_bytes)} bytes as they are stored",
        "smallest": f"{integer(outlook.smallest)} bytes, every matrix zero",
        "largest useful": f"about {integer(outlook.largest_useful)} bytes",
        "this cap": f"{integer(outlook.budget)} bytes for the artifact, {outlook.bits_per_weight:.2f} bits a weight",
        "predicted": _predicted(outlook),
        "time": f"about {duration(forecast.total)} ({span}) on this machine with nothing else to do",
        "memory": f"about {forecast.peak_bytes / 1e9:.1f} GB, within a factor of {forecast.peak_factor:g}",
    }
    for title, text in lines.items():
        print_field(title, text, 15)
    for note in outlook.notes:
        print_field("note", note, 15)


def _predicted(outlook: Outlook) -> str:
    """The predicted loss beside what it usually comes to, or why it is no prediction."""
    loss = f"about {outlook.predicted_loss:.2g} nats a token more loss than the checkpoint"
    if outlook.is_for_small_errors:
        return f"{loss}; measured usually is {usual_text(outlook.measured_usually)}"
    return (
        f"{loss}, an order and no amount: second order is for small errors, and to guess among all tokens costs "
        f"{outlook.guessing_loss:.2g}; take a larger cap, or compile and go by what is measured"
    )
