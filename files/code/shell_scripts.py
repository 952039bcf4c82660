"""What a shell script refers to, line by line: each command is read as if it ran."""

from __future__ import annotations

from collections.abc import Iterator

from .commands import command_references, split_shell
from .references import Reference

PYTHON_SUFFIXES = (".py", ".pyw", ".pyi")
SHELL_SUFFIXES = (".sh", ".bash")


def is_shell_script(path: str, data: bytes) -> bool:
    """Whether a started file is a shell script, by its name or its first line."""
    first = data[:200].partition(b"\n")[0]
    named = path.endswith(SHELL_SUFFIXES) or (first.startswith(b"#!") and b"python" not in first)
    return named and not path.endswith(PYTHON_SUFFIXES)


def shell_references(data: bytes) -> Iterator[Reference]:
    """The references of all commands, lines that end in a backslash joined to the next."""
    for number, line in enumerate(data.decode("utf-8", "replace").replace("\\\n", "  ").splitlines(), 1):
        for command in split_shell(line) if not line.lstrip().startswith("#") else []:
            for item in command_references(command, number, "shell"):
                if isinstance(item, Reference):
                    yield item
