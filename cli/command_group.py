"""The commands by name: which there are, in sections, and what is said of a name that is none of them.

Strategy: a subcommand lives in `cli/<name>_command.py` as `command` and is imported when it is named, so that help and
wrong usage answer at once. Only the help of the whole imports all of them, for their short texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from ..files.nearest_name import nearest_name
from .exit_codes import OUTPUT, CommandError
from .standard_streams import STANDARD_OUTPUT

SECTIONS = (
    ("Make", ("compile", "fit", "export", "pack", "demo")),
    ("Look", ("inspect", "diff", "generate", "plugins")),
    ("Check", ("verify", "eval")),
    ("Study", ("sensitivity", "curve", "diagnose", "lab")),
)
COMMANDS = tuple(name for _, names in SECTIONS for name in names)
FORMER_NAMES = {"score": "sensitivity"}  # for one version; the help does not list them
OTHER_WORDS = {
    "help": "--help",
    "version": "--version",
    "quantize": "compile",
    "compress": "compile",
    "convert": "compile",
    "evaluate": "eval",
    "ppl": "eval",
    "info": "inspect",
    "show": "inspect",
    "list": "inspect",
    "compare": "diff",
    "check": "verify",
    "validate": "verify",
    "sample": "generate",
    "bundle": "pack",
    "experiment": "lab",
}  # how people and other programs call what a command or option of ours does


class NamedCommands(click.Group):
    """A group that answers a name it does not know with the one that was probably meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; UsageError with the way out for a name of no command."""
        name, names = args[0], self.list_commands(ctx)
        if name.startswith("-") or name in names or name in FORMER_NAMES or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        meant = self.other_words.get(name.lower()) or nearest_name(name, names)
        way_out = f"see them with: {ctx.command_path} --help" if meant is None else f"did you mean '{meant}'?"
        raise click.UsageError(f"no such command '{name}'; {way_out}", ctx)

    @property
    def other_words(self) -> dict[str, str]:
        """What else people write, and what they mean by it."""
        return {}


class AllCommands(NamedCommands):
    """The commands of `bytecap`, in sections, each imported when it is asked for."""

    @property
    def other_words(self) -> dict[str, str]:
        return OTHER_WORDS

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in FORMER_NAMES:
            name = _present_name(name)
        if name not in COMMANDS:
            return None
        return import_module(f".{name}_command", __package__).command

    def commands_with(self, option: str) -> list[str]:
        """The commands that have an option of exactly this name, given with its dashes."""
        if not option.startswith("--"):
            return []
        commands = {name: import_module(f".{name}_command", __package__).command for name in COMMANDS}
        return [name for name, command in commands.items() if any(option in each.opts for each in command.params)]

    def invoke(self, ctx: click.Context) -> Any:
        """As click does, which takes every broken pipe for that of standard output and ends without a word."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            if error.filename == STANDARD_OUTPUT:
                raise
            raise CommandError(f"{error.filename or 'a pipe'}: {error.strerror}", OUTPUT) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A section of the help for each kind of work."""
        width = max(map(len, COMMANDS))
        for title, names in SECTIONS:
            rows = [(f"{name:<{width}}", self._short_help(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl(rows)

    def _short_help(self, ctx: click.Context, name: str) -> str:
        command: Any = self.get_command(ctx, name)
        return command.get_short_help_str(limit=100)


def command_path(arguments: Sequence[str]) -> str | None:
    """The command that a command line names, `lab run` with its second word; None where it names none."""
    for place, argument in enumerate(arguments):
        name = FORMER_NAMES.get(argument, argument)
        if name in COMMANDS:
            command = import_module(f".{name}_command", __package__).command
            inner = arguments[place + 1] if place + 1 < len(arguments) else ""
            return f"{name} {inner}" if isinstance(command, click.Group) and inner in command.commands else name
    return None


def _present_name(former: str) -> str:
    """What a command is called now; said on stderr."""
    present = FORMER_NAMES[former]
    note = f"`bytecap {former}` is now `bytecap {present}`; the next version has only the new name"
    click.echo(f"bytecap: note: {note}", err=True)
    return present
