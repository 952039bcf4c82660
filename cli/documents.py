"""The `--json` side of every command: one document on stdout with a schema number, and the option that asks for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

SCHEMA = 1

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")


def document_text(command: str, content: Mapping[str, Any], schema: int = SCHEMA) -> str:
    """`content` as one JSON document that names its schema and its command; refuses NaN and infinities.

    `schema` is counted up, command by command, when a name in the document changes its meaning or
    goes away.
    """
    document = {"schema": schema, "command": command, **content}
    return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)


def print_document(command: str, content: Mapping[str, Any], schema: int = SCHEMA) -> None:
    """Print `content` as one JSON document of this schema."""
    click.echo(document_text(command, content, schema))
