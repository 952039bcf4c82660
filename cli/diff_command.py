"""`bytecap diff`: two artifacts side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .documents import json_option, print_document
from .origins import origin_of
from .parameters import (
    check_outputs,
    data_help,
    example,
    force_option,
    other_tokenizer_option,
    tokenizer_help,
    tokenizer_option,
)
from .path_types import DATA_FILES, INPUT_FILE, OUTPUT_FILE
from .progress import terminal_progress, verbosity_options

if TYPE_CHECKING:
    from ..interface import Difference

DIFFERENT = 1  # as of diff and cmp


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
@click.option("--html", type=OUTPUT_FILE, metavar="OUT.html", help="Write a page with both side by side.")
@force_option
@click.option("--all", "everything", is_flag=True, help="List the tensors that are the same, too.")
@verbosity_options
@json_option
def command(
    first: Path, second: Path, html: Path | None, force: bool, everything: bool, as_json: bool, **options: Any
) -> None:
    """Compare FIRST with SECOND: bytes, bits a weight and error by tensor, what changed in recipe, program
    and provenance.

    The exit status is 0 when the files are the same and 1 when they are not.
    """
    from .. import interface
    from .diff_report import difference_document, print_difference
    from .failures import naming_file

    check_outputs((html,), force)
    with naming_file(second), terminal_progress() as progress:
        difference = interface.diff(first, second, progress=progress, **options)
    if html is not None:
        _write_page(first, second, difference, html, force)
    if as_json:
        print_document("diff", difference_document(first, second, difference))
    else:
        print_difference(first, second, difference, everything)
        if html is not None:
            click.echo(f"wrote       {html}")
    if not difference.comparison.same_file:
        click.get_current_context().exit(DIFFERENT)


def _write_page(first: Path, second: Path, difference: Difference, html: Path, force: bool) -> None:
    """Both artifacts side by side, as HTML."""
    from ..files.output import write_output
    from ..report.comparison_page import Scored, comparison_page

    scored = None
    if difference.scores is not None and difference.gap is not None:
        one, two = difference.scores
        bits = (one.bits_per_byte, two.bits_per_byte)
        scored = Scored(bits, two.tokens, difference.gap)
    origin = origin_of("diff", f"{first.name} and {second.name}", "html")
    page = comparison_page(origin, (first.name, second.name), difference.comparison, difference.recipe, scored)
    write_output(html, page.encode(), force)
