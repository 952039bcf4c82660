"""What every command says of the checkpoint that it read: what was assumed, and what was chosen, decoded or left out.

Strategy: said on stderr before the result, and kept in the document of --json. A command that fails says its error
alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import click

from ..files.printable import printable

BESIDE = "beside it"  # how `compiler/checkpoints/configuration.py` calls a file that lies with the weights


class Said(Protocol):
    """A reading, or a result that keeps what one says."""

    @property
    def assumed(self) -> Mapping[str, object]: ...

    @property
    def told(self) -> Mapping[str, str]: ...

    @property
    def notes(self) -> Sequence[str]: ...

    @property
    def weights(self) -> str: ...


def reading_document(reading: Said) -> dict[str, Any]:
    """A reading as JSON values."""
    return {
        "assumed": dict(reading.assumed),
        "told": dict(reading.told),
        "notes": list(reading.notes),
        "weights": reading.weights,
    }


def print_reading(reading: Said, assumptions: bool = True) -> None:
    """One line on stderr for each note, and, unless they are said elsewhere, one for what a file beside the checkpoint
    tells and one for what was assumed.
    """
    for note in (*reading.notes, *(_told_beside(reading) if assumptions else ())):
        click.echo(f"bytecap: note: the checkpoint: {printable(note)}", err=True)
    if reading.assumed and assumptions:
        assumed = ", ".join(
            f"{name} {'' if value is None else value}".strip() for name, value in reading.assumed.items()
        )
        assumed = printable(assumed)
        told = f"; the rest is told by {', '.join(sorted(set(reading.told.values())))}" if reading.told else ""
        click.echo(f"bytecap: note: assumed of the checkpoint: {assumed}{told}; --architecture changes that", err=True)


def print_notes(notes: Iterable[str]) -> None:
    """What was assumed, guessed or left out, a line each on stderr."""
    for note in notes:
        click.echo(f"bytecap: note: {printable(note)}", err=True)


def _told_beside(reading: Said) -> list[str]:
    """`config.json beside it tells rope_base, logit_softcap`: a file that nobody named was used."""
    sources = dict.fromkeys(source for source in reading.told.values() if source.endswith(BESIDE))
    return [f"{source} tells {', '.join(n for n, s in reading.told.items() if s == source)}" for source in sources]


def said_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Read the checkpoint that a command's options name, say what it says, and return that as JSON values."""
    from .. import interface

    known = {name: options[name] for name in ("architecture", "weights", "ignore", "rename")}
    reading = interface.describe(options["checkpoint"], **known)
    print_reading(reading)
    return reading_document(reading)
