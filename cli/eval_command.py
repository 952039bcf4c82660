"""`bytecap eval`: bits per byte of an artifact or a checkpoint, alone or paired with the checkpoint it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .documents import json_option, print_document
from .parameters import (
    SIZE,
    Choice,
    architecture_option,
    data_help,
    example,
    ignore_option,
    other_tokenizer_option,
    rename_option,
    split_option,
    splits_option,
    tokenizer_help,
    tokenizer_option,
    weights_option,
)
from .path_types import CHECKPOINT, DATA_FILES, FOLDER, INPUT_FILE
from .progress import terminal_progress, verbosity_options

EXAMPLE = example("bytecap eval model.bcap --data val.bin --tokenizer tokenizer.model --against final_model.pt")


@click.command(short_help="Score a model on text in bits per byte.", epilog=EXAMPLE)
@click.argument("model", type=CHECKPOINT, metavar="OUT.bcap|CHECKPOINT")
@click.option(
    "--data",
    type=DATA_FILES,
    required=True,
    multiple=True,
    metavar="FILE",
    help=data_help + ' A pattern in quotes ("val_*.bin") or - for standard input; repeatable.',
)
@tokenizer_option(tokenizer_help + "  [default: in or beside the model]")
@other_tokenizer_option
@click.option(
    "--sequence-length", type=click.IntRange(min=1), metavar="N", help="Tokens of context.  [default: the model's own]"
)
@click.option(
    "--stride",
    type=click.IntRange(min=1),
    metavar="N",
    help="Tokens scored a window; the others before them are context.  [default: all]",
)
@click.option(
    "--max-tokens", type=click.IntRange(min=1), metavar="N", help="Score the first N tokens only.  [default: all]"
)
@click.option(
    "--bos", metavar="ID|none", help="Token before each document of a text.  [default: what the tokenizer says]"
)
@click.option(
    "--documents",
    type=Choice(["auto", "joined", "separate"]),
    default="auto",
    show_default=True,
    help="Whether they run on into each other, or each is read from its own beginning; auto: what the model can read.",
)
@click.option(
    "--bytes",
    "byte_counts",
    type=INPUT_FILE,
    multiple=True,
    metavar="FILE",
    help="Bytes by token of a shard, a shard itself (CaseOps).  [default: X_val_bytes_N.bin beside X_val_N.bin]",
)
@split_option
@splits_option
@click.option(
    "--against",
    type=CHECKPOINT,
    metavar="CHECKPOINT",
    help="Score this too, and print the paired gap with its standard error.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Seconds of a core that scoring a model may take.  [default: no limit]",
)
@click.option(
    "--memory",
    type=SIZE,
    help="Of weights and running sequences together, such as 4GiB.  [default: what there is]",
)
@click.option(
    "--device",
    type=Choice(["cuda", "cpu"]),
    help="Let torch compute the losses there, in float32; verify never does.  [default: bytecap's own runtime]",
)
@click.option(
    "--backend",
    type=Choice(["dask"]),
    help="Share the windows among the workers of a cluster.  [default: this machine's cores]",
)
@click.option("--scheduler", metavar="ADDRESS", help="Of the Dask cluster, such as tcp://10.0.0.1:8786.")
@click.option("--resume", type=FOLDER, metavar="DIR", help="Keep the losses of windows here and go on from them.")
@architecture_option
@weights_option
@ignore_option
@rename_option
@verbosity_options
@json_option
def command(model: Path, as_json: bool, **options: Any) -> None:
    """Score a model on text: bits per byte, perplexity a token and a word, and how fast it reads."""
    if (options["backend"] == "dask") != (options["scheduler"] is not None):
        raise click.UsageError("--backend dask and --scheduler go together.")
    if options["backend"] is not None and options["device"] is not None:
        raise click.UsageError("--device and --backend are two places to score; give one of them.")
    from .. import interface
    from .eval_report import evaluation_document, print_evaluation
    from .failures import naming_file

    with terminal_progress() as progress, naming_file(model):
        evaluation = interface.evaluate(model, progress=progress, **options)
    if as_json:
        print_document("eval", evaluation_document(evaluation))
    else:
        print_evaluation(evaluation)
