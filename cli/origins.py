"""What a page or a plot says of itself: the model, the date, and the command that makes it, and only it, again.

Strategy: the command is read back from click: every argument, and every option that was given, in the order in which
the command has them. Options at their defaults, `--json` and `--force` do not come in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from ..report.heading import Origin

LEFT_OUT = frozenset({"as_json", "force"})
WRITTEN = frozenset({"html", "plot", "report", "output"})


def origin_of(kind: str, name: str, option: str) -> Origin:
    """The origin of what the command that runs now writes for an option, such as `plot`.

    name : what it is about
    """
    from ..files.printable import printable
    from ..report.dates import date_today
    from ..report.heading import Origin

    return Origin(kind, printable(name), date_today(), given_command(WRITTEN - {option}))


def given_command(without: frozenset[str] = frozenset()) -> str:
    """The command that runs now, as text for a shell, without some of its options."""
    from ..files.shell_commands import shell_command

    context = click.get_current_context()
    words, options = context.command_path.split(" ")[1:], []
    for parameter in context.command.params:
        name = parameter.name or ""
        value, source = context.params.get(name), context.get_parameter_source(name)
        if isinstance(parameter, click.Argument):
            words += [str(each) for each in (value if isinstance(value, tuple) else [value])]
        elif source is ParameterSource.COMMANDLINE and name not in LEFT_OUT | without:
            options.append((max(parameter.opts, key=len).lstrip("-"), value))
    return shell_command(["bytecap", *words], options)
