"""Text that comes from a file, made safe to print: on a terminal or a page it shows itself and moves nothing.

Strategy: names in an artifact are printable by the format's rules; those in other people's files are whatever their
writer liked. Control characters and marks of direction are written as their code points.
"""

from __future__ import annotations

from ..format.container.cursor import UNPRINTABLE


def printable(text: str) -> str:
    """`text` with what does not print as \\x1b or \\u202e; lone surrogates likewise."""
    shown = UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")
