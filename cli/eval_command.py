"""`bytecap eval`: bits per byte of an artifact or a checkpoint, alone or paired with the checkpoint it came from."""

from __future__ import annotations

from pathlib import Path

import click

from .documents import json_option, print_document
from .parameters import CHECKPOINT, INPUT_FILE, architecture_option, data_help, example
from .progress import terminal_progress

EXAMPLE = example("bytecap eval model.bcap --data val.bin --tokenizer tokenizer.model --against final_model.pt")


@click.command(short_help="Score a model on text in bits per byte.", epilog=EXAMPLE)
@click.argument("model", type=CHECKPOINT, metavar="OUT.bcap|CHECKPOINT")
@click.option("--data", type=INPUT_FILE, required=True, metavar="FILE", help=data_help)
@click.option(
    "--tokenizer",
    type=INPUT_FILE,
    required=True,
    metavar="MODEL",
    help="Sentencepiece model of the data and the model.",
)
@click.option(
    "--sequence-length", type=click.IntRange(min=1), metavar="N", help="Tokens of context.  [default: the model's own]"
)
@click.option(
    "--max-tokens", type=click.IntRange(min=1), metavar="N", help="Score the first N tokens only.  [default: all]"
)
@click.option(
    "--against",
    type=CHECKPOINT,
    metavar="CHECKPOINT",
    help="Score this too, and print the paired gap with its standard error.",
)
@architecture_option
@json_option
def command(
    model: Path,
    data: Path,
    tokenizer: Path,
    sequence_length: int | None,
    max_tokens: int | None,
    against: Path | None,
    architecture: Path | None,
    as_json: bool,
) -> None:
    """Score a model on text: the bits per byte it needs, and how fast it reads."""
    from .. import interface
    from .eval_report import evaluation_document, print_evaluation
    from .failures import naming_file

    with terminal_progress() as progress, naming_file(model):
        evaluation = interface.evaluate(
            model,
            data=data,
            tokenizer=tokenizer,
            sequence_length=sequence_length,
            max_tokens=max_tokens,
            against=against,
            architecture=architecture,
            progress=progress,
        )
    if as_json:
        print_document("eval", evaluation_document(evaluation))
    else:
        print_evaluation(evaluation)
