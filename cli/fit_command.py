"""`bytecap fit`: the seeds of one recipe, or several caps, in one run; every artifact under its cap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .compile_options import compile_options
from .documents import json_option, print_document
from .exit_codes import NOT_COMPILED
from .parameters import SIZE, example, force_option
from .path_types import CHECKPOINT, FOLDER
from .progress import terminal_progress, verbosity_options

EXAMPLE = example("bytecap fit seed0.pt seed1.pt seed2.pt --cap 16MB --calibration train.bin -o fitted")


@click.command(short_help="Compile several checkpoints or to several caps.", epilog=EXAMPLE)
@click.argument("checkpoints", type=CHECKPOINT, nargs=-1, required=True, metavar="CHECKPOINT...")
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    required=True,
    metavar="FOLDER",
    help="Folder for the artifacts and fit.json; what is finished there is kept.",
)
@click.option(
    "--cap",
    type=SIZE,
    required=True,
    multiple=True,
    help="Limit of artifact and code together: 16MB, 16MiB or 16_000_000. Repeatable.",
)
@compile_options
@force_option
@verbosity_options
@json_option
def command(checkpoints: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Compile each CHECKPOINT to an artifact under each cap, all by one recipe.

    A checkpoint is measured once for all caps. Run again, artifacts that are finished and made of the
    same files and options are kept, so an interrupted run goes on. A cap that cannot be met is said at
    the end, with exit code 6, and the others are made.
    """
    from .. import interface

    with terminal_progress() as progress:
        found = interface.fit(checkpoints, progress=progress, **options)
    from .fit_report import fit_document, print_fit

    if as_json:
        print_document("fit", fit_document(found))
    else:
        print_fit(found)
    if not found.fits:
        click.get_current_context().exit(NOT_COMPILED)
