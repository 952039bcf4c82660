"""The files among which a script's code is followed: a folder on disk, or a bounded view of one.

Strategy: the closure asks for names, kinds, sizes and bytes and knows no file system. Paths are absolute
and written with "/"; one that leads out of a room is not in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class SourceRoom(Protocol):
    """What the closure asks of the place where a script lies."""

    def is_file(self, path: str) -> bool:
        """Whether `path` is a file that may be read."""

    def is_folder(self, path: str) -> bool:
        """Whether `path` is a folder."""

    def names_in(self, folder: str) -> list[str]:
        """Names of the files directly in `folder`; nothing for a folder that is not there."""

    def files_named(self, end: str) -> list[str]:
        """Files whose path ends in "/" and `end`, anywhere in the room; nothing where the room is not listed."""

    def size(self, path: str) -> int:
        """Bytes of a file."""

    def read(self, path: str) -> bytes:
        """The bytes of a file; OSError where it cannot be read."""

    def own(self, path: str) -> str:
        """The one path of a file that has several."""


class DiskRoom:
    """Everything that the user can read: for code that the user names and trusts to be where it says."""

    def is_file(self, path: str) -> bool:
        try:
            return Path(path).is_file()
        except (OSError, ValueError):
            return False

    def is_folder(self, path: str) -> bool:
        try:
            return Path(path).is_dir()
        except (OSError, ValueError):
            return False

    def names_in(self, folder: str) -> list[str]:
        try:
            return sorted(path.name for path in Path(folder).iterdir() if path.is_file())
        except (OSError, ValueError):
            return []

    def files_named(self, end: str) -> list[str]:
        return []

    def size(self, path: str) -> int:
        return Path(path).stat().st_size

    def read(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def own(self, path: str) -> str:
        return Path(path).resolve().as_posix()
