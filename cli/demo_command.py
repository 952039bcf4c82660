"""`bytecap demo`: the whole job on a small model of its own, with nothing downloaded."""

from __future__ import annotations

from pathlib import Path

import click

from .documents import json_option, print_document
from .exit_codes import VERIFICATION
from .parameters import example
from .path_types import FOLDER
from .progress import terminal_progress, verbosity_options


@click.command(short_help="Run the whole job on a small model.", epilog=example("bytecap demo bytecap-demo"))
@click.argument("folder", type=FOLDER, default=Path("bytecap-demo"))
@click.option("--force", is_flag=True, help="Replace the files of an earlier demo in FOLDER.")
@verbosity_options
@json_option
def command(folder: Path, force: bool, as_json: bool) -> None:
    """Build a text from Python's documentation, train a small model on it, compile it to a cap and score both.

    Everything is kept in FOLDER [default: bytecap-demo]. Takes a few minutes on two cores.
    """
    from ..lab.demo.demo_folder import refuse_folder

    refuse_folder(folder, force)
    from ..lab.demo.demo import run_demo

    with terminal_progress() as progress:
        demo = run_demo(folder, force=force, progress=progress)
    from .demo_report import demo_document, print_demo

    if as_json:
        print_document("demo", demo_document(demo))
    else:
        print_demo(demo)
    if not demo.passed:
        click.get_current_context().exit(VERIFICATION)
