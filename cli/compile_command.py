"""`bytecap compile`: a checkpoint and a cap in, an artifact and the ledger of its bytes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..compiler.effort import DEFAULT_EFFORT, EFFORTS
from ..compiler.profiles import PROFILES
from .documents import json_option, print_document
from .parameters import (
    CHECKPOINT,
    INPUT_FILE,
    OUTPUT_FILE,
    SIZE,
    architecture_option,
    code_option,
    data_help,
    example,
    force_option,
    ignore_option,
    seed_option,
    threads_option,
    tokenizer_help,
    tokenizer_option,
    weights_option,
)
from .progress import terminal_progress
from .reading_report import said_of

EXAMPLE = example("bytecap compile final_model.pt -o model.bcap --cap 16MB --calibration train.bin")


@click.command(short_help="Compile a checkpoint to a byte cap.", epilog=EXAMPLE)
@click.argument("checkpoint", type=CHECKPOINT)
@click.option(
    "-o", "--output", type=OUTPUT_FILE, metavar="OUT.bcap", help="Artifact to write; needed unless --dry-run."
)
@click.option("--cap", type=SIZE, required=True, help="Limit of artifact and code together: 16MB, 16MiB or 16_000_000.")
@click.option(
    "--calibration", type=INPUT_FILE, required=True, metavar="FILE", help=data_help + " Never the evaluation data."
)
@click.option(
    "--evaluation",
    type=INPUT_FILE,
    multiple=True,
    metavar="FILE",
    help="Evaluation data: calibration text in it is refused, and its first tokens are scored at the end. Repeatable.",
)
@click.option(
    "--evaluation-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Score the first N tokens of it.  [default: 16384, or two sequences if longer]",
)
@tokenizer_option(tokenizer_help + " Needed for text.  [default: in or beside the checkpoint]")
@code_option
@architecture_option
@weights_option
@ignore_option
@click.option(
    "--recipe", default="default", show_default=True, metavar="NAME|TOML", help="Named recipe, or a recipe file."
)
@click.option(
    "--effort",
    type=click.IntRange(min(EFFORTS), max(EFFORTS)),
    default=DEFAULT_EFFORT,
    show_default=True,
    metavar="1..9",
    help="Time for bytes: 1 is quickest, 9 tries everything. What the recipe names wins.",
)
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="default",
    show_default=True,
    metavar="NAME",
    help="max (smallest), default, or fast (to decode).",
)
@click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where calibration runs."
)
@seed_option()
@threads_option("CPU threads; the artifact does not depend on it.  [default: all]")
@click.option(
    "--report",
    type=OUTPUT_FILE,
    metavar="PAGE.html",
    help="Explain the compile in an HTML page; measures more, takes longer.",
)
@click.option("--dry-run", is_flag=True, help="Do everything but write the artifact.")
@force_option
@json_option
def command(output: Path | None, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Compile CHECKPOINT (a Hugging Face folder, .safetensors, .pt, llama2.c .bin or .int8.ptz) to an
    artifact that fits under a byte cap.
    """
    if output is None and not dry_run:
        raise click.UsageError("Missing option '-o' / '--output'; without it, use --dry-run.")
    from .. import interface

    with terminal_progress() as progress:
        result = interface.compile(output=output, dry_run=dry_run, progress=progress, **options)
    said = said_of(options, assumptions=False)
    from .compile_report import compile_document, print_compile_report

    if as_json:
        print_document("compile", compile_document(result, None if dry_run else output) | {"checkpoint": said})
    else:
        print_compile_report(result, None if dry_run else output)
