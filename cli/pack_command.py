"""`bytecap pack`: an artifact and one script that needs nothing of ours, as a submission folder."""

from __future__ import annotations

from pathlib import Path

import click

from .documents import json_option, print_document
from .parameters import SIZE, Choice, example, force_option, tokenizer_help, tokenizer_option
from .path_types import DATA_PATH, FOLDER, INPUT_FILE
from .progress import terminal_progress, verbosity_options

DOCUMENTS = Choice(("auto", "joined", "separate"))


@click.command(
    short_help="Make a submission folder: artifact and one script.",
    epilog=example("bytecap pack model.bcap -o submission --cap 16MB --data val.bin --tokenizer tokenizer.model"),
)
@click.argument("artifact", type=INPUT_FILE)
@click.option("-o", "--output", type=FOLDER, required=True, metavar="FOLDER", help="New folder to write.")
@click.option("--cap", type=SIZE, metavar="SIZE", help="Limit of artifact and code: 16MB, 16MiB or 16_000_000.")
@click.option(
    "--script-name", default="train_gpt.py", metavar="NAME", help="Name of the script; train_gpt.py unless said."
)
@click.option(
    "--data", type=DATA_PATH, metavar="PATH", help="Token shard, pattern, or folder of fineweb_val_*.bin to score."
)
@tokenizer_option(f"{tokenizer_help} That of the data.")
@click.option("--stride", type=click.IntRange(min=1), metavar="N", help="Targets scored a window. Default: all.")
@click.option(
    "--documents",
    type=DOCUMENTS,
    default="auto",
    show_default=True,
    help="Whether the script reads documents on into each other.",
)
@click.option("--author", metavar="TEXT", help="For submission.json; left out where not given.")
@click.option("--github-id", metavar="TEXT", help="For submission.json.")
@click.option("--name", metavar="TEXT", help="Title of the submission. Default: the artifact's name.")
@click.option("--blurb", metavar="TEXT", help="What it is, in a sentence.")
@click.option("--date", metavar="DATE", help="For submission.json. Default: today.")
@click.option("--track", metavar="TEXT", help="For submission.json, such as 10min_16mb.")
@force_option
@verbosity_options
@json_option
def command(
    artifact: Path,
    output: Path,
    cap: int | None,
    script_name: str,
    data: Path | None,
    tokenizer: Path | None,
    stride: int | None,
    documents: str,
    force: bool,
    as_json: bool,
    **told: str | None,
) -> None:
    """Write FOLDER with ARTIFACT and one script that decodes, runs and scores it with numpy and torch alone.

    The script is run beside the runtime before anything is written. With --data it scores them: the score is
    in submission.json and its log in the folder; without, no score is claimed.
    """
    from .. import interface
    from .failures import naming_file
    from .pack_report import pack_document, pack_text

    with terminal_progress() as progress, naming_file(artifact):
        from ..packing.submission import Description

        packed = interface.pack(
            artifact,
            output,
            cap=cap,
            script_name=script_name,
            data=data,
            tokenizer=tokenizer,
            stride=stride,
            documents=documents,
            description=Description(**told),
            force=force,
            progress=progress,
        )
    if as_json:
        print_document("pack", pack_document(output, packed))
    else:
        pack_text(output, packed)
