"""`bytecap diagnose`: whether the output head or the trunk is what limits a checkpoint, in bytes and in gradient."""

from __future__ import annotations

from typing import Any

import click

from .documents import json_option, print_document
from .parameters import (
    architecture_option,
    count_option,
    data_help,
    device_option,
    example,
    ignore_option,
    rename_option,
    seed_option,
    threads_option,
    tokenizer_help,
    tokenizer_option,
    weights_option,
)
from .path_types import CHECKPOINT, INPUT_FILE
from .progress import terminal_progress, verbosity_options
from .reading_report import print_notes, said_of


@click.command(
    short_help="Tell whether head or trunk is the limit.",
    epilog=example("bytecap diagnose final_model.pt --data train.bin"),
)
@click.argument("checkpoint", type=CHECKPOINT)
@click.option(
    "--data",
    type=INPUT_FILE,
    required=True,
    metavar="FILE",
    help=data_help + " Its end is held out for what is measured.",
)
@tokenizer_option(tokenizer_help + " Needed for text.  [default: in or beside the checkpoint]")
@architecture_option
@weights_option
@ignore_option
@rename_option
@click.option(
    "--bits",
    type=click.IntRange(2, 16),
    default=4,
    show_default=True,
    metavar="N",
    help="Nominal bits at which bytes are compared.",
)
@count_option("--tokens", 65_536, "Tokens to use, rounded up to whole sequences.")
@seed_option()
@device_option("Where the model runs.")
@threads_option("CPU threads; the result does not depend on it.  [default: all]")
@verbosity_options
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Say whether the output head or the trunk of CHECKPOINT is its limit.

    Shown are rank and conditioning of the head and of the hidden states, how much of the logits'
    gradient the head lets through, and what an error costs a byte on either side.
    """
    from .. import interface

    with terminal_progress() as progress:
        found = interface.diagnose(progress=progress, **options)
    said = said_of(options)
    print_notes(found.notes)
    from .diagnose_report import diagnosis_document, print_diagnosis

    if as_json:
        print_document("diagnose", diagnosis_document(found) | {"checkpoint": said})
    else:
        print_diagnosis(found)
