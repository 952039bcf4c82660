"""`bytecap generate`: text from an artifact or a checkpoint, as it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .documents import json_option, print_document
from .parameters import (
    architecture_option,
    count_option,
    example,
    ignore_option,
    other_tokenizer_option,
    rename_option,
    seed_option,
    tokenizer_help,
    tokenizer_option,
    weights_option,
)
from .path_types import CHECKPOINT
from .progress import one_stage, verbosity_options

EXAMPLE = example('bytecap generate model.bcap --prompt "Once upon a time" --tokens 200 --temperature 0.8 --seed 1')


@click.command(short_help="Write text from a model.", epilog=EXAMPLE)
@click.argument("model", type=CHECKPOINT, metavar="OUT.bcap|CHECKPOINT")
@click.option(
    "--prompt", default="", metavar="TEXT", help="What the text begins with; without a tokenizer, token ids: 1 403 7."
)
@count_option("--tokens", 200, "Tokens to draw, at most.")
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=0.8,
    show_default=True,
    metavar="X",
    help="Divides the logits; 0 takes the likeliest token.",
)
@click.option("--top-k", type=click.IntRange(min=1), metavar="K", help="Draw from the K likeliest tokens.")
@click.option(
    "--top-p",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=1.0,
    show_default=True,
    metavar="P",
    help="Draw from the fewest tokens whose probabilities reach P.",
)
@seed_option("Equal seeds give equal text.")
@click.option("--ignore-end", is_flag=True, help="Go on where the model would end the text.")
@tokenizer_option(tokenizer_help + "  [default: in or beside the model]")
@other_tokenizer_option
@architecture_option
@weights_option
@ignore_option
@rename_option
@count_option("--threads", 1, "CPUs for the products with matrices; more pay for large models on an idle machine.")
@verbosity_options
@json_option
def command(
    model: Path,
    tokenizer: Path | None,
    other_tokenizer: bool,
    architecture: Path | None,
    weights: str | None,
    ignore: tuple[str, ...],
    rename: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Go on with a prompt, token by token, and write the text as it comes.

    Without a tokenizer the prompt is token ids, and token ids are written.
    """
    from .. import interface
    from .failures import naming_file
    from .generate_report import TokenPrinter, generation_document, print_doubts

    with one_stage("read the model"), naming_file(model):
        loaded = interface.load(
            model,
            tokenizer=tokenizer,
            other_tokenizer=other_tokenizer,
            architecture=architecture,
            weights=weights,
            ignore=ignore,
            rename=rename,
        )
    if as_json:
        print_document("generate", generation_document(loaded, loaded.generate(**options)))
        return
    printer = TokenPrinter(loaded, options["prompt"])
    generation = loaded.generate(on_token=printer.write, **options)
    printer.finish(generation)
    print_doubts(loaded, generation)
