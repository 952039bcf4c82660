"""Scoring on a Dask cluster: the windows of a run shared among its workers, one machine's sum. Needs no torch.

Strategy: the losses of a window depend on nothing but the model and the window, and are added in the order of the
windows (runtime/window_runs.py), so it does not matter who computes them, nor when. The model travels as a task of its
own: each worker fetches it once, from the scheduler or from another worker, decodes it once and keeps it for the run;
Dask makes it again where a worker is lost, and gives that worker's windows to another. A part is a few seconds of
work, and only some parts for each thread are under way, so an interrupt ends soon.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from llvmlite.binding import get_host_cpu_name

from ...errors import BytecapError, CompileError
from ...format.artifact import decode_tensors, read_artifact
from ...format.program.program import Program
from ...runtime.interpreter import Interpreter
from ...runtime.library_threads import found_libraries, limit_library_threads
from ...runtime.scoring_budget import CoreClock, ScoringBudget, scoring_work
from ...runtime.window_runs import LanguageModel, Losses, batch_losses, batches
from ...runtime.windows import Window
from ...version import VERSION

if TYPE_CHECKING:
    from distributed import Client, Future

Payload = bytes | tuple[Program, Sequence[np.ndarray]]  # an artifact, or a checkpoint's program and float32 tensors

WORK_OF_A_PART = 1 << 36  # multiply-adds: two to five seconds of a core
PARTS_PER_THREAD = 4  # under way at the same time
LEAST_UNDER_WAY = 32  # where few threads are there at the beginning, more may come
WORKERS_SECONDS = 60
KEPT_MODELS = 2  # by a worker


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for all parts of a run.

    key : str                  of the run
    version : str              of bytecap, which workers must have, too
    sequence_length : int      of the longest window
    budget : ScoringBudget     its memory is that of each worker
    """

    key: str
    version: str
    sequence_length: int
    budget: ScoringBudget


@dataclass(frozen=True, slots=True)
class Scored:
    """What a worker answers: nats of windows, float64 [windows], the seconds of a core, and who it is."""

    nats: np.ndarray
    seconds: float
    worker: str
    processor: str


@dataclass(frozen=True, slots=True)
class HeldModel:
    """A decoded model on a worker, and how many of its sequences may run at once."""

    model: Interpreter
    room: threading.Semaphore


_held: OrderedDict[str, HeldModel] = OrderedDict()
_holding = threading.Lock()


class OnCluster:
    """A `WindowRunner` on the workers of a client's cluster.

    payload : the model, as it travels; budget : memory of each worker, seconds of all cores together
    workers, processors : the workers that answered so far, and what they are

    Raises CompileError for a cluster without workers, of another version of bytecap, or that is lost; BudgetError for a
    model beyond a worker's memory or a run beyond its seconds.
    """

    def __init__(self, client: Client, payload: Payload, budget: ScoringBudget) -> None:
        self._client, self._payload, self._budget = client, payload, budget
        self.workers: set[str] = set()
        self.processors: set[str] = set()

    def __call__(
        self, model: LanguageModel, ids: np.ndarray, plan: Sequence[Window], numbers: Sequence[int]
    ) -> Generator[Losses, None, None]:
        """See `WindowRunner`; `model` is the one of the payload."""
        if not len(numbers):
            return
        if not isinstance(model, Interpreter):
            raise TypeError(f"a cluster scores an Interpreter, not a {type(model).__name__}")
        length = max(plan[number].stop - plan[number].start for number in numbers)
        terms = Terms(uuid4().hex, VERSION, length, self._budget)
        parts = batches(plan, numbers, _windows_of_a_part(model, length))
        spent, done, clock = 0.0, 0, None
        if self._budget.seconds is not None:
            clock = CoreClock(self._budget.seconds, lambda: spent)
        for part, scored in self._answers(parts, ids, plan, terms):
            self.workers.add(scored.worker)
            self.processors.add(scored.processor)
            spent, done = spent + scored.seconds, done + len(part)
            yield part, scored.nats
            if clock is not None:
                clock.check()
                clock.check_forecast(done, len(numbers))

    def _answers(
        self, parts: Iterator[Sequence[int]], ids: np.ndarray, plan: Sequence[Window], terms: Terms
    ) -> Iterator[tuple[Sequence[int], Scored]]:
        """Every part with what a worker answered, in the order in which they are done."""
        from distributed import as_completed

        under_way: dict[Future, Sequence[int]] = {}
        try:
            self._client.wait_for_workers(1, timeout=WORKERS_SECONDS)
            served = self._serve(terms)
            threads = sum(self._client.nthreads().values())
            for part in islice(parts, max(LEAST_UNDER_WAY, PARTS_PER_THREAD * threads)):
                under_way[self._submit(served, terms, ids, plan, part)] = part
            finished = as_completed(under_way, loop=self._client.loop)
            for future in finished:
                part = under_way.pop(future)
                answer = future.result()
                for another in islice(parts, 1):
                    begun = self._submit(served, terms, ids, plan, another)
                    under_way[begun] = another
                    finished.add(begun)
                yield part, answer
        except (Exception, CancelledError) as error:
            raise self._explained(error) from error
        finally:
            self._end(list(under_way), terms)

    def _serve(self, terms: Terms) -> Future:
        """The model as a task: where it is lost, Dask makes it again."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            return self._client.submit(_given, self._payload, key=f"bytecap-model-{terms.key}", pure=False)

    def _submit(
        self, served: Future, terms: Terms, ids: np.ndarray, plan: Sequence[Window], part: Sequence[int]
    ) -> Future:
        first = min(plan[number].start for number in part)
        last = max(plan[number].stop for number in part)
        windows = [Window(w.start - first, w.stop - first, w.skip) for w in (plan[number] for number in part)]
        return self._client.submit(score_on_worker, served, terms, ids[first : last + 1], windows, pure=False)

    def _end(self, under_way: list[Future], terms: Terms) -> None:
        """Let the cluster forget the run, as far as it can still be told."""
        try:
            if under_way:
                self._client.cancel(under_way, force=True)
            self._client.run(forget_model, terms.key, on_error="ignore")
        except (Exception, CancelledError):  # whatever is wrong with the cluster was said already
            return

    def _explained(self, error: BaseException) -> BaseException:
        """What a failure of the cluster is to the caller: what a worker refused, or that the cluster is at fault."""
        from distributed import KilledWorker

        if isinstance(error, BytecapError):
            return error
        scheduler = self._client.scheduler.address if self._client.scheduler else "?"
        if isinstance(error, KilledWorker):
            reason = "several workers died on the same windows, probably for lack of memory; allow fewer threads each"
        elif isinstance(error, TimeoutError) and not self.workers:
            reason = f"it has no workers after {WORKERS_SECONDS} seconds; start some with `dask worker {scheduler}`"
        elif isinstance(error, CancelledError | OSError | TimeoutError):
            reason = "it is gone, or has lost the run; what was scored is kept where `resume` names a folder"
        else:
            reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            reason += f"; the scheduler and its workers need bytecap {VERSION}, as this machine has"
        return CompileError(f"the Dask cluster {scheduler} cannot score: {reason}")


def processor_name() -> str:
    """What the last digits of a loss depend on: the processor, and the kernels that BLAS chose for it."""
    kinds = {str(info["architecture"]) for info in found_libraries().info() if info.get("architecture")}
    return " ".join([get_host_cpu_name(), *sorted(kinds)])


def score_on_worker(payload: Payload, terms: Terms, ids: np.ndarray, windows: Sequence[Window]) -> Scored:
    """The losses of some windows over `ids`, by the model that this worker holds.

    Raises CompileError where the worker has another version of bytecap, BudgetError beyond its memory.
    """
    from distributed import get_worker

    worker = get_worker()
    if terms.version != VERSION:
        raise CompileError(
            f"worker {worker.address} has bytecap {VERSION}, and {terms.version} asks it; install the same version"
        )
    held = _hold(payload, terms, worker.state.nthreads)
    with held.room:
        began = time.thread_time()
        nats = [batch_losses(held.model, ids, [windows[i] for i in b]) for b in batches(windows, range(len(windows)))]
        seconds = time.thread_time() - began
    return Scored(np.concatenate(nats), seconds, worker.address, processor_name())


def forget_model(key: str) -> None:
    """Let go of a run's model."""
    with _holding:
        _held.pop(key, None)


def _hold(payload: Payload, terms: Terms, threads: int) -> HeldModel:
    """The model of a run on this worker, decoded by whoever asks first.

    BLAS is held to one thread for good: tasks that come and go would restore each other's settings in mid-sum.
    """
    with _holding:
        if terms.key not in _held:
            limit_library_threads(1, blas_only=True)
            program, tensors = _decoded(payload)
            model = Interpreter(program, tensors)
            work = scoring_work(model, 0, terms.sequence_length, threads, terms.budget)
            while len(_held) >= KEPT_MODELS:
                _held.popitem(last=False)
            _held[terms.key] = HeldModel(model, threading.Semaphore(work.threads))
        return _held[terms.key]


def _decoded(payload: Payload) -> tuple[Program, Sequence[np.ndarray]]:
    if isinstance(payload, tuple):
        program, tensors = payload
        return program, [np.ascontiguousarray(tensor) for tensor in tensors]
    artifact = read_artifact(payload)
    return artifact.program, decode_tensors(artifact)


def _given(payload: Any) -> Any:
    return payload


def _windows_of_a_part(model: Interpreter, length: int) -> int:
    each = scoring_work(model, length, length, 1, ScoringBudget()).multiply_adds
    return max(1, WORK_OF_A_PART // max(1, each))
