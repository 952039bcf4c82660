"""The code that a script needs: all files it imports, executes, starts, compiles and reads, hidden ones included.

Strategy: a queue of sources, each read once as a syntax tree. What a source names is looked up among the
files at hand and queued in turn; packed text that it executes is unpacked and read like a file of its
own. What counts as code and what does not is said for every file, and what could not be followed is
listed with its place, so that no number stands for more than was read. Nothing ever runs.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .bounded_decoding import MAX_DECODED_BYTES, packing_name
from .call_names import ONLY_FIND
from .called_functions import called_functions
from .closure_records import ClosureFile, CodeClosure, MissingModule, Role, UnpackedPayload, UnreadSource
from .commands import SHELLS, command_references, split_shell
from .evaluation import MAX_STEPS as EVALUATOR_STEPS
from .evaluation import Evaluator
from .known_modules import is_distributed, is_standard
from .module_files import exported_names, import_folders, main_files, module_files, relative_base
from .python_source import PythonSource, UnreadableSource, read_python
from .references import Kind, Payload, Reference
from .side_files import Purpose, side_purpose
from .source_reader import SourceReader
from .source_room import SourceRoom

PYTHON_SUFFIXES = (".py", ".pyw", ".pyi")
SHELL_SUFFIXES = (".sh", ".bash")
MAX_LAYERS = 8  # payloads inside payloads
MAX_FILES = 500
MAX_PAYLOADS = 500
MAX_CODE_BYTES = 1 << 20  # of all sources of a closure together, outside string literals and comments
MAX_STEPS = 1_000_000  # of evaluation for all sources together
TEXT_HEAD = 4096  # bytes
INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]+"([^"\n]+)"', re.MULTILINE)
AT_EVERY_START = ("sitecustomize.py", "usercustomize.py")  # Python imports them where it looks for modules
CALLS_ANYTHING = {Kind.COMPUTED, Kind.UNREADABLE}
REPORTED = {
    Kind.COMPUTED,
    Kind.COMPUTED_FILE,
    Kind.INLINE_NATIVE,
    Kind.PROGRAM,
    Kind.NETWORK,
    Kind.UNPICKLING,
    Kind.UNREADABLE,
}


def code_closure(room: SourceRoom, scripts: Sequence[str], known: Sequence[str] = ()) -> CodeClosure:
    """Follow `scripts` (paths in `room`); `known` are more import names that packages bring.

    A script that is no Python is counted and, unless it is a shell script, not read.
    """
    tracer = _Tracer(room, set(known))
    for script in scripts:
        tracer.add(room.own(script), Role.GIVEN, "")
    for script in scripts:
        for name in AT_EVERY_START:
            if room.is_file(path := f"{posixpath.dirname(script)}/{name}"):
                tracer.add(path, Role.IMPORTED, "every start of Python")
    tracer.run()
    return tracer.result


@dataclass(frozen=True, slots=True)
class _Task:
    """A source to be read: `label` for places, `script` whose import folders hold, its text unless it is a file."""

    path: str
    label: str
    script: str
    text: str | None = None
    layer: int = 0
    is_shell: bool = False
    names: Mapping[str, Any] = field(default_factory=dict, compare=False)  # that a text finds where it is executed


class _Tracer:
    """The queue of sources, and what was found."""

    def __init__(self, room: SourceRoom, known: set[str]) -> None:
        self.room, self.known = room, known
        self.result = CodeClosure()
        self.waiting: list[_Task] = []
        self.seen: set[tuple[str, str]] = set()
        self.folders: dict[str, list[str]] = {}  # by script
        self.code_left, self.steps_left = MAX_CODE_BYTES, MAX_STEPS
        self.side_texts: dict[str, bytes | None] = {}
        self.missed: set[str] = set()
        self.provided: set[str] = set()  # modules that a script makes itself

    def run(self) -> None:
        while self.waiting:
            task = self.waiting.pop(0)
            if task.text is None and (task.is_shell or self._is_shell(task.path)):
                self._read_shell(task)
            else:
                self._read_python(task)
        self.result.missing = [item for item in self.result.missing if item.name not in self.provided]
        self._mark_uncalled()
        self._order()

    def _mark_uncalled(self) -> None:
        """Uses of the network in functions that nothing calls, where all calls are known by name."""
        named = self.result.named
        if not any(item.inside for _, item in named) or any(item.kind in CALLS_ANYTHING for _, item in named):
            return
        trees = [source.tree for source in self.result.sources.values()]
        called = called_functions(trees, [payload.text for payload in self.result.payloads])
        self.result.named = [
            (place, replace(item, uncalled=bool(item.inside) and item.inside not in called)) for place, item in named
        ]

    def _is_shell(self, path: str) -> bool:
        """Whether a started file is a shell script, by its name or its first line."""
        first = (self._bytes_of(path) or b"")[:200].partition(b"\n")[0]
        named = path.endswith(SHELL_SUFFIXES) or (first.startswith(b"#!") and b"python" not in first)
        return named and not path.endswith(PYTHON_SUFFIXES)

    def add(
        self, path: str, role: Role, place: str, script: str = "", assumed: bool = False, is_shell: bool = False
    ) -> None:
        """A file of the closure, and its source to the queue; a script that is given or started has its own folders."""
        path = self.room.own(path)
        own_script = path if role in (Role.GIVEN, Role.STARTED) or not script else script
        known = self.result.files.get(path)
        if known is None or known.role is Role.READ:
            if len(self.result.files) >= MAX_FILES:
                self._stop(self.label(path), f"more than {MAX_FILES} files")
                return
            self.result.files[path] = ClosureFile(path, self.room.size(path), role, place, assumed)
        is_source = path.endswith((*PYTHON_SUFFIXES, *SHELL_SUFFIXES)) or role in (Role.EXECUTED, Role.STARTED)
        if (path, own_script) not in self.seen and is_source:
            self.seen.add((path, own_script))
            self.waiting.append(_Task(path, self.label(path), own_script, is_shell=is_shell))

    def label(self, path: str) -> str:
        """How a file is named in places: without the folder that the first given script lies in."""
        first = next(iter(self.result.files), path)
        folder = posixpath.dirname(first) + "/"
        return path.removeprefix(folder)

    def _read_python(self, task: _Task) -> None:
        try:
            source = self._source(task)
        except UnreadableSource as error:
            if not any(item.label == task.label for item in self.result.unread):
                self.result.unread.append(UnreadSource(task.label, error.line, error.reason, error.not_read))
            return
        folders = self.folders.setdefault(task.script, list(import_folders(self.room, task.script)))
        evaluator = Evaluator(
            task.path,
            lambda path: self._side_bytes(self._local(path, task)),
            lambda path: self._exists(path, task),
            lambda folder: self.room.names_in(self._from_script(folder, task)),
        )
        evaluator.steps = min(evaluator.steps, self.steps_left)
        reader = SourceReader(evaluator)
        try:
            reader.read(source.tree, task.names)
        except RecursionError:
            self.result.unread.append(UnreadSource(task.label, 0, "is nested too deeply to be followed", True))
        self.steps_left -= min(EVALUATOR_STEPS, self.steps_left) - max(evaluator.steps, 0)
        for reference in reader.references:
            if reference.kind is Kind.IMPORT_PATH and not reference.assumed:
                folders.append(posixpath.normpath(posixpath.join(posixpath.dirname(task.path), reference.name)))
                if reference.via == "site.addsitedir":
                    self._run_path_files(folders[-1], reference, task)
        for reference in sorted(dict.fromkeys(reader.references), key=lambda reference: reference.line):
            self._follow(reference, task)
        for payload in dict.fromkeys(reader.payloads):
            self._unpack(payload, task)

    def _run_path_files(self, folder: str, reference: Reference, task: _Task) -> None:
        """The `.pth` files of a folder that becomes a site folder: lines that begin with `import` are executed."""
        place = _place(task.label, reference.line)
        for path in (f"{folder}/{name}" for name in self.room.names_in(folder) if name.endswith(".pth")):
            lines = (self._bytes_of(path) or b"").decode("utf-8", "replace").splitlines()
            code = "\n".join(line for line in lines if line.startswith(("import ", "import\t")))
            if code:
                self.result.files.setdefault(path, ClosureFile(path, self.room.size(path), Role.EXECUTED, place))
                self._unpack(Payload(reference.line, code, ""), task)

    def _source(self, task: _Task) -> PythonSource:
        if task.path in self.result.sources and task.text is None:
            return self.result.sources[task.path]
        data = self._bytes(task.path) if task.text is None else task.text
        if self.code_left <= 0:
            raise UnreadableSource(f"more than {MAX_CODE_BYTES >> 20} MiB of code in all", not_read=True)
        if isinstance(data, bytes) and b"\0" in data[:TEXT_HEAD] and not task.path.endswith(PYTHON_SUFFIXES):
            raise UnreadableSource("it is no text, so what it runs is not seen", not_read=True)
        source = read_python(data)
        self.code_left -= source.code_bytes
        if task.text is None:
            self.result.sources[task.path] = source
        self.result.newer += [(_place(task.label, syntax.line), syntax) for syntax in source.newer]
        return source

    def _bytes(self, path: str) -> bytes:
        try:
            return self.room.read(path)
        except OSError as error:
            raise UnreadableSource(f"cannot be read: {error.strerror or error}") from error

    def _side_bytes(self, path: str | None) -> bytes | None:
        """A file that a script reads while it builds what it executes, unless it is larger than any source."""
        if path is None or self.room.size(path) > MAX_DECODED_BYTES:
            return None
        if path not in self.side_texts:
            self.side_texts = {path: self._bytes_of(path)}  # the last one: scripts read one file again and again
        return self.side_texts[path]

    def _exists(self, path: str, task: _Task) -> bool:
        path = self._from_script(path, task)
        return self.room.is_file(path) or self.room.is_folder(path)

    def _from_script(self, path: str, task: _Task) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(task.script), path))

    def _bytes_of(self, path: str | None) -> bytes | None:
        try:
            return None if path is None else self.room.read(path)
        except OSError:
            return None

    def _unpack(self, payload: Payload, task: _Task) -> None:
        """Read text that a source executes as a source of its own, with the names and folders of its script."""
        label = f"{task.label}: payload" if task.layer == 0 else f"{task.label} in payload"
        place, layer = _place(task.label, payload.line), task.layer + 1
        if len(self.result.payloads) >= MAX_PAYLOADS or layer > MAX_LAYERS:
            within = " in each other" if layer > MAX_LAYERS else ""
            self._stop(label, f"more than {MAX_LAYERS if within else MAX_PAYLOADS} payloads{within}")
            return
        before = len(self.result.unread)
        self._read_python(_Task(task.path, label, task.script, payload.text, layer, names=payload.names))
        parsed = len(self.result.unread) == before
        packing = " and ".join(dict.fromkeys(packing_name(name) for name in payload.packing.split(", ") if name))
        self.result.payloads.append(UnpackedPayload(place, label, payload.text, packing, layer, parsed))

    def _stop(self, label: str, reason: str) -> None:
        """Say once that a limit was reached, and where first."""
        if not any(item.reason == reason for item in self.result.unread):
            self.result.unread.append(UnreadSource(label, 0, reason, True))

    def _read_shell(self, task: _Task) -> None:
        text = self._bytes_of(task.path) or b""
        for number, line in enumerate(text.decode("utf-8", "replace").replace("\\\n", "  ").splitlines(), 1):
            for command in split_shell(line) if not line.lstrip().startswith("#") else []:
                for item in command_references(command, number, "shell"):
                    if isinstance(item, Reference):
                        self._follow(item, task)

    def _follow(self, reference: Reference, task: _Task) -> None:
        place = _place(task.label, reference.line)
        if reference.kind is Kind.MODULE:
            self._follow_import(reference, task, place)
        elif reference.kind is Kind.PROVIDED_MODULE:
            self.provided.add(reference.name)
        elif reference.kind is Kind.STARTED_MODULE:
            names = reference.name.split(".")
            for path in main_files(self.room, self._folders(task), names):
                self.add(path, Role.STARTED, place)
        elif reference.kind in FILE_ROLES:
            local = self._local(reference.name, task, reference.assumed) or self._started_folder(reference, task)
            known = local is not None or reference.optional
            named = [] if known else self.room.files_named(posixpath.basename(reference.name))
            assumed = reference.assumed or len(named) == 1
            local = named[0] if len(named) == 1 else local
            if local is not None:
                by_shell = reference.kind is Kind.STARTED_SCRIPT and reference.via in SHELLS
                self.add(local, FILE_ROLES[reference.kind], place, task.script, assumed, by_shell)
                if reference.kind is Kind.NATIVE_SOURCE:
                    self._follow_includes(local, place)
            elif reference.kind in (Kind.EXECUTED_FILE, Kind.STARTED_SCRIPT) and not reference.optional:
                self.result.named.append((place, reference))
        elif reference.kind is Kind.WRITTEN_FILE:
            self.result.written.add(posixpath.basename(reference.name))
        elif reference.kind is Kind.READ_FILE:
            self._follow_reading(reference, task, place)
        elif reference.kind in REPORTED:
            self.result.named.append((place, reference))

    def _follow_import(self, reference: Reference, task: _Task, place: str) -> None:
        """`import a.b`, `from a.b import c`, `from .b import c`: the modules a and b, and c where it is one."""
        names = reference.name.split(".") if reference.name else []
        bases = [relative_base(task.path, reference.dots)] if reference.dots else self._folders(task)
        found = module_files(self.room, bases, names)
        submodules = reference.submodules
        if submodules == ("*",):
            submodules = tuple(self._exported(found))
        for submodule in submodules:
            found += module_files(self.room, bases, [*names, submodule])
        if names == ["pytest"] and self.room.is_file(beside := f"{posixpath.dirname(task.script)}/conftest.py"):
            found = [*found, beside]  # which pytest imports
        for path in dict.fromkeys(found):
            self.add(path, Role.IMPORTED, place, task.script)
        if names and not reference.dots:
            self.result.modules.add(names[0])
        if not found and names:
            self._miss(reference, names[0], task, place)

    def _exported(self, files: list[str]) -> list[str]:
        if not files or not files[-1].endswith("/__init__.py"):
            return []
        try:
            return exported_names(read_python(self._bytes(files[-1])).tree)
        except UnreadableSource:
            return []  # said when its turn comes

    def _miss(self, reference: Reference, name: str, task: _Task, place: str) -> None:
        """A module that is not where Python looks: from elsewhere in the room, of a package, or missing."""
        if reference.via in ONLY_FIND:
            return
        is_package = is_standard(name) or is_distributed(name) or name in self.known
        if not reference.dots and is_package:
            return
        ends = [f"{name}.py", f"{name}/__init__.py"]
        elsewhere = [path for end in ends for path in self.room.files_named(end)]
        if len(elsewhere) == 1 and not reference.dots:
            self.add(elsewhere[0], Role.IMPORTED, place, task.script, assumed=True)
            return
        missing = MissingModule("." * reference.dots + reference.name, place, reference.optional)
        if missing.name not in self.missed:
            self.missed.add(missing.name)
            self.result.missing.append(missing)

    def _follow_reading(self, reference: Reference, task: _Task, place: str) -> None:
        path = self._local(reference.name, task, reference.assumed)
        if path is None or self.room.own(path) in self.result.files:
            return
        path = self.room.own(path)
        purpose = side_purpose(posixpath.basename(path), reference.via)
        self.result.files[path] = ClosureFile(path, self.room.size(path), Role.READ, place, reference.assumed, purpose)

    def _follow_includes(self, path: str, place: str, depth: int = 0) -> None:
        for name in INCLUDE.findall(self._bytes_of(path) or b"")[:MAX_FILES]:
            local = posixpath.normpath(posixpath.join(posixpath.dirname(path), name.decode("utf-8", "replace")))
            if self.room.is_file(local) and self.room.own(local) not in self.result.files and depth < MAX_LAYERS:
                self.add(local, Role.COMPILED, place)
                self._follow_includes(local, place, depth + 1)

    def _folders(self, task: _Task) -> list[str]:
        return self.folders.get(task.script) or list(import_folders(self.room, task.script))

    def _local(self, name: str, task: _Task, assumed: bool = False) -> str | None:
        """The file of the room that a path means, seen from the script's folder; None if there is none."""
        folder = posixpath.dirname(task.script)
        path = posixpath.normpath(posixpath.join(folder, name)) if name and "\0" not in name else ""
        if path and self.room.is_file(path):
            return path
        beside = f"{folder}/{posixpath.basename(name)}"
        return beside if assumed and name and self.room.is_file(beside) else None

    def _started_folder(self, reference: Reference, task: _Task) -> str | None:
        """What Python runs of a folder that is given as a script."""
        main = f"{reference.name.rstrip('/')}/__main__.py"
        return self._local(main, task) if reference.kind in (Kind.EXECUTED_FILE, Kind.STARTED_SCRIPT) else None

    def _order(self) -> None:
        """Given files first, then the others by path; what the scripts write themselves does not count."""
        files = [
            _own_output(file)
            if file.role is Role.READ and posixpath.basename(file.path) in self.result.written
            else file
            for file in self.result.files.values()
        ]
        given = [file for file in files if file.role is Role.GIVEN]
        others = sorted((file for file in files if file.role is not Role.GIVEN), key=lambda file: file.path)
        self.result.files = {file.path: file for file in (*given, *others)}


FILE_ROLES = {
    Kind.EXECUTED_FILE: Role.EXECUTED,
    Kind.STARTED_SCRIPT: Role.STARTED,
    Kind.NATIVE_SOURCE: Role.COMPILED,
    Kind.LIBRARY: Role.LOADED,
}


def _own_output(file: ClosureFile) -> ClosureFile:
    return ClosureFile(file.path, file.bytes, file.role, file.place, file.assumed, Purpose.OWN_OUTPUT)


def _place(label: str, line: int) -> str:
    """ "a.py:3", and "a.py: payload, line 3" inside a payload."""
    return f"{label}, line {line}" if "payload" in label else f"{label}:{line}"
