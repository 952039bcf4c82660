"""The code that a script needs: all files it imports, executes, starts, compiles and reads, hidden ones included.

Strategy: a queue of sources, each read once as a syntax tree. What a source names is looked up among the
files at hand and queued in turn; packed text that it executes is unpacked and read like a file of its
own. What counts as code and what does not is said for every file, and what could not be followed is
listed with its place, so that no number stands for more than was read. Nothing ever runs.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from .bounded_decoding import packing_name
from .call_names import ONLY_FIND
from .closure_completion import mark_uncalled, put_in_order
from .closure_queue import ClosureQueue
from .closure_records import (
    FILE_ROLES,
    REPORTED,
    ClosureFile,
    CodeClosure,
    MissingModule,
    Role,
    SourceTask,
    UnpackedPayload,
    UnreadSource,
    place_of,
)
from .commands import SHELLS
from .evaluation import MAX_STEPS as EVALUATOR_STEPS
from .evaluation import Evaluator
from .known_modules import is_distributed, is_standard
from .module_files import exported_names, main_files, module_files, relative_base
from .python_source import PythonSource, UnreadableSource, read_python
from .references import Kind, Payload, Reference
from .shell_scripts import PYTHON_SUFFIXES, is_shell_script, shell_references
from .source_reader import SourceReader
from .source_room import SourceRoom

MAX_LAYERS = 8  # payloads inside payloads
MAX_PAYLOADS = 500
FOR_ALL_SCRIPTS = {"PYTHONPATH", "pip"}  # who names folders of modules for more than the script itself
COMPUTES_MORE = "not to its end, since it computes more than is looked at; what it opens or runs then is not seen"
AT_EVERY_START = ("sitecustomize.py", "usercustomize.py")  # Python imports them where it looks for modules


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


class _Tracer(ClosureQueue):
    """Reads the queue's sources, and follows what they refer to."""

    def run(self) -> None:
        while self.waiting:
            task = self.waiting.pop(0)
            if task.text is None and (
                task.is_shell or is_shell_script(task.path, self.paths.bytes_of(task.path) or b"")
            ):
                self._read_shell(task)
            else:
                self._read_python(task)
        self.result.missing = [item for item in self.result.missing if item.name not in self.provided]
        mark_uncalled(self.result)
        self.readings.finish()
        put_in_order(self.result)

    def _read_python(self, task: SourceTask) -> PythonSource | None:
        """Read a source and follow it; None where it cannot be read, which is noted."""
        try:
            source = self.source_of(task)
        except UnreadableSource as error:
            if not any(item.label == task.label for item in self.result.unread):
                self.result.unread.append(UnreadSource(task.label, error.line, error.reason, error.not_read))
            return None
        folders = self.own_folders(task)
        evaluator = Evaluator(
            task.path,
            lambda path: self.paths.side_bytes(self.paths.local(path, task.script)),
            lambda path: self.paths.exists(path, task.script),
            lambda folder: self.paths.below(folder, task.script),
        )
        evaluator.steps = min(evaluator.steps, self.steps_left)
        reader = SourceReader(evaluator)
        try:
            reader.read(source.tree, task.names)
        except RecursionError:
            self.result.unread.append(UnreadSource(task.label, 0, "is nested too deeply to be followed", True))
        if evaluator.steps <= 0:
            self.stop(task.label, COMPUTES_MORE)
        self.steps_left -= min(EVALUATOR_STEPS, self.steps_left) - max(evaluator.steps, 0)
        for reference in reader.references:
            if reference.kind is Kind.IMPORT_PATH and not reference.assumed:
                folders.append(posixpath.normpath(posixpath.join(posixpath.dirname(task.path), reference.name)))
                self.room.mount(folders[-1])
                self.everywhere += [folders[-1]] if reference.via in FOR_ALL_SCRIPTS else []
                if reference.via == "site.addsitedir":
                    self._run_path_files(folders[-1], reference, task)
        for reference in sorted(dict.fromkeys(reader.references), key=lambda reference: reference.line):
            self._follow(reference, task)
        for payload in dict.fromkeys(reader.payloads):
            self._unpack(payload, task)
        return source

    def _run_path_files(self, folder: str, reference: Reference, task: SourceTask) -> None:
        """The `.pth` files of a folder that becomes a site folder: lines that begin with `import` are executed."""
        place = place_of(task.label, reference.line)
        for path in (f"{folder}/{name}" for name in self.room.names_in(folder) if name.endswith(".pth")):
            lines = (self.paths.bytes_of(path) or b"").decode("utf-8", "replace").splitlines()
            code = "\n".join(line for line in lines if line.startswith(("import ", "import\t")))
            if code:
                self.result.files.setdefault(path, ClosureFile(path, self.room.size(path), Role.EXECUTED, place))
                self._unpack(Payload(reference.line, code, ""), task)

    def _unpack(self, payload: Payload, task: SourceTask) -> None:
        """Read text that a source executes as a source of its own, with the names and folders of its script."""
        label = f"{task.label}: payload" if task.layer == 0 else f"{task.label} in payload"
        place, layer = place_of(task.label, payload.line), task.layer + 1
        if len(self.result.payloads) >= MAX_PAYLOADS or layer > MAX_LAYERS:
            within = " in each other" if layer > MAX_LAYERS else ""
            self.stop(label, f"more than {MAX_LAYERS if within else MAX_PAYLOADS} payloads{within}")
            return
        source = self._read_python(SourceTask(task.path, label, task.script, payload.text, layer, names=payload.names))
        packing = " and ".join(dict.fromkeys(packing_name(name) for name in payload.packing.split(", ") if name))
        self.result.payloads.append(UnpackedPayload(place, label, payload.text, packing, layer, source))

    def _read_shell(self, task: SourceTask) -> None:
        for reference in shell_references(self.paths.bytes_of(task.path) or b""):
            self._follow(reference, task)

    def _follow(self, reference: Reference, task: SourceTask) -> None:
        place = place_of(task.label, reference.line)
        if reference.kind is Kind.MODULE:
            self._follow_import(reference, task, place)
        elif reference.kind is Kind.PROVIDED_MODULE:
            self.provided.add(reference.name)
        elif reference.kind is Kind.STARTED_MODULE:
            names = reference.name.split(".")
            for path in main_files(self.room, self.all_folders(task), names):
                self.add(path, Role.STARTED, place)
        elif reference.kind in FILE_ROLES:
            local = self.paths.local(reference.name, task.script, reference.assumed)
            if local is None and reference.kind in (Kind.EXECUTED_FILE, Kind.STARTED_SCRIPT):
                local = self.paths.started_folder(reference.name, task.script)
            known = local is not None or reference.optional
            named = [] if known else self.room.files_named(posixpath.basename(reference.name))
            assumed = reference.assumed or len(named) == 1
            local = named[0] if len(named) == 1 else local
            if local is not None and (members := self._run_members(local, reference)):
                for member in members:
                    self.add(member, Role.EXECUTED, place, task.script)
            elif local is not None:
                by_shell = reference.kind is Kind.STARTED_SCRIPT and reference.via in SHELLS
                self.add(local, FILE_ROLES[reference.kind], place, task.script, assumed, by_shell)
                if reference.kind is Kind.NATIVE_SOURCE:
                    for path in self.paths.included(local):
                        if self.room.own(path) not in self.result.files:
                            self.add(path, Role.COMPILED, place)
            elif reference.kind in (Kind.EXECUTED_FILE, Kind.STARTED_SCRIPT) and not reference.optional:
                self.result.named.append((place, reference))
        elif reference.kind is Kind.WRITTEN_FILE:
            self.result.written.add(posixpath.basename(reference.name))
        elif reference.kind is Kind.READ_FILE:
            self.readings.follow(reference, task.script, place)
        elif reference.kind is Kind.LISTED_FILES:
            self.readings.look(reference, task.script, place)
        elif reference.kind in REPORTED:
            self.result.named.append((place, reference))

    def _run_members(self, path: str, reference: Reference) -> list[str]:
        """What runs of a zip file that is executed or started: its `__main__`, or all for its importer."""
        if reference.kind not in (Kind.EXECUTED_FILE, Kind.STARTED_SCRIPT) or self.room.mount(path) is None:
            return []
        if reference.via == "zipimport.zipimporter":
            return [member for member in self.room.members_of(path) if member.endswith(PYTHON_SUFFIXES)]
        return [main for main in [f"{path}/__main__.py"] if self.room.is_file(main)]

    def _follow_import(self, reference: Reference, task: SourceTask, place: str) -> None:
        """`import a.b`, `from a.b import c`, `from .b import c`: the modules a and b, and c where it is one."""
        names = reference.name.split(".") if reference.name else []
        bases = [relative_base(task.path, reference.dots)] if reference.dots else self.all_folders(task)
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
            self.parsed[files[-1]] = source = self.parsed.get(files[-1]) or read_python(self.bytes_of(files[-1]))
            return exported_names(source.tree)
        except UnreadableSource:
            return []  # said when its turn comes

    def _miss(self, reference: Reference, name: str, task: SourceTask, place: str) -> None:
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
