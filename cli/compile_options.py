"""The options that say how checkpoints are compiled, for every command that compiles."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import click

from ..compiler.common_baseline import pin_instructions
from ..compiler.effort import DEFAULT_EFFORT, EFFORTS
from ..compiler.profiles import PROFILES
from .parameters import (
    ProfileName,
    architecture_option,
    code_option,
    data_help,
    device_option,
    ignore_option,
    rename_option,
    seed_option,
    threads_option,
    tokenizer_help,
    tokenizer_option,
    weights_option,
)
from .path_types import FOLDER, INPUT_FILE


def _pin(context: click.Context, parameter: click.Parameter, wanted: bool) -> bool:
    """Settle the instructions before anything else of the command can load a library."""
    if wanted:
        pin_instructions()
    return wanted


OPTIONS = (
    click.option(
        "--calibration", type=INPUT_FILE, required=True, metavar="FILE", help=data_help + " Never the evaluation data."
    ),
    click.option(
        "--evaluation",
        type=INPUT_FILE,
        multiple=True,
        metavar="FILE",
        help="Evaluation data: calibration text in it is refused, "
        "and its first tokens are scored at the end. Repeatable.",
    ),
    click.option(
        "--evaluation-tokens",
        type=click.IntRange(min=1),
        metavar="N",
        help="Score the first N tokens of it.  [default: 16384, or two sequences if longer]",
    ),
    tokenizer_option(tokenizer_help + " Needed for text.  [default: in or beside the checkpoint]"),
    code_option,
    architecture_option,
    weights_option,
    ignore_option,
    rename_option,
    click.option(
        "--recipe", default="default", show_default=True, metavar="NAME|TOML", help="Named recipe, or a recipe file."
    ),
    click.option(
        "--effort",
        type=click.IntRange(min(EFFORTS), max(EFFORTS)),
        default=DEFAULT_EFFORT,
        show_default=True,
        metavar="1..9",
        help="Time for bytes: 1 is quickest, 9 tries everything. What the recipe names wins.",
    ),
    click.option(
        "--profile",
        type=ProfileName(list(PROFILES)),
        default="default",
        show_default=True,
        metavar="NAME",
        help="max (smallest), default, or fast (to decode).",
    ),
    device_option("Where models run, and are measured and tuned; matrices are quantized on the CPU."),
    click.option(
        "--work",
        type=FOLDER,
        metavar="DIR",
        help="Folder in which a killed run goes on; emptied at the end.",
    ),
    click.option("--keep-work", is_flag=True, help="Leave what is in it: for other caps of the same checkpoint."),
    seed_option(),
    threads_option("CPU threads; the artifact does not depend on it.  [default: all that memory allows]"),
    click.option(
        "--reproducible",
        is_flag=True,
        is_eager=True,
        callback=_pin,
        help="The same bytes on every x86-64 processor with AVX2; takes longer.",
    ),
)


def compile_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of OPTIONS, in their order."""
    return reduce(lambda given, option: option(given), reversed(OPTIONS), command)
