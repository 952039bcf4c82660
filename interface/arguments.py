"""What callers may write for a path or a size, and what it becomes."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import CapError
from ..files.sizes import parse_size

PathLike = str | os.PathLike[str]


def optional_path(path: PathLike | None) -> Path | None:
    """The path, or None where none was given."""
    return None if path is None else Path(path)


def size_in_bytes(size: int | str) -> int:
    """Bytes of a size given as a number or as a text such as "16MB"; CapError for a text that is not a size."""
    try:
        return parse_size(size) if isinstance(size, str) else size
    except ValueError as error:
        raise CapError(str(error)) from error
