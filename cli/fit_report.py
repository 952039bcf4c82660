"""What `bytecap fit` prints: a row an artifact, and for each cap with several how far they lie apart."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..files.numbers import decimals, integer, significant
from .tables import print_table
from .text_lines import print_text

if TYPE_CHECKING:
    from ..compiler.fitted import Fit, FittedArtifact, Spread

COLUMNS = (
    "artifact",
    ">bytes",
    ">margin",
    ">bits/weight",
    ">predicted",
    ">measured",
    ">bits/byte",
    ">gap mBPB",
    ">seconds",
)
SCORES = slice(6, 8)  # columns that are empty without evaluation text


def fit_document(fit: Fit) -> dict[str, Any]:
    """A fit as JSON values; sha256 is null and failure said where a cap cannot be met."""
    return {
        "fits": fit.fits,
        "artifacts": [asdict(each) | {"total_bytes": each.total_bytes} for each in fit.artifacts],
        "spreads": [asdict(each) for each in fit.spreads],
    }


def print_fit(fit: Fit) -> None:
    """The fit as text: the verdict, a table, lines of each cap with several artifacts, and what could not be done."""
    made = [each for each in fit.artifacts if each.failure is None]
    kept = sum(each.kept for each in made)
    verdict = f"{len(made)} of {len(fit.artifacts)} artifacts under their caps"
    print_text(verdict + (f", {kept} kept from before" if kept else ""))
    click.echo()
    if made:
        columns, rows = list(COLUMNS), [list(_row(each)) for each in made]
        if all(each.bits_per_byte is None for each in made):
            for line in (columns, *rows):
                del line[SCORES]
        print_table(columns, rows, dispensable=(">seconds", ">bits/weight", ">predicted", ">gap mBPB", ">margin"))
    if made:
        measured = any(each.measured_loss is not None for each in made)
        which = "predicted and measured" if measured else "predicted, with nothing measured"
        print_text(f"{which}: nats a token more than the checkpoint has", 2)
    for spread in fit.spreads:
        for line in _spread_lines(spread) if spread.artifacts > 1 else ():
            print_text(line, 4)
    print_assumed(fit)
    for each in fit.artifacts:
        if each.failure is not None:
            print_text(f"{each.checkpoint} under {integer(each.cap)}: {each.failure}", 2)


def print_assumed(fit: Fit) -> None:
    """On stderr, once for all checkpoints of which it is the same: what was assumed, chosen or left out."""
    said: dict[str, list[str]] = {}
    for each in fit.artifacts:
        assumed = ", ".join(f"{name} {value}" for name, value in each.assumed.items())
        for note in (*each.notes, *([f"assumed {assumed}; --architecture changes that"] if assumed else [])):
            names = said.setdefault(note, [])
            names += [] if each.checkpoint in names else [each.checkpoint]
    for note, names in said.items():
        click.echo(f"bytecap: note: {', '.join(names)}: {note}", err=True)


def _row(artifact: FittedArtifact) -> tuple[str, ...]:
    return (
        Path(artifact.output).name,
        integer(artifact.artifact_bytes),
        integer(artifact.margin),
        decimals(artifact.bits_per_weight),
        significant(artifact.predicted_loss),
        significant(artifact.measured_loss),
        decimals(artifact.bits_per_byte, 5),
        decimals(artifact.gap_mbpb, 2),
        "kept" if artifact.kept else f"{artifact.seconds:.1f}",
    )


def _spread_lines(spread: Spread) -> list[str]:
    """The sizes under a cap and the least margin, and the losses: a line each."""
    sizes = f"{integer(spread.least_bytes)} to {integer(spread.most_bytes)} bytes, range "
    sizes += f"{integer(spread.most_bytes - spread.least_bytes)}"
    lines = [f"cap {integer(spread.cap)}: {sizes}, least margin {integer(spread.least_margin)}"]
    if spread.mean_measured is None:
        lines.append(f"predicted loss {significant(spread.mean_predicted)} nats a token on average, nothing measured")
    else:
        deviation = "" if spread.deviation is None else f", standard deviation {significant(spread.deviation)}"
        lines.append(f"measured loss {significant(spread.mean_measured)} nats a token on average{deviation}")
    if spread.mean_bits_per_byte is not None:
        found = spread.deviation_bits_per_byte
        deviation = "" if found is None else f", standard deviation {found:.5f}"
        lines.append(f"{spread.mean_bits_per_byte:.5f} bits per byte on average{deviation}")
    return [lines[0], *(f"  {line}" for line in lines[1:])]
