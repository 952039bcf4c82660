"""The `--json` side of every command: one document on stdout with a schema number, and the option that asks for it.

Strategy: what a document looks like is published, a JSON Schema a command, in docs/schemas/; the number that both name
stands here. A command that fails prints a document of the same number, with `error` in place of its result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import click

# Counted up, command by command, when a name in its document changes its meaning or goes away; 1 for the others.
SCHEMAS = {
    "verify": 2,  # levels renamed: ledger (was size), decode (was decoding and digest); a skipped check fails no more
    "inspect": 4,  # a torch tensor that shares its numbers has no bytes; metadata counts codewords (were codebooks)
    "diff": 2,  # what changed in the recipe, and the interval of the gap
    "sensitivity": 2,  # sensitivities where scores were
}

BEYOND_ASCII = re.compile("[^\\x00-\\x7e]")  # and the last of ASCII, which is no letter

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")


def schema_of(command: str) -> int:
    """The number of a command's documents, on failure too."""
    return SCHEMAS.get(command, 1)


def document_text(command: str, content: Mapping[str, Any], indent: int | None = 2) -> str:
    """`content` as one JSON document that names its schema and its command; refuses NaN and infinities.

    What shows nothing or moves something on a terminal stays escaped, as names in others' files may hold it; so do
    halves of surrogate pairs, which no UTF-8 can.
    """
    document = {"schema": schema_of(command), "command": command, **content}
    text = json.dumps(document, indent=indent, allow_nan=False, ensure_ascii=False)
    return BEYOND_ASCII.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    """Characters that are not seen, as JSON writes them in ASCII; others as they are."""
    character = found[0]
    if character.isprintable():
        return character
    return f"\\u{ord(character):04x}" if ord(character) < 1 << 16 else json.dumps(character)[1:-1]


def print_document(command: str, content: Mapping[str, Any]) -> None:
    """Print `content` as one JSON document."""
    click.echo(document_text(command, content))
