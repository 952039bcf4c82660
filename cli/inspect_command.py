"""`bytecap inspect`: where an artifact's bytes went, by section, by tensor, or byte by byte."""

from __future__ import annotations

from pathlib import Path

import click

from .documents import json_option, print_document
from .parameters import INPUT_FILE, example


@click.command(
    short_help="Show where an artifact's bytes went.", epilog=example("bytecap inspect model.bcap --sort size")
)
@click.argument("artifact", type=INPUT_FILE)
@click.option("--tensor", metavar="NAME", help="Show one tensor: its terms, steps, codes and values.")
@click.option("--program", is_flag=True, help="Show what the artifact computes: an instruction a line.")
@click.option("--hex", "as_map", is_flag=True, help="Show every byte of the file with what it means.")
@click.option(
    "--sort", type=click.Choice(["size", "name"]), default="size", show_default=True, help="Order of the tensor table."
)
@json_option
def command(artifact: Path, tensor: str | None, program: bool, as_map: bool, sort: str, as_json: bool) -> None:
    """Show what ARTIFACT holds and what each part of it costs. Nothing is run, and torch is not needed."""
    if (tensor is not None) + program + as_map > 1:
        raise click.UsageError("--tensor, --program and --hex are three views; choose one.")
    from . import inspect_report as report
    from .failures import naming_file

    data = artifact.read_bytes()
    with naming_file(artifact):
        if as_map:
            view = report.map_view(artifact, data)
        elif program:
            view = report.program_view(artifact, data)
        elif tensor is not None:
            view = report.tensor_view(artifact, data, tensor)
        else:
            view = report.summary_view(artifact, data, sort)
    if as_json:
        print_document("inspect", view.document(), schema=2)
    else:
        view.show()
