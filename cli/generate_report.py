"""What `bytecap generate` prints: the prompt, then text or token ids as they come; speed and doubts on stderr."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..files.numbers import integer
from .progress import is_quiet
from .reading_report import print_notes, print_reading, reading_document

if TYPE_CHECKING:
    from ..interface import Generation, LoadedModel


class TokenPrinter:
    """Writes what a model draws to stdout, token by token: text, or without a tokenizer ids with spaces between."""

    def __init__(self, model: LoadedModel, prompt: str) -> None:
        self._of_text = model.tokenizer is not None
        self._written = 0  # characters of drawn tokens
        self._prompt = prompt if self._of_text else prompt.strip()
        self._begun = False  # the prompt is written when the first token is there: what is refused writes nothing

    def write(self, token: int, text: str) -> None:
        """A token as it comes, with the characters that it finishes."""
        if not self._of_text:
            text = f" {token}" if self._prompt or self._written else f"{token}"
        self._write(text)

    def finish(self, generation: Generation) -> None:
        """What no further token finished, and the end of the line."""
        self._write("" if generation.text is None else generation.text[self._written :])
        click.echo()

    def _write(self, text: str) -> None:
        click.echo(text if self._begun else self._prompt + text, nl=False)
        self._begun = True
        self._written += len(text)


def print_doubts(model: LoadedModel, generation: Generation) -> None:
    """Speed, unless it is to be quiet, and what was assumed, on stderr."""
    count, end = len(generation.tokens), "; the model ended the text" if generation.ended else ""
    speed = f"{generation.seconds:.1f} s, {generation.tokens_per_second:,.1f} tokens a second with the prompt's"
    if not is_quiet():
        click.echo(f"bytecap: {integer(count)} tokens in {speed}{end}", err=True)
    print_notes(generation.notes)
    if model.reading is not None:
        print_reading(model.reading)


def generation_document(model: LoadedModel, generation: Generation) -> dict[str, Any]:
    """A generation as JSON values; text is null without a tokenizer."""
    return {
        "kind": model.kind,
        "tokenizer": model.described_tokenizer(),
        "prompt": list(generation.prompt),
        "tokens": list(generation.tokens),
        "text": generation.text,
        "ended": generation.ended,
        "sampling": asdict(generation.sampling),
        "seconds": generation.seconds,
        "tokens_per_second": generation.tokens_per_second,
        "notes": list(generation.notes),
        "assumed": dict(model.assumed),
        "told": dict(model.told),
        "checkpoint": None if model.reading is None else reading_document(model.reading),
    }
