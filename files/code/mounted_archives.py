"""A room in which a zip file that Python imports from looks like the folder that it is for Python.

Strategy: an archive is opened in memory when a script puts it on its path or runs it, and never before. Its members
get paths below its own; what they are for is asked as of any file, while their bytes on disk are the archive's.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib

from .source_room import SourceRoom

MOST_MEMBERS = 1000
MOST_BYTES = 16 << 20  # of an archive, and of all members together; whoever looks for more is told that there is none
DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, RuntimeError)


class RoomWithArchives:
    """The files of a room, and those in its zip files that were mounted."""

    def __init__(self, room: SourceRoom) -> None:
        self.room = room
        self.members: dict[str, bytes] = {}
        self.folders: dict[str, set[str]] = {}  # of the members, each with the names in it
        self.mounted: dict[str, bool] = {}

    def mount(self, path: str) -> str | None:
        """Show the members of the archive that a path is, or lies in; the archive's own path, None where it is none."""
        while path not in ("", "/"):
            if self.room.is_file(path):
                if path not in self.mounted:
                    self.mounted[path] = self._open(path)
                return path if self.mounted[path] else None
            path = posixpath.dirname(path)
        return None

    def archive_of(self, path: str) -> str | None:
        """The archive that a member lies in; None for a file of the room itself."""
        return None if path not in self.members else next(each for each in self.mounted if path.startswith(f"{each}/"))

    def members_of(self, archive: str) -> list[str]:
        """The paths of an archive's members."""
        return [path for path in self.members if path.startswith(f"{archive}/")]

    def _open(self, path: str) -> bool:
        if self.room.size(path) > MOST_BYTES:
            return False
        left = MOST_BYTES
        found: dict[str, bytes] = {}
        try:
            with zipfile.ZipFile(io.BytesIO(self.room.read(path))) as archive:
                for entry in archive.infolist()[:MOST_MEMBERS]:
                    name = posixpath.normpath(entry.filename)
                    if entry.is_dir() or entry.file_size > left or name.startswith(("/", "..")):
                        continue
                    with archive.open(entry) as member:
                        found[f"{path}/{name}"] = member.read(left + 1)
                    left -= len(found[f"{path}/{name}"])
        except DAMAGED:
            return False
        for member_path in found:
            inner = member_path
            while inner != path:
                above, name = posixpath.split(inner)
                self.folders.setdefault(above, set()).add(name)
                inner = above
        self.members |= found
        return True

    def is_file(self, path: str) -> bool:
        return path in self.members or self.room.is_file(path)

    def is_folder(self, path: str) -> bool:
        return path in self.folders or self.room.is_folder(path)

    def names_in(self, folder: str) -> list[str]:
        return sorted(self.folders[folder]) if folder in self.folders else self.room.names_in(folder)

    def files_below(self, folder: str) -> list[str]:
        return self.room.files_below(folder)

    def files_named(self, end: str) -> list[str]:
        return self.room.files_named(end)

    def size(self, path: str) -> int:
        return len(self.members[path]) if path in self.members else self.room.size(path)

    def read(self, path: str) -> bytes:
        return self.members[path] if path in self.members else self.room.read(path)

    def own(self, path: str) -> str:
        return path if path in self.members else self.room.own(path)
