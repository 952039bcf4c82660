"""`bytecap compile`: a checkpoint and a cap in, an artifact and the ledger of its bytes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..compiler.effort import DEFAULT_EFFORT, MEASURED
from .compile_options import compile_options
from .documents import json_option, print_document
from .parameters import SIZE, example, force_option
from .path_types import CHECKPOINT, OUTPUT_FILE
from .progress import terminal_progress, verbosity_options
from .reading_report import print_reading, reading_document

EXAMPLE = example("bytecap compile final_model.pt -o model.bcap --cap 16MB --calibration train.bin")


def _measured_efforts() -> str:
    """What efforts cost and save, for the end of the help."""
    rows = [f"  {effort:<8}{time:<7.2f}{size:.3f}" for effort, (time, size) in MEASURED.items()]
    title = f"What efforts cost and save, over {DEFAULT_EFFORT}, on 2.6 million weights:"
    return "\n".join(["\b", title, "  effort  time   bytes at equal damage", *rows])


# options that say nothing of what a compile will come to or cost
ONLY_COMPILED = {"evaluation", "evaluation_tokens", "work", "keep_work", "seed", "report", "force", "reproducible"}


@click.command(short_help="Compile a checkpoint to a byte cap.", epilog=f"{_measured_efforts()}\n\n{EXAMPLE}")
@click.argument("checkpoint", type=CHECKPOINT)
@click.option(
    "-o", "--output", type=OUTPUT_FILE, metavar="OUT.bcap", help="Artifact to write; needed unless --dry-run."
)
@click.option("--cap", type=SIZE, required=True, help="Limit of artifact and code together: 16MB, 16MiB or 16_000_000.")
@compile_options
@click.option(
    "--report",
    type=OUTPUT_FILE,
    metavar="PAGE.html",
    help="Explain the compile in an HTML page; measures more, takes longer.",
)
@click.option("--dry-run", is_flag=True, help="Stop after some seconds: useful caps, expected loss, time, memory.")
@force_option
@verbosity_options
@json_option
def command(output: Path | None, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Compile CHECKPOINT (a Hugging Face folder, GGUF, .safetensors, .pt, .npz, llama2.c's .bin, .int8.ptz) to an
    artifact that fits under a byte cap.
    """
    if dry_run:
        return _look_ahead(as_json, options)
    if output is None:
        raise click.UsageError("missing option --output; without it, use --dry-run")
    from .. import interface

    with terminal_progress() as progress:
        result = interface.compile(output=output, progress=progress, **options)
    print_reading(result.reading, assumptions=False)
    from .compile_report import compile_document, print_compile_report

    if as_json:
        print_document("compile", compile_document(result, output) | {"checkpoint": reading_document(result.reading)})
    else:
        print_compile_report(result, output)


def _look_ahead(as_json: bool, options: dict[str, Any]) -> None:
    """Print what a compile would come to and cost."""
    from .. import interface
    from .outlook_report import outlook_document, print_outlook

    asked = {name: value for name, value in options.items() if name not in ONLY_COMPILED}
    with terminal_progress() as progress:
        outlook = interface.forecast(progress=progress, **asked)
    print_reading(outlook.reading)
    if as_json:
        print_document("compile", outlook_document(outlook) | {"checkpoint": reading_document(outlook.reading)})
    else:
        print_outlook(outlook)
