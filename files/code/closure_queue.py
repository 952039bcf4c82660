"""The queue of a closure's sources: each file once a script that runs it, within limits of files and of code.

Strategy: a file is counted when it comes in, and read when its turn comes; a member of an archive is read like a file,
and the archive is what counts.
"""

from __future__ import annotations

import posixpath

from .closure_reading import FileReadings
from .closure_records import ClosureFile, CodeClosure, Role, SourceTask, UnreadSource, place_of
from .module_files import import_folders
from .mounted_archives import RoomWithArchives
from .python_source import PythonSource, UnreadableSource, read_python
from .script_paths import ScriptPaths
from .shell_scripts import PYTHON_SUFFIXES, SHELL_SUFFIXES
from .source_room import SourceRoom

MAX_FILES = 500
MAX_CODE_BYTES = 1 << 20  # of all sources of a closure together, outside string literals and comments
MAX_STEPS = 1_000_000  # of evaluation for all sources together
TEXT_HEAD = 4096  # bytes


class ClosureQueue:
    """The sources that wait to be read, and what was found so far."""

    def __init__(self, room: SourceRoom, known: set[str]) -> None:
        self.room, self.known = RoomWithArchives(room), known
        self.result = CodeClosure()
        self.waiting: list[SourceTask] = []
        self.seen: set[tuple[str, str]] = set()
        self.folders: dict[str, list[str]] = {}  # by script
        self.everywhere: list[str] = []  # for each script that is started
        self.code_left, self.steps_left = MAX_CODE_BYTES, MAX_STEPS
        self.paths = ScriptPaths(self.room)
        self.readings = FileReadings(self.paths, self.result)
        self.parsed: dict[str, PythonSource] = {}  # packages whose exported names were asked for before their turn
        self.missed: set[str] = set()
        self.provided: set[str] = set()  # modules that a script makes itself

    def add(
        self, path: str, role: Role, place: str, script: str = "", assumed: bool = False, is_shell: bool = False
    ) -> None:
        """A file of the closure, and its source to the queue; a script that is given or started has its own folders."""
        path = self.room.own(path)
        own_script = path if role in (Role.GIVEN, Role.STARTED) or not script else script
        counted = self.room.archive_of(path) or path
        known = self.result.files.get(counted)
        if known is None or known.role is Role.READ:
            if len(self.result.files) >= MAX_FILES:
                self.stop(self.label(path), f"more than {MAX_FILES} files")
                return
            self.result.files[counted] = ClosureFile(counted, self.room.size(counted), role, place, assumed)
        is_source = path.endswith((*PYTHON_SUFFIXES, *SHELL_SUFFIXES)) or role in (Role.EXECUTED, Role.STARTED)
        if (path, own_script) not in self.seen and is_source:
            self.seen.add((path, own_script))
            self.waiting.append(SourceTask(path, self.label(path), own_script, is_shell=is_shell))

    def label(self, path: str) -> str:
        """How a file is named in places: without the folder that the first given script lies in."""
        first = next(iter(self.result.files), path)
        folder = posixpath.dirname(first) + "/"
        return path.removeprefix(folder)

    def source_of(self, task: SourceTask) -> PythonSource:
        """The source of a task, parsed; UnreadableSource where it is none, or there is too much."""
        if task.path in self.result.sources and task.text is None:
            return self.result.sources[task.path]
        data = self.bytes_of(task.path) if task.text is None else task.text
        if self.code_left <= 0:
            raise UnreadableSource(f"more than {MAX_CODE_BYTES >> 20} MiB of code in all", not_read=True)
        if isinstance(data, bytes) and b"\0" in data[:TEXT_HEAD] and not task.path.endswith(PYTHON_SUFFIXES):
            raise UnreadableSource("it is no text, so what it runs is not seen", not_read=True)
        source = (self.parsed.get(task.path) if task.text is None else None) or read_python(data)
        self.code_left -= source.code_bytes
        if task.text is None:
            self.result.sources[task.path] = source
        self.result.newer += [(place_of(task.label, syntax.line), syntax) for syntax in source.newer]
        return source

    def bytes_of(self, path: str) -> bytes:
        """The bytes of a file; UnreadableSource where it cannot be read."""
        try:
            return self.room.read(path)
        except OSError as error:
            raise UnreadableSource(f"cannot be read: {error.strerror or error}") from error

    def stop(self, label: str, reason: str) -> None:
        """Say once that a limit was reached, and where first."""
        if not any(item.reason == reason for item in self.result.unread):
            self.result.unread.append(UnreadSource(label, 0, reason, True))

    def own_folders(self, task: SourceTask) -> list[str]:
        """Where modules are looked for; a script that changes its path adds to them."""
        return self.folders.setdefault(task.script, list(import_folders(self.room, task.script)))

    def all_folders(self, task: SourceTask) -> list[str]:
        """These, and the folders that every script has."""
        return [*self.own_folders(task), *self.everywhere]
