"""`bytecap sensitivity`: which tensors, rows, channels, blocks, heads or tokens matter, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .documents import document_text, json_option
from .origins import origin_of
from .parameters import (
    Choice,
    architecture_option,
    check_outputs,
    count_option,
    data_help,
    device_option,
    example,
    force_option,
    ignore_option,
    rename_option,
    seed_option,
    threads_option,
    tokenizer_help,
    tokenizer_option,
    weights_option,
)
from .path_types import CHECKPOINT, INPUT_FILE, OUTPUT_FILE
from .progress import terminal_progress, verbosity_options
from .reading_report import print_notes, said_of

EXAMPLE = example("bytecap sensitivity final_model.pt --calibration train.bin --unit rows --plot rows.svg")
UNITS = ("tensors", "rows", "channels", "blocks", "heads", "tokens")
METHODS = ("second-order", "gradient", "row-error", "measured")


class Bits(click.IntRange):
    """0 for removal, or 2 to 16: one bit has no step that is symmetric about zero."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        bits = super().convert(value, param, ctx)
        if bits == 1:
            self.fail("1 bit leaves zero alone; use 0 to remove, or 2 to 16.", param, ctx)
        return bits


@click.command(short_help="Rank what a checkpoint is sensitive to.", epilog=EXAMPLE)
@click.argument("checkpoint", type=CHECKPOINT)
@click.option(
    "--calibration",
    type=INPUT_FILE,
    required=True,
    metavar="FILE",
    help=data_help + " Its end is held out for --by measured.",
)
@tokenizer_option(
    tokenizer_help + " Names tokens and their rows; needed for text.  [default: in or beside the checkpoint]"
)
@architecture_option
@weights_option
@ignore_option
@rename_option
@click.option("--unit", type=Choice(UNITS), default="tensors", show_default=True, help="What is ranked.")
@click.option("--by", type=Choice(METHODS), default="second-order", show_default=True, help="What it is ranked by.")
@click.option(
    "--bits",
    type=Bits(0, 16),
    default=4,
    show_default=True,
    metavar="N",
    help="Bits that a unit alone is quantized to; 0 removes it.",
)
@click.option(
    "--slices",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    metavar="N",
    help="Disjoint slices of the data to compare.",
)
@count_option("--top", 20, "Units to show, and to measure.")
@count_option("--tokens", 131_072, "Calibration tokens, rounded up to whole sequences, equally many a slice.")
@seed_option()
@device_option("Where the model runs.")
@threads_option("CPU threads; the result does not depend on it.  [default: all]")
@click.option("--output", type=OUTPUT_FILE, metavar="RANKING.json", help="Write the JSON document with every unit.")
@click.option("--plot", type=OUTPUT_FILE, metavar="OUT.svg|.png", help="Draw the ranking.")
@force_option
@verbosity_options
@json_option
def command(output: Path | None, plot: Path | None, force: bool, as_json: bool, **options: Any) -> None:
    """Rank the units of CHECKPOINT by what quantizing each alone costs, and say how far slices of the data agree."""
    if output is not None and plot is not None and output.resolve() == plot.resolve():
        raise click.UsageError("--output and --plot are two files; name two.")
    from .. import interface
    from ..files.output import write_output

    check_outputs((output, plot), force)
    if plot is not None:
        from ..report.drawing_files import check_drawing

        check_drawing(plot)
    with terminal_progress() as progress:
        found = interface.sensitivity(progress=progress, **options)
    said = said_of(options)
    print_notes(found.notes)
    from .sensitivity_report import print_sensitivity, sensitivity_document

    text = document_text("sensitivity", sensitivity_document(found) | {"checkpoint": said})
    if plot is not None:
        from ..lab.measure.sensitivity_plot import plot_sensitivity
        from ..report.drawing_files import drawing_bytes

        origin = origin_of("sensitivity", options["checkpoint"].name, "plot")
        write_output(plot, drawing_bytes(plot_sensitivity(found, options["top"], origin), plot), force)
    if output is not None:
        write_output(output, (text + "\n").encode(), force)
    if as_json:
        click.echo(text)
    else:
        print_sensitivity(found, options["top"])
