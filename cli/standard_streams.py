"""Standard input, output and error as a command finds them, made safe to work with.

Strategy: what was closed before the start (`>&-`) is opened to nothing, first of all, so that no file of ours gets its
number. A word that standard error does not take (its disk is full, its terminal or its reader gone) is lost, since no
such word is worth the work that it tells of. One that standard output does not take is an error, which names it. A
character that its encoding lacks (a locale of Latin-1) is written as Python writes it in ASCII.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

STANDARD_OUTPUT = "standard output"


class _Losing(io.FileIO):
    """Takes everything, and loses what cannot be written."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


class _Named(io.FileIO):
    """Errors name standard output in the place of a file."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = STANDARD_OUTPUT
            raise


def prepare_streams() -> None:
    """Called once, at the start, before anything is opened."""
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")
    sys.stdout = _over(sys.stdout, _Named)
    sys.stderr = _over(sys.stderr, _Losing)


def _over(stream: TextIO | None, kind: type[io.FileIO]) -> TextIO:
    """The same stream over a file of that kind; what is none of the system's stays as it is."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    raw = kind(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        raw if stream.write_through else io.BufferedWriter(raw),  # type: ignore[arg-type]
        encoding=stream.encoding,
        errors="backslashreplace" if stream.errors == "strict" else stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
