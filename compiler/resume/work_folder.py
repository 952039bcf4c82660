"""A work folder: where a compile keeps what it has computed, under digests of everything that it was computed from.

Strategy: a stage asks its `Memory` for what it is about to compute, by the stage's name and its details, and hands over
what it has computed. The full key is a digest over the inputs that the memory is bound to (digests.py), the stage and
the details. So nothing is ever told stale: what was computed from anything else has another key, and is not found. What
is found but damaged counts as not there. Whoever was not given a folder has FORGETFUL, which finds nothing and keeps
nothing, so that no stage asks whether there is one.

A folder belongs to one run at a time (flock on its mark, which ends with the process however that ends). A folder with
other things in it and no mark is refused.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from ...errors import OutputError
from ...files.partial_files import remove_leftovers
from .digests import digest_of
from .state_file import State, read_state, write_state

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

MARK = "bytecap-work"  # a file that tells a work folder, and is locked while a run uses it
SUFFIX = ".state"
OUTPUT = "output"  # the stage of the written files' own digests, of use only to a run that follows on a killed one
SHARE_OF_TIME = 20  # a state is written again when so many times the time that its last writing took have passed
LEAST_SECONDS = 5.0


class Memory(Protocol):
    """What a stage asks and tells."""

    folder: Path | None

    def recall(self, stage: str, *details: object) -> State | None:
        """What was kept of a stage, its arrays read-only views of a file; None for nothing that is whole."""

    def keep(self, stage: str, *details: object, state: State) -> None:
        """Keep the state of a stage, in place of what was kept under the same details."""

    def due(self) -> bool:
        """Whether it is time to keep a stage that is under way: at most a twentieth of the time goes into writing."""

    def took(self, what: str) -> None:
        """Remember, for the report, what was taken over."""

    def bound_to(self, *inputs: object) -> Memory:
        """The same memory for work that depends on these inputs, too."""


class Forgetful:
    """The memory of who was given no folder."""

    folder: Path | None = None
    taken_over: tuple[str, ...] = ()

    def recall(self, stage: str, *details: object) -> None:
        return None

    def keep(self, stage: str, *details: object, state: State) -> None:
        pass

    def due(self) -> bool:
        return False

    def took(self, what: str) -> None:
        pass

    def bound_to(self, *inputs: object) -> Memory:
        return self

    def described(self) -> None:
        return None

    def finish(self) -> None:
        pass


FORGETFUL = Forgetful()


@dataclass
class WorkFolder:
    """The folder of one run.

    keep_states : whether states stay when the run has ended well
    used : names of states that this run read or wrote;  taken, refused : sentences for the report
    """

    folder: Path
    keep_states: bool = False
    used: set[str] = field(default_factory=set)
    taken: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _written: float = field(default_factory=time.monotonic)
    _cost: float = 0.0
    _full: bool = False

    def bound_to(self, *inputs: object) -> Memory:
        return BoundMemory(self, digest_of(*inputs))

    def read(self, name: str, key: str) -> State | None:
        """A state by its name; what is not whole is set aside, and said."""
        path = self.folder / name
        self.used.add(name)
        if not path.is_file():
            return None
        try:
            return read_state(path, key)
        except ValueError as error:
            self.refused.append(f"{name} is not believed and computed again: {error}")
            return None

    def write(self, name: str, key: str, state: State) -> None:
        """Keep a state; a disk that is full ends the keeping and not the compile."""
        if self._full:
            return
        self.used.add(name)
        began = time.monotonic()
        try:
            write_state(self.folder / name, key, state)
        except OutputError as error:
            self._full = True
            self.refused.append(f"nothing more is kept: {error}")
        self._written = time.monotonic()
        self._cost = self._written - began

    def due(self) -> bool:
        return not self._full and time.monotonic() - self._written > max(LEAST_SECONDS, SHARE_OF_TIME * self._cost)

    @property
    def bytes(self) -> int:
        """That all states in the folder take."""
        return sum(path.stat().st_size for path in self.folder.glob(f"*{SUFFIX}"))

    @property
    def taken_over(self) -> tuple[str, ...]:
        """What a run before has left to this one so far, in words."""
        return tuple(f"{count} x {what}" if count > 1 else what for what, count in Counter(self.taken).items())

    def described(self) -> dict[str, object]:
        """What there is in the folder, and what of it will be left, for the report."""
        going = sum(path.stat().st_size for name in self._going if (path := self.folder / name).is_file())
        return {
            "folder": str(self.folder),
            "bytes": self.bytes,
            "bytes_left": self.bytes - going,
            "taken_over": list(self.taken_over),
            "refused": list(self.refused),
        }

    def finish(self) -> None:
        """The run has ended well: remove what it kept, unless that was to stay.

        The digests of its outputs never stay: whoever repeats a command that has ended finds files in the way. They go
        last, for a run that is killed here.
        """
        for name in sorted(self._going, key=_is_of_output):
            (self.folder / name).unlink(missing_ok=True)

    @property
    def _going(self) -> list[str]:
        """Names of the states that the run's end removes."""
        return [name for name in self.used if not self.keep_states or _is_of_output(name)]


def _is_of_output(name: str) -> bool:
    return name.startswith(f"{OUTPUT}-")


Unbound = WorkFolder | Forgetful


@dataclass(frozen=True)
class BoundMemory:
    """A work folder for work on certain inputs."""

    work: WorkFolder
    inputs: str

    @property
    def folder(self) -> Path:
        return self.work.folder

    def recall(self, stage: str, *details: object) -> State | None:
        return self.work.read(*self._place(stage, details))

    def keep(self, stage: str, *details: object, state: State) -> None:
        self.work.write(*self._place(stage, details), state)

    def due(self) -> bool:
        return self.work.due()

    def took(self, what: str) -> None:
        self.work.taken.append(what)

    def bound_to(self, *inputs: object) -> Memory:
        return BoundMemory(self.work, digest_of(self.inputs, *inputs))

    def _place(self, stage: str, details: tuple[object, ...]) -> tuple[str, str]:
        """File name and full key."""
        key = digest_of(self.inputs, stage, *details)
        return f"{stage}-{key[:20]}{SUFFIX}", key


@contextmanager
def open_work_folder(folder: Path | str | None, keep_states: bool = False) -> Iterator[Unbound]:
    """The work folder at a path, made where its parent exists and locked for this run; FORGETFUL without one.

    An empty folder that is left over at the end is removed. Raises OutputError for a path that is no folder, a folder
    with something else in it, and one that another run uses.
    """
    if folder is None:
        yield FORGETFUL
        return
    folder = Path(folder)
    _make(folder)
    with _locked(folder):
        remove_leftovers(folder)
        try:
            yield WorkFolder(folder, keep_states)
        finally:
            with suppress(OSError):
                if {path.name for path in folder.iterdir()} == {MARK}:
                    (folder / MARK).unlink()
                    folder.rmdir()


def _make(folder: Path) -> None:
    if not folder.parent.is_dir():
        raise OutputError(f"cannot work in {folder}: {folder.parent} is not a folder; create it first")
    try:
        folder.mkdir(exist_ok=True)
        others = [path.name for path in folder.iterdir()]
    except FileExistsError:
        raise OutputError(f"{folder} is a file; name a folder to work in") from None
    except OSError as error:
        raise OutputError(f"cannot work in {folder}: {error.strerror or error}; name another folder") from error
    if others and MARK not in others:
        message = f"{folder} is no work folder: it has {sorted(others)[0]} in it, and no {MARK}"
        raise OutputError(f"{message}; name an empty or a new folder")


@contextmanager
def _locked(folder: Path) -> Iterator[IO[bytes]]:
    """The folder's mark, locked; OutputError where another run has it."""
    try:
        descriptor = os.open(folder / MARK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as error:
        raise OutputError(f"cannot work in {folder}: {error.strerror or error}; name another folder") from error
    with os.fdopen(descriptor, "r+b") as mark:
        if fcntl is not None:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise OutputError(f"another run works in {folder}; wait for it, or name another folder") from None
        yield mark
