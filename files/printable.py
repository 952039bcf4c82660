"""Text that comes from a file, made safe to print: on a terminal or a page it shows itself and moves nothing.

Strategy: names in an artifact are printable by the format's rules; those in other people's files are whatever their
writer liked. Control characters and marks of direction are written as their code points.
"""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """`text` with what does not print, or shows nothing, as \\x1b or \\u202e; lone surrogates likewise. Spaces stay."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    seen = character.isprintable() or unicodedata.category(character) == "Zs"
    return character if seen else ascii(character)[1:-1]


def shown_value(value: object, most: int = 80) -> str:
    """A value that somebody wrote, as Python has it, for an error: `most` characters of it, however large it is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of more digits than Python prints, or lists in one another
        return f"one {type(value).__name__} too large to print"
    return printable(text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)")
