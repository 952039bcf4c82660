"""`bytecap diff`: two artifacts side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .documents import json_option, print_document
from .parameters import (
    DATA_FILES,
    INPUT_FILE,
    data_help,
    example,
    other_tokenizer_option,
    tokenizer_help,
    tokenizer_option,
)
from .progress import terminal_progress

DIFFERENT = 1  # as of diff and cmp
SCHEMA = 2  # 2: what changed in the recipe, and the interval of the gap


@click.command(
    short_help="Compare two artifacts.",
    epilog=example("bytecap diff model.bcap other.bcap --data val.bin --tokenizer tokenizer.model"),
)
@click.argument("first", type=INPUT_FILE)
@click.argument("second", type=INPUT_FILE)
@click.option("--data", type=DATA_FILES, multiple=True, metavar="FILE", help="Score both, too: " + data_help)
@tokenizer_option(tokenizer_help)
@other_tokenizer_option
@click.option(
    "--max-tokens", type=click.IntRange(min=1), metavar="N", help="Score the first N tokens only.  [default: all]"
)
@click.option("--all", "everything", is_flag=True, help="List the tensors that are the same, too.")
@json_option
def command(first: Path, second: Path, everything: bool, as_json: bool, **options: Any) -> None:
    """Compare FIRST with SECOND: bytes, bits a weight and error by tensor, what changed in recipe, program
    and provenance.

    The exit status is 0 when the files are the same and 1 when they are not.
    """
    from .. import interface
    from .diff_report import difference_document, print_difference
    from .failures import naming_file

    with naming_file(second), terminal_progress() as progress:
        difference = interface.diff(first, second, progress=progress, **options)
    if as_json:
        print_document("diff", difference_document(first, second, difference), schema=SCHEMA)
    else:
        print_difference(first, second, difference, everything)
    if not difference.comparison.same_file:
        click.get_current_context().exit(DIFFERENT)
