"""`bytecap plugins`: the frontends and codecs there are, ours and those of installed packages, whole or broken."""

from __future__ import annotations

import click

from .documents import json_option, print_document
from .parameters import example


@click.command(short_help="List frontends and codecs of installed packages.", epilog=example("bytecap plugins"))
@json_option
def command(as_json: bool) -> None:
    """List the frontends (architectures) and integer codecs that bytecap has, and those that installed
    packages offer, with the reason where one is left out.
    """
    from .. import interface
    from .plugins_report import plugins_document, print_plugins

    found = interface.plugins()
    if as_json:
        print_document("plugins", plugins_document(found))
    else:
        print_plugins(found)
