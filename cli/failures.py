"""Errors that name the file: `model.bcap:0x0004: malformed: ... [R-HDR-3]`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ArtifactError, BytecapError


class FileError(BytecapError):
    """An error of the artifact in `path`, with the exit code of its class."""

    def __init__(self, path: Path, error: ArtifactError) -> None:
        self.exit_code = error.exit_code
        separator = ": " if error.offset is None else ":"
        super().__init__(f"{path}{separator}{error}")


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Put `path` before the message of an ArtifactError raised inside."""
    try:
        yield
    except ArtifactError as error:
        raise FileError(path, error) from error
