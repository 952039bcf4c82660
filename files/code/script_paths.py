"""What the paths in a script mean among the files at hand, seen from the script's folder.

Strategy: a path is joined to the folder of the script that runs, as if it were started there; one that is not in the
room is nowhere. Bytes are read here alone, those of one file at a time, since scripts read one file again and again.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from .bounded_decompressors import MAX_DECODED_BYTES
from .source_room import SourceRoom

INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]+"([^"\n]+)"', re.MULTILINE)
MAX_INCLUDES = 500  # of one file
MAX_INCLUDES_IN_EACH_OTHER = 8


class ScriptPaths:
    """Paths that scripts name, as paths of a room."""

    def __init__(self, room: SourceRoom) -> None:
        self.room = room
        self.side_texts: dict[str, bytes | None] = {}

    def from_script(self, path: str, script: str) -> str:
        """A path that a script names, from the root of the room."""
        return posixpath.normpath(posixpath.join(posixpath.dirname(script), path))

    def exists(self, path: str, script: str) -> bool:
        """Whether there is a file or folder."""
        path = self.from_script(path, script)
        return self.room.is_file(path) or self.room.is_folder(path)

    def local(self, name: str, script: str, assumed: bool = False) -> str | None:
        """The file that a path means, None if there is none; one of which only the end is known may lie beside."""
        path = self.from_script(name, script) if name and "\0" not in name else ""
        if path and self.room.is_file(path):
            return path
        beside = f"{posixpath.dirname(script)}/{posixpath.basename(name)}"
        return beside if assumed and name and self.room.is_file(beside) else None

    def below(self, folder: str, script: str) -> list[str]:
        """The files in a folder that a script names and below it, relative to it."""
        path = self.from_script(folder, script)
        return self.room.files_below(path) if self.room.is_folder(path) else []

    def started_folder(self, name: str, script: str) -> str | None:
        """What Python runs of a folder that is given as a script."""
        return self.local(f"{name.rstrip('/')}/__main__.py", script)

    def bytes_of(self, path: str | None) -> bytes | None:
        """The bytes of a file of the room; None where there is none or it cannot be read."""
        try:
            return None if path is None else self.room.read(path)
        except OSError:
            return None

    def side_bytes(self, path: str | None) -> bytes | None:
        """A file that a script reads while it builds what it executes, unless it is larger than any source."""
        if path is None or self.room.size(path) > MAX_DECODED_BYTES:
            return None
        if path not in self.side_texts:
            self.side_texts = {path: self.bytes_of(path)}  # the last one
        return self.side_texts[path]

    def included(self, path: str) -> Iterator[str]:
        """The files that a C or C++ file includes by a path in quotes, and those that these include."""
        seen = {self.room.own(path)}
        waiting = [(path, 0)]
        while waiting:
            above, depth = waiting.pop()
            for name in INCLUDE.findall(self.bytes_of(above) or b"")[:MAX_INCLUDES]:
                local = posixpath.normpath(posixpath.join(posixpath.dirname(above), name.decode("utf-8", "replace")))
                if depth < MAX_INCLUDES_IN_EACH_OTHER and self.room.is_file(local) and self.room.own(local) not in seen:
                    seen.add(self.room.own(local))
                    waiting.append((local, depth + 1))
                    yield local
