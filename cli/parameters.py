"""Parameter types and options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from ..files.nearest_name import nearest_name
from ..files.sizes import parse_size
from .path_types import INPUT_FILE, TOKENIZER, ArchitectureFile, OutputFile


class Choice(click.Choice[str]):
    """One of several words; another one is answered with what it probably was meant to be."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        return f"{value!r} is not one of {', '.join(self.choices)}{_meant(str(value), self.choices)}"


class ProfileName(Choice):
    """A profile, or the codec of an installed package, which is known by its name when it is loaded."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value not in self.choices and entry_points(group="bytecap.codecs"):
            return value
        return super().convert(value, param, ctx)


def _meant(name: str, known: Sequence[str]) -> str:
    nearest = nearest_name(name, known)
    return "" if nearest is None else f"; did you mean {nearest!r}?"


class Size(click.ParamType):
    """A number of bytes: 16MB, 16MiB or 16_000_000."""

    name = "SIZE"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return value if isinstance(value, int) else parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


SIZE = Size()

code_option = click.option(
    "--code",
    multiple=True,
    type=INPUT_FILE,
    metavar="FILE",
    help="Script that counts against the cap with the local modules it imports; may be repeated.",
)
data_help = "Token shard, UTF-8 text or JSON lines, also gzip or zstd."
tokenizer_help = "Tokenizer's file or folder, or bytes."
architecture_option = click.option(
    "--architecture",
    type=ArchitectureFile(dir_okay=False, readable=True, path_type=Path),
    metavar="FILE",
    help="TOML or JSON with what shapes cannot tell: rope base, softcap; or preset:NAME.",
)
weights_option = click.option(
    "--weights", metavar="NAME", help="Which set of weights to read, where the checkpoint holds several: ema."
)
ignore_option = click.option(
    "--ignore",
    multiple=True,
    metavar="NAME",
    help="Tensor of the checkpoint to leave out; * and ? match. Repeatable.",
)
rename_option = click.option(
    "--rename",
    multiple=True,
    metavar="FROM=TO",
    help="Read tensors of the checkpoint by other names; * is any part of one. Repeatable.",
)
split_option = click.option(
    "--split",
    metavar="NAME",
    help="Known split that the data must be.  [default: the one that files are named like]",
)
splits_option = click.option(
    "--splits",
    type=INPUT_FILE,
    multiple=True,
    metavar="FILE",
    help="Table of known splits, TOML or JSON, beside bytecap's own; may be repeated.",
)
other_tokenizer_option = click.option(
    "--other-tokenizer", is_flag=True, help="Take a tokenizer that is not the model's own; noted beside the result."
)


force_option = click.option("--force", is_flag=True, help="Replace the output if it exists.")


def check_outputs(outputs: Iterable[Path | None], force: bool) -> None:
    """Refuse, before the work, files that cannot be written, and those that the command in progress reads."""
    written = [path for path in outputs if path is not None]
    if not written:  # nothing is imported before the command's first sign
        return
    from ..compiler.refusals import files_read
    from ..files.output import check_output, refuse_own_inputs

    context = click.get_current_context()
    inputs = [each for each in context.command.params if not _is_output(each)]
    given = [path for each in inputs for path in _paths(context.params.get(each.name or ""))]
    refuse_own_inputs(written, files_read(given))
    for path in written:
        check_output(path, force)


def _is_output(parameter: click.Parameter) -> bool:
    return isinstance(parameter.type, OutputFile) or parameter.name == "output"


def _paths(value: Any) -> Iterator[Path | str]:
    """The paths, of files, folders or patterns, that an option's value or values may be."""
    for each in value if isinstance(value, list | tuple) else (value,):
        if isinstance(each, Path | str):
            yield each


def tokenizer_option(help_text: str):
    """`--tokenizer`, where it is not required."""
    return click.option("--tokenizer", type=TOKENIZER, metavar="FILE", help=help_text)


def count_option(name: str, default: int, help_text: str):
    """A whole number of at least one, with its default shown."""
    kind = click.IntRange(min=1)
    return click.option(name, type=kind, default=default, show_default=True, metavar="N", help=help_text)


def seed_option(help_text: str = "Seed of the random gradients that calibration draws."):
    """`--seed`, 0 unless given."""
    kind = click.IntRange(min=0)
    return click.option("--seed", type=kind, default=0, show_default=True, metavar="N", help=help_text)


def device_option(help_text: str):
    """`--device` of torch, the processor unless given."""
    return click.option("--device", type=Choice(["cpu", "cuda"]), default="cpu", show_default=True, help=help_text)


def threads_option(help_text: str):
    """`--threads`, all CPUs unless given."""
    return click.option("--threads", type=click.IntRange(min=1), metavar="N", help=help_text)


def example(command_line: str) -> str:
    """The epilog that every command's help ends with."""
    return f"\b\nExample:\n  {command_line}"
