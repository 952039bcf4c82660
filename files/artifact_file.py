"""Reads an artifact's file as far as it is one, whatever the file is.

Strategy: header and section table first. Unless these hold, nothing more is read, so a large or endless file that is no
artifact is refused by its first bytes. Then what the table declares, within the reader's limits, and one byte more, by
which the reader sees that the file does not end there.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import BinaryIO

from ..errors import ArtifactError
from ..format.container.container import declared_length
from ..format.container.layout import table_end
from ..format.container.limits import DEFAULT_LIMITS, Limits

MOST_SECTIONS = 255  # that a header can name
STANDARD_INPUT = "-"


def read_artifact_file(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The bytes of an artifact, to be read by `read_artifact`; of another file as many as show that it is none.

    path : "-" for standard input

    So `read_artifact` gives the same error as for the whole file, in time and memory that do not grow with it.
    Raises OSError when it cannot be read.
    """
    with _opened(path) as file:
        head = file.read(table_end(MOST_SECTIONS))
        try:
            length = declared_length(head, limits)
        except ArtifactError:
            return head
        wanted = length + 1
        if (size := _size_of(file)) is not None:  # a table may declare more than there is
            wanted = min(wanted, size)
        return head[:wanted] + file.read(max(0, wanted - len(head)))


def artifact_file_size(path: str | os.PathLike[str]) -> int | None:
    """Bytes of a file; None of standard input and of what has no size."""
    return None if str(path) == STANDARD_INPUT else os.stat(path).st_size or None


def _opened(path: str | os.PathLike[str]) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if str(path) == STANDARD_INPUT else open(path, "rb")


def _size_of(file: BinaryIO) -> int | None:
    """Of a regular file."""
    try:
        status = os.fstat(file.fileno())
    except OSError:  # standard input that is no file of the system
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
