"""Parameter types of paths: what a command reads and what it writes, checked before anything heavy is imported.

Strategy: whatever is wrong with a name alone (empty, nothing there, a folder, not readable) is wrong usage and is told
with what to give instead. What a file holds is for its readers.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..files.nearest_name import nearest_name
from ..files.path_names import home_hint
from ..files.sizes import UNITS

WILDCARDS = "*?["
STANDARD_STREAM = "-"


class NamedPath(click.Path):
    """A path that has a name: an empty one would stand for the folder in which the command runs."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value):
            self.fail("its name is empty, as of a variable that is not set; name a file or folder", param, ctx)
        return super().convert(value, param, ctx)


class InputFile(NamedPath):
    """An existing file, or "-" where standard input can be read; what is no file here is told what to give instead."""

    def __init__(self, *, or_input: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._or_input = or_input

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if self._or_input and str(value) == STANDARD_STREAM:
            return Path(value)
        try:
            if str(value) and not Path(value).exists():
                self.fail(not_there(str(value)), param, ctx)
        except OSError as error:  # nobody may say whether it is there
            self.fail(f"{value}: {error.strerror}; see: ls -ld {Path(value).parent}", param, ctx)
        if str(value) and Path(value).is_dir() and not self.dir_okay:
            self.fail(f"{value} is a folder; give a file in it", param, ctx)
        if str(value) and not os.access(value, os.R_OK):
            self.fail(f"{value} may not be read by this user; see: ls -ld {value}", param, ctx)
        return super().convert(value, param, ctx)


def not_there(text: str) -> str:
    """What is said of a path at which nothing is."""
    path = Path(text)
    if path.is_symlink():
        return f"{text} is a link to {path.readlink()}, and nothing is there; see: ls -l {text}"
    if text == STANDARD_STREAM:
        return "standard input is not read here; write it to a file and name that"
    if "://" in text:
        return f"{text} is an address, and nothing is downloaded; fetch it first and give the file"
    if any(sign in text for sign in WILDCARDS):
        return f"no file is named like {text}; name one that is there"
    if text.lower() in UNITS:
        return f"{text} does not exist; a size is one word: 16{text}"
    if not path.parent.is_dir():
        if hint := home_hint(text):
            return f"{text} does not exist; {hint}"
        if path.suffix[1:].isalpha():
            return f"{text} does not exist; there is no folder {path.parent}"
        from ..compiler.checkpoints.folder import not_there as of_a_hub

        return of_a_hub(path)
    return f"{text} does not exist{_meant_file(path)}"


def _meant_file(path: Path) -> str:
    """A sibling that is named much alike."""
    try:
        nearest = nearest_name(path.name, (each.name for each in path.parent.iterdir()), alike=0.75)
    except OSError:
        return ""
    return f"; see: ls {path.parent}" if nearest is None else f"; did you mean {path.with_name(nearest)}?"


class OutputPath(NamedPath):
    """A path to write to; whether it is free is checked before the work."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value) == STANDARD_STREAM:
            self.fail("nothing is written to standard output; name a file or folder", param, ctx)
        if Path(value).is_dir() and str(value) and not self.dir_okay:
            self.fail(f"{value} is a folder; name a file in it", param, ctx)
        return super().convert(value, param, ctx)


class OutputFile(OutputPath):
    """A path to write a file to."""


class ArchitectureFile(InputFile):
    """A file, or `preset:NAME` for an architecture that is known by its name."""

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path; a preset's name stands in one, too."""
        if str(value).startswith("preset:"):
            return Path(value)
        return super().convert(value, param, ctx)


class FileWords(click.ParamType):
    """Values that are files, or words beside them; a shell completes files."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class DataFiles(FileWords):
    """An existing file, a pattern such as "val_*.bin", or "-"; what it holds is for the reader to tell."""

    name = "FILE"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == STANDARD_STREAM or any(sign in value for sign in WILDCARDS):
            return value
        return str(INPUT_FILE.convert(value, param, ctx))


class TokenizerPath(FileWords):
    """A tokenizer's file, a folder that holds one, or the word "bytes"."""

    name = "TOKENIZER"

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return Path(value) if str(value) == "bytes" else CHECKPOINT.convert(value, param, ctx)


FOLDER = OutputPath(file_okay=False, path_type=Path)
OUTPUT = OutputPath(path_type=Path)  # a file or a folder
OUTPUT_FILE = OutputFile(dir_okay=False, path_type=Path)
INPUT_FILE = InputFile(dir_okay=False, readable=True, path_type=Path)
CHECKPOINT = InputFile(readable=True, path_type=Path)  # or a folder as Hugging Face writes it
ARTIFACT = InputFile(readable=True, path_type=Path, or_input=True)  # or one of the other files that a command takes
DATA_FILES, TOKENIZER = DataFiles(), TokenizerPath()
DATA_PATH = NamedPath(path_type=Path)  # a pattern, too
