"""What every fuzz target is, and what one mutation must keep.

Strategy: a target makes good inputs on the spot, draws a mutation of them from a random number generator, and gives it
to the code under attack. Here stands what holds whatever the target: the answer comes, or one of the errors that it
names; nothing else is raised, run, written or left; what is said is one visible line; time and memory stay within what
the target states; and the same input gives the same answer.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fuzz_invariants import (
    Broken,
    hang_guard,
    peak,
    refusal_of,
    reset_peak,
    run_command,
    seen,
    stray_error,
    told_difference,
)

from bytecap.errors import BytecapError

Mutator = Callable[[bytes, random.Random], bytes]
ROOM, OUTPUT = "room", "output"  # folders of the input, which may not change, and of what commands write
SECONDS, PEAK_BYTES = 2.0, 512 << 20  # of a core, and above what the process had before
MESSAGE_CHARACTERS = 4000
REPEATED_EVERY = 16  # mutations between two that are tried again, for the same answer
ACCEPTED = "accepted: "


@dataclass(frozen=True)
class Seed:
    """A good input: files by name, the first of which is given to the code, and the mutators of each."""

    files: dict[str, bytes]
    mutators: dict[str, tuple[Mutator, ...]]


@dataclass
class Mutation:
    """An input: files by name, what is neither file nor folder, and the names of the steps that made it."""

    files: dict[str, bytes]
    steps: list[str]
    links: dict[str, str] = field(default_factory=dict)
    pipes: list[str] = field(default_factory=list)
    given: str = ""  # the file or folder that is given to the code; the first file by default

    def write(self, room: Path) -> Path:
        """Put it on disk; a name that the disk refuses, or that another has taken, is left out."""
        for name, data in self.files.items():
            _place(room / name.lstrip("/"), lambda path, data=data: path.write_bytes(data))
        for name, target in self.links.items():
            _place(room / name, lambda path, target=target: path.symlink_to(target))
        for name in self.pipes:
            _place(room / name, os.mkfifo)
        return room / (self.given or next(iter(self.files)))


def _place(path: Path, make: Callable[[Path], object]) -> None:
    with contextlib.suppress(OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)


@dataclass(frozen=True)
class Answer:
    """What the code said to an accepted input; time and memory of a process that it asked, if any."""

    text: str
    seconds: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True)
class Target:
    """A kind of input.

    seeds : () -> good inputs, made on the spot
    attempt : path of the written input -> an answer; raises one of `errors`, or what is a failure
    draw : (seeds, rng) -> a mutation of them
    commands : (path, output folder) -> arguments of `bytecap`, of which one is run on some of the mutations
    seconds, peak_bytes : limits of one mutation
    command_every : mutations between two that a command is run on, too
    mutations : how many a long run tries
    short : how many a test tries
    """

    name: str
    seeds: Callable[[], Sequence[Seed]]
    attempt: Callable[[Path], Answer]
    draw: Callable[[Sequence[Seed], random.Random], Mutation]
    commands: Callable[[Path, Path], Sequence[Sequence[object]]] | None = None
    errors: tuple[type[BytecapError], ...] = (BytecapError,)
    seconds: float = SECONDS
    peak_bytes: int = PEAK_BYTES
    command_every: int = 64
    mutations: int = 20_000
    short: int = 60


@dataclass
class Counts:
    """What a run saw of one target."""

    tried: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by the rule or the class and the beginning of the message
    commands: Counter[str] = field(default_factory=Counter)  # by name and exit code
    slowest_seconds: float = 0.0
    slowest: int = -1  # number of the mutation
    peak_bytes: int = 0
    largest: int = -1
    failures: Counter[str] = field(default_factory=Counter)  # by kind

    def add(self, other: Counts) -> None:
        """Add what another part of the run saw."""
        self.tried, self.accepted = self.tried + other.tried, self.accepted + other.accepted
        for name in ("refused", "commands", "failures"):
            getattr(self, name).update(getattr(other, name))
        self.saw_time(other.slowest_seconds, other.slowest)
        self.saw_memory(other.peak_bytes, other.largest)

    def saw_time(self, seconds: float, number: int) -> None:
        if seconds > self.slowest_seconds:
            self.slowest_seconds, self.slowest = seconds, number

    def saw_memory(self, peak_bytes: int, number: int) -> None:
        if peak_bytes > self.peak_bytes:
            self.peak_bytes, self.largest = peak_bytes, number

    @property
    def errors(self) -> Counter[str]:
        """The refusals by class or rule alone."""
        found: Counter[str] = Counter()
        for reason, count in self.refused.items():
            found[reason.split(":")[0]] += count
        return found

    def document(self) -> dict[str, object]:
        """For JSON."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}


class Bench:
    """A target made ready in a folder of its own: `room` for its inputs, `output` for what commands write.

    The current folder is that folder, so code of a hostile input that makes a file by a bare name makes it there.
    """

    def __init__(self, target: Target, folder: Path, seed: int) -> None:
        self.target, self.folder, self.seed = target, folder, seed
        self.room, self.output = folder / ROOM, folder / OUTPUT
        self.room.mkdir()
        self.output.mkdir()
        self.inputs = target.seeds()
        self.good: list[bool] = []  # whether each input was accepted, before it was mutated
        self._warm_up()

    def _warm_up(self) -> None:
        """What is imported, compiled and cached at the first call is no mutation's time or memory."""
        for seed in self.inputs:
            with self._written(Mutation(seed.files, [])) as path:
                self.good.append(self._measured(path).text.startswith(ACCEPTED))
        gc.collect()

    def mutation(self, number: int) -> Mutation:
        """Mutation `number`, always the same for a seed."""
        rng = random.Random(f"{self.target.name}/{self.seed}/{number}")
        return self.target.draw(self.inputs, rng)

    def try_number(self, number: int, counts: Counts) -> Mutation:
        """Try one mutation into `counts`; Broken, its kind counted, when it breaks an invariant."""
        mutation = self.mutation(number)
        counts.tried += 1
        try:
            with hang_guard(), self._written(mutation) as path:
                refusal = self._attempt(path, number, counts)
        except Broken as broken:
            counts.failures[broken.kind] += 1
            raise
        if refusal is None:
            counts.accepted += 1
        else:
            counts.refused[refusal] += 1
        return mutation

    def _attempt(self, path: Path, number: int, counts: Counts) -> str | None:
        before = seen(self.folder)
        first = self._measured(path)
        slow = first.seconds > self.target.seconds or first.peak_bytes > self.target.peak_bytes
        if slow or number % REPEATED_EVERY == 0:  # what is slow is tried again, since a machine has its moments
            second = self._measured(path)
            if first.text != second.text:
                raise Broken(f"two answers: {first.text[:300]} | {second.text[:300]}", "two answers")
            first = Answer(first.text, min(first.seconds, second.seconds), min(first.peak_bytes, second.peak_bytes))
        counts.saw_time(first.seconds, number)
        counts.saw_memory(first.peak_bytes, number)
        if seen(self.folder) != before:
            raise Broken(f"something appeared, changed or went away: {told_difference(before, seen(self.folder))}")
        if first.seconds > self.target.seconds or first.peak_bytes > self.target.peak_bytes:
            raise Broken(f"took {first.seconds:.1f} s and {first.peak_bytes >> 20} MiB: {first.text[:200]}")
        if self.target.commands is not None and number % self.target.command_every == 0:
            self._command(path, number, counts)
            self._clear(self.output)
            if seen(self.folder) != before:
                raise Broken(f"a command changed: {told_difference(before, seen(self.folder))}")
        return None if first.text.startswith(ACCEPTED) else first.text[:120]

    def _measured(self, path: Path) -> Answer:
        """One attempt: what was answered or refused, the time of the processor and the peak of memory above before."""
        resident = reset_peak()
        start = time.process_time()
        try:
            answer = self.target.attempt(path)
            text, answered = ACCEPTED + answer.text, answer
        except Broken:
            raise
        except self.target.errors as error:
            text, answered = refusal_of(error), Answer("")
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of a library in Rust is no Exception
            raise stray_error(error) from error
        seconds = time.process_time() - start
        return Answer(text, seconds + answered.seconds, max(0, peak() - resident) + answered.peak_bytes)

    def _command(self, path: Path, number: int, counts: Counts) -> None:
        assert self.target.commands is not None
        commands = self.target.commands(path, self.output)
        arguments = commands[number // self.target.command_every % len(commands)]
        counts.commands[f"{arguments[0]} {run_command(arguments)}"] += 1

    @contextlib.contextmanager
    def _written(self, mutation: Mutation) -> Iterator[Path]:
        try:
            yield mutation.write(self.room)
        finally:
            self._clear(self.room)

    @staticmethod
    def _clear(folder: Path) -> None:
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                Bench._clear(Path(entry.path))
                os.rmdir(entry.path)
            else:
                os.unlink(entry.path)
