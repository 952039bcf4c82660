"""`bytecap curve`: what exceptions recover for each byte they take, against two other uses of the same bytes."""

from __future__ import annotations

from itertools import combinations
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
from .path_types import CHECKPOINT, FOLDER, INPUT_FILE, OUTPUT_FILE
from .progress import terminal_progress, verbosity_options
from .reading_report import print_notes, said_of

EXAMPLE = example(
    "bytecap curve final_model.pt --calibration train.bin --unit rows --unit sparse \\\n"
    "    --budget 0.5%:10%:6 --plot curve.svg"
)
UNITS = ("rows", "channels", "tensors", "blocks", "heads", "codebook", "low-rank", "sparse")
BASES = ("uniform", "per-matrix", "allocated")
FORMS = ("finer", "apart", "raw")
BACKENDS = ("loky", "threading", "dask")
PROFILES = ("max", "default", "fast")


class Budgets(click.ParamType):
    """A range of budgets, kept as text once it is known to be one."""

    name = "A:B:N"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from ..lab.measure.budgets import parse_budgets

        try:
            parse_budgets(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return value


@click.command(short_help="Measure what exceptions return for their bytes.", epilog=EXAMPLE)
@click.argument("checkpoint", type=CHECKPOINT)
@click.option("--calibration", type=INPUT_FILE, required=True, metavar="FILE", help=data_help)
@click.option(
    "--unit",
    "units",
    type=Choice(UNITS),
    multiple=True,
    default=("rows",),
    show_default=True,
    help="Kind of exception; may be repeated.",
)
@click.option(
    "--budget",
    type=Budgets(),
    default="0.5%:10%:6",
    show_default=True,
    help="N budgets from A to B in equal ratios: bytes, or percent of the base.",
)
@click.option(
    "--base",
    type=Choice(BASES),
    default="per-matrix",
    show_default=True,
    help="Steps of the cheap path that exceptions are made from.",
)
@click.option(
    "--bits",
    type=click.FloatRange(0.1, 16),
    default=3.0,
    show_default=True,
    metavar="X",
    help="Bits a weight of the base, as a whole file.",
)
@click.option(
    "--form",
    type=Choice(FORMS),
    default="finer",
    show_default=True,
    help="What protecting rows, channels, heads and weights means.",
)
@click.option(
    "--octaves",
    type=click.FloatRange(0, 12),
    default=1.0,
    show_default=True,
    metavar="X",
    help="How much finer protected parts are.",
)
@click.option(
    "--evaluation",
    type=INPUT_FILE,
    metavar="FILE",
    help="Data to measure on; the held-out end of the calibration text without it.",
)
@tokenizer_option(tokenizer_help + " For bits per byte; needed for text.")
@architecture_option
@weights_option
@ignore_option
@rename_option
@count_option("--tokens", 16_384, "Tokens to measure on at most.")
@count_option("--calibration-tokens", 65_536, "Calibration tokens, rounded up to whole sequences.")
@click.option(
    "--profile",
    type=Choice(PROFILES),
    default="default",
    show_default=True,
    help="What the integers are coded for.",
)
@seed_option()
@device_option("Where the model runs.")
@threads_option("Points at a time; no figure depends on it.  [default: all CPUs]")
@click.option(
    "--backend",
    type=Choice(BACKENDS),
    default="loky",
    show_default=True,
    help="Local processes, threads, or a Dask cluster.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Of the Dask cluster, such as tcp://10.0.0.1:8786.")
@click.option(
    "--resume",
    type=FOLDER,
    metavar="DIR",
    help="Keep finished points here and go on from them.  [default: OUTPUT.points]",
)
@click.option("--output", type=OUTPUT_FILE, metavar="CURVE.json", help="Write the JSON document.")
@click.option("--plot", type=OUTPUT_FILE, metavar="OUT.svg|.png", help="Draw the curves.")
@click.option("--report", type=OUTPUT_FILE, metavar="OUT.html", help="Write the curves as a page.")
@force_option
@verbosity_options
@json_option
def command(
    output: Path | None,
    plot: Path | None,
    report: Path | None,
    resume: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure what exceptions to a cheap path recover for every byte they really take, at equal final bytes.

    For each kind and each budget a whole artifact is made: the base and as many exceptions as fit.
    Two controls have the same bytes without exceptions: the base with all its steps finer by one
    factor, and the allocator's own row and column steps.
    """
    given = {"--output": output, "--plot": plot, "--report": report}
    _check_different({name: path for name, path in given.items() if path is not None})
    if (options["backend"] == "dask") != (options["scheduler"] is not None):
        raise click.UsageError("--backend dask and --scheduler go together.")
    from .. import interface
    from ..files.output import write_output

    check_outputs((output, plot, report), force)
    folder = resume if resume is not None or output is None else output.with_name(output.name + ".points")
    if plot is not None:
        from ..report.drawing_files import check_drawing

        check_drawing(plot)
    with terminal_progress() as progress:
        found = interface.curve(progress=progress, folder=folder, **options)
    said = said_of(options)
    print_notes(found.notes)
    from .curve_report import curve_document, print_curves

    text = document_text("curve", curve_document(found) | {"checkpoint": said})
    if plot is not None:
        from ..lab.measure.curve_plot import plot_curves
        from ..report.drawing_files import drawing_bytes

        drawing = plot_curves(found, origin_of("curve", options["checkpoint"].name, "plot"))
        write_output(plot, drawing_bytes(drawing, plot), force)
    if report is not None:
        from ..lab.measure.curve_page import render_curves

        write_output(
            report, render_curves(found, origin_of("curve", options["checkpoint"].name, "report")).encode(), force
        )
    if output is not None:
        write_output(output, (text + "\n").encode(), force)
    if as_json:
        click.echo(text)
    else:
        print_curves(found)


def _check_different(files: dict[str, Path]) -> None:
    """UsageError where two outputs are one file."""
    for (name, path), (other, second) in combinations(files.items(), 2):
        if path.resolve() == second.resolve():
            raise click.UsageError(f"{name} and {other} are two files; name two.")
