"""Wrong usage in one line of the same style as every other error: what is wrong, then the way out.

Strategy: click finds the mistake and words it in its own way, over three lines; here its kinds of errors become our
sentences. What no kind knows a way out of ends with where the options are listed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import click

from ..files.listing import listed
from ..files.nearest_name import nearest_name
from ..files.sizes import UNITS
from .command_group import AllCommands
from .parameters import Choice, Size
from .path_types import DataFiles, InputFile

EXTRA = re.compile(r"Got unexpected extra arguments? \((?P<words>.*)\)")


def usage_text(error: click.UsageError, command: str) -> str:
    """What was wrong with a command line that names `command`; of one that gives it nothing, the command's help."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    text = _mistake(error)
    if text.endswith(".") and not text.endswith(" ."):  # a sentence of click; ours have no full stop
        text = text[:-1]
    return text if ";" in text else f"{text}; see: {command} --help"


def _mistake(error: click.UsageError) -> str:
    match error:
        case click.NoSuchOption():
            return f"no such option {error.option_name}{_meant_option(error)}"
        case click.MissingParameter():
            return _missing(error)
        case click.BadParameter():
            return f"{_named(error)}{error.message}"
        case click.BadOptionUsage():
            return error.message[:1].lower() + error.message[1:]
    extra = EXTRA.match(error.message)
    return error.message if extra is None else _unexpected(extra["words"], error.ctx)


def _meant_option(error: click.NoSuchOption) -> str:
    """Which other commands have such an option, and the one of the command at hand that looks most like it."""
    group = None if error.ctx is None else error.ctx.find_root().command
    others = group.commands_with(error.option_name) if isinstance(group, AllCommands) else []
    elsewhere = f" (as {listed(others, most=3)} {'has' if len(others) == 1 else 'have'})" if others else ""
    options = [] if error.ctx is None else [o for p in error.ctx.command.get_params(error.ctx) for o in p.opts]
    alike = 0.75 if others else 0.6  # a name that exists is seldom a slip of the pen
    nearest = nearest_name(error.option_name, (option for option in options if option.startswith("-")), alike)
    return elsewhere + ("" if nearest is None else f"; did you mean {nearest}?")


def _missing(error: click.MissingParameter) -> str:
    parameter = error.param
    if parameter is None:
        return error.format_message()
    if isinstance(parameter, click.Option):
        name = f"option {max(parameter.opts, key=len)}"
    else:
        name = f"argument {parameter.make_metavar(error.ctx) if error.ctx else parameter.human_readable_name}"
    choices = f"; one of {', '.join(parameter.type.choices)}" if isinstance(parameter.type, Choice) else ""
    return f"missing {name}{choices}"


def _named(error: click.BadParameter) -> str:
    """The option or argument that has the value, in front of what is wrong with it."""
    if isinstance(error.param, click.Option):
        return f"{max(error.param.opts, key=len)}: "
    return ""


def _unexpected(words: str, ctx: click.Context | None) -> str:
    """Arguments too many: the unit of a size, files that belong to a repeatable option, wildcards that a shell filled
    in.
    """
    first, text = words.split(" ")[0], f"unexpected argument '{words}'"
    given = {} if ctx is None else _given(ctx)
    for option, (kind, values) in given.items():
        if isinstance(kind, Size) and first.lower() in UNITS:
            return f"{text}; write {option} {values[-1]}{first}"
    if not Path(first).exists():
        return text
    for option, (kind, values) in given.items():
        if isinstance(kind, DataFiles | InputFile) and Path(str(values[-1])).exists():
            return f"{text}; repeat the option for each file: {option} {values[-1]} {option} {first}"
    return f"{text}; one file at a time, each in a command of its own"


def _given(ctx: click.Context) -> dict[str, tuple[click.ParamType, Sequence[object]]]:
    """Repeatable options, and sizes, that a command line has: their types and values."""
    found = {}
    for parameter in ctx.command.get_params(ctx):
        value = ctx.params.get(str(parameter.name))
        if isinstance(parameter, click.Option) and value and (parameter.multiple or isinstance(parameter.type, Size)):
            values = value if isinstance(value, tuple) else (value,)
            found[max(parameter.opts, key=len)] = (parameter.type, values)
    return found
