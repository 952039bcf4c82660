"""Runs of many mutations: in worker processes that may die, with counts that are kept whatever happens.

Strategy: a worker takes every n-th number and says twice a second what it saw; before each mutation it writes the
number into memory that it shares. When it dies or hangs, that number is a failure, those since its last word are tried
again by a new worker, and the count stays true. Workers are forked before anything heavy is imported.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

TOLD_EVERY = 0.5  # seconds between two words of a worker
SILENT_SECONDS = 600.0  # with one mutation; the guard inside of the worker is earlier where Python still runs
MOST_MEMORY = 6 << 30  # of addresses of a worker, above what it begins with
INPUTS_A_KIND = 3  # saved of failures of one kind
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass
class Failure:
    """An invariant that did not hold: number of the mutation, kind, what was seen, steps; where its input is kept."""

    number: int
    kind: str
    what: str
    steps: list[str]
    kept: str = ""


@dataclass
class Run:
    """Which mutations of a target are tried: `count` from `first` on, for at most `seconds`."""

    target: str
    seed: int
    first: int
    count: int
    seconds: float | None = None
    processes: int = 1
    inputs: Path | None = None  # where inputs of failures are kept
    failures: list[Failure] = field(default_factory=list)
    saved: dict[str, int] = field(default_factory=dict)  # inputs of failures by kind

    def command(self, number: int) -> str:
        """What tries one mutation again."""
        return f"python -m tests.fuzz --target {self.target} --seed {self.seed} --first {number} --mutations 1"


@contextlib.contextmanager
def bench(name: str, seed: int) -> Iterator[Any]:
    """A target made ready in a folder of memory, which is the current folder meanwhile."""
    from fuzz_frame import Bench
    from fuzz_targets import target_named

    where = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="bytecap-fuzz-", dir=where) as folder, contextlib.chdir(folder):
        yield Bench(target_named(name), Path(folder), seed)


def _try(made: Any, number: int, counts: Any, run: Run) -> Failure | None:
    from fuzz_invariants import Broken

    try:
        made.try_number(number, counts)
    except Broken as broken:
        mutation = made.mutation(number)
        kept = ""
        if run.inputs is not None and run.saved.setdefault(broken.kind, 0) < INPUTS_A_KIND:
            run.saved[broken.kind] += 1
            folder = run.inputs / f"{run.target}-{run.seed}-{number}"
            mutation.write(folder)
            kept = str(folder)
        return Failure(number, broken.kind, str(broken), mutation.steps, kept)
    return None


# ---- workers -------------------------------------------------------------------------------------


def _work(run: Run, numbers: range, skipped: frozenset[int], current: Any, pipe: Connection) -> None:
    """In a worker: try numbers, and send (next number, counts, failures) now and then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end, and asks with SIGTERM
    stopping: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    from fuzz_frame import Counts

    with bench(run.target, run.seed) as made:
        _limit_memory()
        counts, failures, told = Counts(), [], time.monotonic()
        begun = told
        pipe.send((numbers.start, counts, failures))
        for number in numbers:
            if stopping or (run.seconds is not None and time.monotonic() - begun > run.seconds):
                break
            if number not in skipped:
                current.value = number
                failure = _try(made, number, counts, run)
                failures += [] if failure is None else [failure]
            if time.monotonic() - told > TOLD_EVERY:
                pipe.send((number + numbers.step, counts, failures))
                counts, failures, told = Counts(), [], time.monotonic()
        pipe.send((None, counts, failures))


def _limit_memory() -> None:
    """So that a hostile input ends a worker's allocation, not the machine."""
    with contextlib.suppress(OSError, ValueError), open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MOST_MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@dataclass
class _Worker:
    """A process, its end of the pipe, the number that it tries and those that it is to try."""

    process: Any
    pipe: Connection
    current: Any
    numbers: range
    skipped: frozenset[int]
    heard: float = field(default_factory=time.monotonic)
    ready: bool = False


def run_in_workers(run: Run, told: Callable[[Any, bool], None]) -> Any:
    """The counts of a run in forked processes; KeyboardInterrupt ends it early, and what was seen is kept.

    told : called with the counts now and then, with True at the end
    """
    from fuzz_frame import Counts

    os.environ |= THREADS
    counts = Counts()
    ends = run.first + run.count
    workers = [
        _start(run, range(run.first + place, ends, run.processes), frozenset())
        for place in range(min(run.processes, run.count))
    ]
    while workers:
        try:
            _listen(workers, run, counts)
            told(counts, False)
        except KeyboardInterrupt:
            _stop(workers, run, counts)
            told(counts, True)
            raise
    told(counts, True)
    return counts


def _start(run: Run, numbers: range, skipped: frozenset[int]) -> _Worker:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    current = context.Value("q", -1, lock=False)
    process = context.Process(target=_work, args=(run, numbers, skipped, current, there), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here, current, numbers, skipped)


def _listen(workers: list[_Worker], run: Run, counts: Any) -> None:
    """Hear what the workers say; replace those that died, and end those that say nothing."""
    wait([worker.pipe for worker in workers], timeout=1.0)
    for worker in list(workers):
        try:
            while worker in workers and worker.pipe.poll():
                _hear(worker, workers, run, counts)
        except EOFError:
            _bury(worker, workers, run, counts, "died")
        if worker in workers and time.monotonic() - worker.heard > SILENT_SECONDS:
            worker.process.kill()
            _bury(worker, workers, run, counts, f"said nothing for {SILENT_SECONDS:.0f} s")


def _hear(worker: _Worker, workers: list[_Worker], run: Run, counts: Any) -> None:
    following, seen, failures = worker.pipe.recv()
    worker.heard, worker.ready = time.monotonic(), True
    counts.add(seen)
    run.failures += failures
    if following is None:
        worker.process.join()
        workers.remove(worker)
    else:
        worker.numbers = range(following, worker.numbers.stop, worker.numbers.step)


def _bury(worker: _Worker, workers: list[_Worker], run: Run, counts: Any, how: str) -> None:
    """A failure of the number that a worker was with, and a new worker for what it has not told of."""
    worker.process.join()
    workers.remove(worker)
    number = worker.current.value if worker.ready else run.first
    kind = f"the process {how} ({worker.process.exitcode})"
    if not worker.ready:
        kind = f"the seeds were not made: {kind}"
    counts.failures[kind] += 1
    run.failures.append(Failure(number, kind, kind, []))
    if not worker.ready:
        return  # a new one would fare no better
    counts.tried += 1
    workers.append(_start(run, worker.numbers, worker.skipped | {number}))


def _stop(workers: list[_Worker], run: Run, counts: Any) -> None:
    for worker in workers:
        worker.process.terminate()
    deadline = time.monotonic() + 20
    while workers and time.monotonic() < deadline:
        for worker in list(workers):
            try:
                while worker in workers and worker.pipe.poll(0.2):
                    _hear(worker, workers, run, counts)
            except EOFError:
                workers.remove(worker)
    for worker in workers:
        worker.process.kill()


def write_counts(path: Path, document: dict[str, object]) -> None:
    """Whole or not at all, so that a run that is killed leaves the last counts."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(document, indent=1), encoding="utf-8")
    partial.replace(path)


def print_progress(text: str) -> None:
    """A line that is written over, on a terminal alone."""
    if sys.stderr.isatty():
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)
