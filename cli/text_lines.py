"""Lines of text on stdout: wrapped between words on a terminal, whole elsewhere; colours where they are wanted.

Strategy: what is piped can be searched line by line and compared, so nothing is wrapped there. A word that is longer
than a line, such as a digest or a path, stays whole.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap

import click


def print_field(title: str, text: str, margin: int) -> None:
    """A title and a text that goes on below itself, `margin` columns from the left."""
    print_text(f"{title:<{margin - 1}} {text}", margin)


def print_text(text: str, indent: int = 0) -> None:
    """One line; on a narrow terminal several, all but the first of which are indented."""
    click.echo(wrapped_text(text, indent) if sys.stdout.isatty() else text)


def wrapped_text(text: str, indent: int, width: int | None = None) -> str:
    """Lines of at most `width` columns, by default those of the terminal; the first begins as `text` does."""
    width = width or terminal_width()
    head, rest = text[:indent], text[indent:]
    room = max(width - indent, 1)
    if len(head.strip()) and not head.endswith(" "):  # a title that is longer than its margin
        head, rest = "", text
    lines = textwrap.wrap(rest, room, break_long_words=False, break_on_hyphens=False) or [""]
    return "\n".join([head + lines[0], *(" " * indent + line for line in lines[1:])])


def terminal_width() -> int:
    """Columns that text may take: one less than the terminal has, since some wrap a full line."""
    return shutil.get_terminal_size().columns - 1


def coloured(text: str, colour: str | None, bold: bool = False) -> str:
    """Text in a colour on a terminal, unless NO_COLOR is set (no-color.org) or the terminal is dumb."""
    wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return click.style(text, fg=colour, bold=bold or None) if wanted else text
