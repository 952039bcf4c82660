"""Parameter types and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..files.sizes import parse_size

INPUT_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
OUTPUT_FILE = click.Path(dir_okay=False, path_type=Path)


class ArchitectureFile(click.Path):
    """A file, or `preset:NAME` for an architecture that is known by its name."""

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path; a preset's name stands in one, too."""
        if str(value).startswith("preset:"):
            return Path(value)
        return super().convert(value, param, ctx)


class CheckpointPath(click.Path):
    """A file, or a folder as Hugging Face writes it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not Path(value).exists():
            from ..compiler.checkpoints.folder import not_there

            self.fail(f"{not_there(Path(value))}.", param, ctx)
        return super().convert(value, param, ctx)


CHECKPOINT = CheckpointPath(exists=True, readable=True, path_type=Path)


class DataFiles(click.ParamType):
    """An existing file, a pattern such as "val_*.bin", or "-"; what it holds is for the reader to tell."""

    name = "FILE"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == "-" or any(sign in value for sign in "*?["):
            return value
        return str(INPUT_FILE.convert(value, param, ctx))


class TokenizerPath(click.ParamType):
    """A tokenizer's file, a folder that holds one, or the word "bytes"."""

    name = "TOKENIZER"

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return Path(value) if str(value) == "bytes" else CHECKPOINT.convert(value, param, ctx)


DATA_FILES, TOKENIZER = DataFiles(), TokenizerPath()


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
    type=ArchitectureFile(exists=True, dir_okay=False, readable=True, path_type=Path),
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


def tokenizer_option(help_text: str):
    """`--tokenizer`, where it is not required."""
    return click.option("--tokenizer", type=TOKENIZER, metavar="FILE", help=help_text)


def count_option(name: str, default: int, help_text: str):
    """A whole number of at least one, with its default shown."""
    kind = click.IntRange(min=1)
    return click.option(name, type=kind, default=default, show_default=True, metavar="N", help=help_text)


def seed_option(help_text: str = "Seed of the sampled labels."):
    """`--seed`, 0 unless given."""
    kind = click.IntRange(min=0)
    return click.option("--seed", type=kind, default=0, show_default=True, metavar="N", help=help_text)


def threads_option(help_text: str):
    """`--threads`, all CPUs unless given."""
    return click.option("--threads", type=click.IntRange(min=1), metavar="N", help=help_text)


def example(command_line: str) -> str:
    """The epilog that every command's help ends with."""
    return f"\b\nExample:\n  {command_line}"
