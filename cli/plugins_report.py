"""What `bytecap plugins` prints: a table of what can be used, and a line for each that cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ..files.printable import printable
from .tables import print_table

if TYPE_CHECKING:
    from ..interface.extending import Extension


def plugins_document(found: Sequence[Extension]) -> dict[str, Any]:
    """All of them as JSON values."""
    return {
        "plugins": [
            {
                "kind": each.kind,
                "name": each.name,
                "wire_id": each.wire_id,
                "package": each.package,
                "version": each.version,
                "fault": each.fault or None,
            }
            for each in found
        ]
    }


def print_plugins(found: Sequence[Extension]) -> None:
    """The table; then `left out` with package, name and reason, a line each."""
    rows = [
        [each.kind, printable(each.name), "" if each.wire_id is None else str(each.wire_id), _origin(each)]
        for each in found
        if not each.fault
    ]
    print_table(["kind", "name", ">id", "package"], rows, dispensable=(">id", "package"))
    for each in found:
        if each.fault:
            click.echo(printable(f"left out    {each.kind} {each.name!r} of {_origin(each)}: {each.fault}"))


def _origin(found: Extension) -> str:
    return printable(f"{found.package} {found.version}".strip())
