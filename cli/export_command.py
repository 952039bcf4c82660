"""`bytecap export`: an artifact's tensors as an ordinary checkpoint again."""

from __future__ import annotations

from pathlib import Path

import click

from ..files.numbers import integer
from .documents import json_option, print_document
from .parameters import INPUT_FILE, OUTPUT_FILE, example, force_option


@click.command(
    short_help="Write an artifact's tensors as a checkpoint.",
    epilog=example("bytecap export model.bcap -o model.safetensors"),
)
@click.argument("artifact", type=INPUT_FILE)
@click.option(
    "-o", "--output", type=OUTPUT_FILE, required=True, metavar="FILE", help="Checkpoint to write: .safetensors or .pt."
)
@force_option
@json_option
def command(artifact: Path, output: Path, force: bool, as_json: bool) -> None:
    """Decode ARTIFACT and write its tensors under their own names, in the types the checkpoint had."""
    from .. import interface
    from .failures import naming_file

    with naming_file(artifact):
        names = interface.export(artifact, output, force=force)
    size = output.stat().st_size
    if as_json:
        print_document("export", {"output": str(output), "bytes": size, "tensors": list(names)})
    else:
        click.echo(f"{output}  {len(names)} tensors  {integer(size)} bytes")
