"""Reads an artifact's file as far as it is one, whatever the file is.

Strategy: header and section table first. Unless these hold, nothing more is read, so a large or endless file that is no
artifact is refused by its first bytes. Then what the table declares, within the reader's limits, and one byte more, by
which the reader sees that the file does not end there.
"""

from __future__ import annotations

import os
import stat

from ..errors import ArtifactError
from ..format.container.container import declared_length
from ..format.container.layout import table_end
from ..format.container.limits import DEFAULT_LIMITS, Limits

MOST_SECTIONS = 255  # that a header can name


def read_artifact_file(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The bytes of an artifact, to be read by `read_artifact`; of another file as many as show that it is none.

    So `read_artifact` gives the same error as for the whole file, in time and memory that do not grow with it.
    Raises OSError when it cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(table_end(MOST_SECTIONS))
        try:
            length = declared_length(head, limits)
        except ArtifactError:
            return head
        wanted = length + 1
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):  # a table may declare more than there is
            wanted = min(wanted, status.st_size)
        return head[:wanted] + file.read(max(0, wanted - len(head)))
