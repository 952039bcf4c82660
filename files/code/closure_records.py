"""What following a script's code gives: the files it needs and why, payloads, what is missing or was not followed."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .known_modules import OWN_PACKAGE
from .newer_python import NewerSyntax
from .python_source import PythonSource
from .references import Kind, Reference
from .side_files import Purpose


class Role(enum.Enum):
    """Why a file is in a closure."""

    GIVEN = "given"
    IMPORTED = "imported"
    EXECUTED = "executed"
    STARTED = "started"
    COMPILED = "compiled at run time"
    LOADED = "loaded as a library"
    READ = "read"


FILE_ROLES = {
    Kind.EXECUTED_FILE: Role.EXECUTED,
    Kind.STARTED_SCRIPT: Role.STARTED,
    Kind.NATIVE_SOURCE: Role.COMPILED,
    Kind.LIBRARY: Role.LOADED,
}
REPORTED = {
    Kind.COMPUTED,
    Kind.COMPUTED_FILE,
    Kind.INLINE_NATIVE,
    Kind.PROGRAM,
    Kind.NETWORK,
    Kind.UNPICKLING,
    Kind.UNREADABLE,
}  # of what is no file


@dataclass(frozen=True, slots=True)
class ClosureFile:
    """A file of the closure: `place` is where it is named first ("" for a given one), `purpose` of one that is read."""

    path: str
    bytes: int
    role: Role
    place: str = ""
    assumed: bool = False
    purpose: Purpose | None = None

    @property
    def counts(self) -> bool:
        """Whether it counts as code: all but tokenizers, data, model files and what the script itself writes."""
        return self.purpose is None or self.purpose is Purpose.OTHER


@dataclass(frozen=True, slots=True)
class UnpackedPayload:
    """Source text that was found inside a source: its place, what it was packed with ("" if plain), its layer."""

    place: str
    label: str
    text: str
    packing: str
    layer: int
    source: PythonSource | None = field(default=None, compare=False)

    @property
    def parsed(self) -> bool:
        """Whether it is Python."""
        return self.source is not None


@dataclass(frozen=True, slots=True)
class MissingModule:
    """A module that is imported and neither here, nor part of Python, nor of a known package."""

    name: str
    place: str
    optional: bool


@dataclass(frozen=True, slots=True)
class UnreadSource:
    """A source of the closure that was counted and not followed, with the reason and the line (0: none); `not_read`
    where nobody tried whether it is Python.
    """

    label: str
    line: int
    reason: str
    not_read: bool


@dataclass(frozen=True, slots=True)
class SourceTask:
    """A source to be read: `label` for places, `script` whose import folders hold, its text unless it is a file."""

    path: str
    label: str
    script: str
    text: str | None = None
    layer: int = 0
    is_shell: bool = False
    names: Mapping[str, Any] = field(default_factory=dict, compare=False)  # that a text finds where it is executed


@dataclass(slots=True)
class CodeClosure:
    """What a script needs; made by `code_closure`. `named` are (place, reference) pairs that are no files."""

    files: dict[str, ClosureFile] = field(default_factory=dict)
    possible: dict[str, ClosureFile] = field(default_factory=dict)  # that may be read, which nobody can tell
    outside: dict[str, str] = field(default_factory=dict)  # paths that lead out of the submission, and the places
    payloads: list[UnpackedPayload] = field(default_factory=list)
    named: list[tuple[str, Reference]] = field(default_factory=list)
    missing: list[MissingModule] = field(default_factory=list)
    unread: list[UnreadSource] = field(default_factory=list)
    newer: list[tuple[str, NewerSyntax]] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    sources: dict[str, PythonSource] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)  # top-level names of all that is imported

    @property
    def counted(self) -> list[ClosureFile]:
        """The files that count as code, given ones first, then by path."""
        return [file for file in self.files.values() if file.counts]

    @property
    def uncounted(self) -> list[ClosureFile]:
        """The files that are read and do not count as code."""
        return [file for file in self.files.values() if not file.counts]

    @property
    def code_bytes(self) -> int:
        """Bytes on disk of the files that count."""
        return sum(file.bytes for file in self.counted)


def is_own_package(missing: MissingModule) -> bool:
    """Whether what is missing is bytecap itself: the decoder that an artifact needs."""
    return missing.name.split(".")[0] == OWN_PACKAGE


def place_of(label: str, line: int) -> str:
    """ "a.py:3", and "a.py: payload, line 3" inside a payload."""
    return f"{label}, line {line}" if "payload" in label else f"{label}:{line}"
