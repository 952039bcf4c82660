"""`bytecap inspect`: where an artifact's bytes went, by section, role, layer and tensor, or byte by byte."""

from __future__ import annotations

from pathlib import Path

import click

from .documents import json_option, print_document
from .parameters import INPUT_FILE, example

SCHEMA = 3  # 3: roles, layers and exceptions beside the tensors; metadata rows have a count


@click.command(
    short_help="Show where an artifact's bytes went.", epilog=example("bytecap inspect model.bcap --by tensor")
)
@click.argument("artifact", type=INPUT_FILE)
@click.option(
    "--by",
    "tables",
    type=click.Choice(["section", "role", "layer", "tensor", "all"]),
    multiple=True,
    help="Show this table; repeatable.  [default: section, role, and layer where they are few]",
)
@click.option("--tensor", metavar="NAME", help="Show one tensor: its terms, steps, codes and values.")
@click.option("--program", is_flag=True, help="Show what the artifact computes: an instruction a line.")
@click.option("--hex", "as_map", is_flag=True, help="Show every byte of the file with what it means.")
@click.option(
    "--sort",
    type=click.Choice(["size", "name", "bits"]),
    default="size",
    show_default=True,
    help="Order of roles and tensors.",
)
@click.option("--wide", is_flag=True, help="All columns on a narrow terminal, too, as off a terminal.")
@json_option
def command(
    artifact: Path,
    tables: tuple[str, ...],
    tensor: str | None,
    program: bool,
    as_map: bool,
    sort: str,
    wide: bool,
    as_json: bool,
) -> None:
    """Show what ARTIFACT holds and what each part of it costs. Nothing is run, and torch is not needed."""
    if (tensor is not None) + program + as_map + bool(tables) > 1:
        raise click.UsageError("--by, --tensor, --program and --hex are four views; choose one.")
    from .failures import naming_file

    data = artifact.read_bytes()
    with naming_file(artifact):
        if as_map:
            from .inspect_map_report import map_view

            view = map_view(artifact, data)
        elif program:
            from .inspect_program_report import program_view

            view = program_view(artifact, data)
        elif tensor is not None:
            from .inspect_tensor_report import tensor_view

            view = tensor_view(artifact, data, tensor)
        else:
            from .inspect_report import TABLES, summary_view

            view = summary_view(artifact, data, TABLES if "all" in tables else tables, sort, wide)
    if as_json:
        print_document("inspect", view.document(), schema=SCHEMA)
    else:
        view.show()
