"""`bytecap lab`: the experiments that put the project's founding theses to the test, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..files.nested_text import parse_json
from .command_group import NamedCommands
from .documents import document_text, json_option, print_document
from .parameters import (
    Choice,
    architecture_option,
    check_outputs,
    count_option,
    data_help,
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
from .reading_report import said_of

EXPERIMENTS = ("byte-allocation", "head-bottleneck", "head-to-depth", "row-rescue", "vq-head")
DEFAULT_FOLDER = "bytecap-lab"


class ExperimentOption(click.ParamType):
    """NAME=VALUE, the value as JSON, or as it stands where it is none."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        name, separator, text = value.partition("=")
        if not name or not separator:
            self.fail(f"{value!r} is not NAME=VALUE.", param, ctx)
        try:
            return name, parse_json(text)
        except ValueError:
            return name, text


@click.group(cls=NamedCommands, short_help="Put the founding theses to the test.", epilog=example("bytecap lab list"))
def command() -> None:
    """Experiments that put the project's founding theses to the test.

    Each ends with its verdict: supported, falsified or undecided.
    """


@command.command("list", short_help="Name the experiments and their theses.", epilog=example("bytecap lab list"))
@json_option
def list_experiments(as_json: bool) -> None:
    """Name every experiment, what it claims, and what would support or falsify that."""
    from .. import interface
    from .lab_report import experiments_document, print_experiments

    found = interface.experiments()
    if as_json:
        print_document("lab list", experiments_document(found))
    else:
        print_experiments(found)


RUN_EXAMPLE = example(
    "bytecap lab run row-rescue --checkpoint final_model.pt --calibration train.bin --evaluation val.bin \\\n"
    "    --tokenizer tokenizer.model --report row-rescue.html"
)


@command.command("run", short_help="Run one experiment.", epilog=RUN_EXAMPLE)
@click.argument("name", type=Choice(EXPERIMENTS), metavar="NAME")
@click.option("--checkpoint", type=CHECKPOINT, metavar="CHECKPOINT", help="Model under test.")
@architecture_option
@weights_option
@ignore_option
@rename_option
@click.option("--calibration", type=INPUT_FILE, metavar="FILE", help=data_help)
@click.option("--evaluation", type=INPUT_FILE, metavar="FILE", help=data_help + " Not in the calibration data.")
@tokenizer_option(tokenizer_help + " Makes tokens of text and counts bytes.")
@click.option("--training", type=INPUT_FILE, metavar="TEXT", help="UTF-8 text for the experiments that train models.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="M",
    help="Minutes of training in all.",
)
@count_option("--tokens", 65_536, "Evaluation tokens at most.")
@seed_option("Seed of everything that is drawn.")
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="D",
    help="Where models are trained and measured: cpu, cuda, ...",
)
@threads_option("CPU threads; the result does not depend on it.  [default: all]")
@click.option(
    "--folder",
    type=FOLDER,
    default=Path(DEFAULT_FOLDER),
    show_default=True,
    metavar="DIR",
    help="Where finished parts are kept: a run that was stopped goes on from them.",
)
@click.option(
    "--option",
    "options",
    type=ExperimentOption(),
    multiple=True,
    help="An option of this experiment, its value as JSON; may be repeated.",
)
@click.option("--report", type=OUTPUT_FILE, metavar="OUT.html", help="Write the experiment as a page.")
@click.option("--output", type=OUTPUT_FILE, metavar="OUT.json", help="Write the JSON document.")
@force_option
@verbosity_options
@json_option
def run(
    name: str,
    options: tuple[tuple[str, Any], ...],
    report: Path | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    **inputs: Any,
) -> None:
    """Run the experiment NAME and say what it found: the thesis, each observation for or against it, and the verdict.

    A thesis that is falsified is a result, not a failure: the exit code is 0 whatever the verdict.
    """
    if report is not None and output is not None and report.resolve() == output.resolve():
        raise click.UsageError("--report and --output are two files; name two.")
    from .. import interface
    from ..files.output import write_output

    check_outputs((report, output), force)
    with terminal_progress() as progress:
        found = interface.run_experiment(name, options=dict(options), progress=progress, **inputs)
    said = None if inputs["checkpoint"] is None else said_of(inputs)
    from ..report.experiment_page import render_experiment
    from .lab_report import print_run, run_document

    document = run_document(found) | {"checkpoint": said}
    text = document_text("lab run", document)
    if report is not None:
        write_output(report, render_experiment(document).encode(), force)
    if output is not None:
        write_output(output, (text + "\n").encode(), force)
    if as_json:
        click.echo(text)
    else:
        print_run(document)
