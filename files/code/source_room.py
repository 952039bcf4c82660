"""The files among which a script's code is followed: a folder on disk, or a bounded view of one.

Strategy: the closure asks for names, kinds, sizes and bytes and knows no file system. Paths are absolute
and written with "/"; one that leads out of a room is not in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

MOST_FILES = 10_000  # of a folder that is looked into


class SourceRoom(Protocol):
    """What the closure asks of the place where a script lies."""

    def is_file(self, path: str) -> bool:
        """Whether `path` is a file that may be read."""

    def is_folder(self, path: str) -> bool:
        """Whether `path` is a folder."""

    def names_in(self, folder: str) -> list[str]:
        """Names of the files directly in `folder`; nothing for a folder that is not there."""

    def files_below(self, folder: str) -> list[str]:
        """Files in `folder` and in the folders below it, relative to it, sorted; nothing for one that is not there."""

    def files_named(self, end: str) -> list[str]:
        """Files whose path ends in "/" and `end`, anywhere in the room; nothing where the room is not listed."""

    def size(self, path: str) -> int:
        """Bytes of a file."""

    def read(self, path: str) -> bytes:
        """The bytes of a file; OSError where it cannot be read."""

    def own(self, path: str) -> str:
        """The one path of a file that has several."""


class DiskRoom:
    """Files on disk in the folders of given scripts, of the package or the repository that they belong to.

    What a script names elsewhere (`/usr/lib`, another user's home) is not shipped with it and not looked at.
    """

    def __init__(self, scripts: Sequence[str | Path]) -> None:
        self.folders = {_own_folder(Path(script).resolve()) for script in scripts}

    def is_file(self, path: str) -> bool:
        return self._holds(path, Path.is_file)

    def is_folder(self, path: str) -> bool:
        return self._holds(path, Path.is_dir)

    def names_in(self, folder: str) -> list[str]:
        if not self.is_folder(folder):
            return []
        try:
            return sorted(path.name for path in Path(folder).iterdir() if path.is_file())
        except OSError:
            return []

    def files_below(self, folder: str) -> list[str]:
        found: list[str] = []
        for above, folders, files in os.walk(folder) if self.is_folder(folder) else ():
            folders[:] = sorted(name for name in folders if name != ".git")
            found += (Path(above, name).relative_to(folder).as_posix() for name in files)
            if len(found) > MOST_FILES:  # a whole home directory, perhaps, and no part of what is shipped
                return []
        return sorted(found)

    def files_named(self, end: str) -> list[str]:
        return []

    def size(self, path: str) -> int:
        return Path(path).stat().st_size

    def read(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def own(self, path: str) -> str:
        return Path(path).resolve().as_posix()

    def _holds(self, path: str, test: Callable[[Path], bool]) -> bool:
        try:
            place = Path(path)
            return any(place.is_relative_to(folder) for folder in self.folders) and test(place)
        except (OSError, ValueError):
            return False


def _own_folder(script: Path) -> Path:
    """The folder of a script, or the nearest above it that is a repository or holds its package."""
    for folder in script.parents:
        if (folder / ".git").exists():
            return folder
    folder = script.parent
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        folder = folder.parent
    return folder
