"""The command that makes a result again, as text to paste into a shell.

Strategy: one option a line, quoted where the shell needs it; what was left at its default does not
come in.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path


def shell_command(words: Sequence[str], options: Iterable[tuple[str, object]]) -> str:
    """`words` and then each (option, value) on a line of its own.

    An option whose value is None or False is left out and one that is True stands alone; a list or
    tuple repeats its option, paths are written with slashes, and underscores of an option's name
    become hyphens.
    """
    lines = [list(words)]
    for option, value in options:
        for item in value if isinstance(value, list | tuple) else [value]:
            if item is not None and item is not False:
                lines.append([f"--{option.replace('_', '-')}"] + ([] if item is True else [_written(item)]))
    return " \\\n  ".join(shlex.join(line) for line in lines)


def _written(value: object) -> str:
    if isinstance(value, Path):
        return value.as_posix()
    return f"{value:g}" if isinstance(value, float) else str(value)
