"""Running independent jobs on several threads without letting the thread count change a bit.

Strategy: parallelism is across jobs (batches, tensors), never inside one: BLAS and torch are held to one thread a job,
so every sum is taken in one order, and results come back in the order of the jobs.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from ..errors import CompileError
from ..runtime.library_threads import limit_library_threads

try:
    import resource
except ImportError:  # not POSIX
    resource = None  # type: ignore[assignment]

_limited = threading.local()  # `here`: this thread is inside one_thread_each
AHEAD = 3  # jobs for each thread that may be begun, or finished and not taken

Job = TypeVar("Job")
Result = TypeVar("Result")


def peak_bytes() -> int | None:
    """Most memory that this process has held so far; None where the system does not say.

    On Linux the process's own figure: what getrusage says a child begins with is the memory of its parent.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def check_device(device: str) -> None:
    """CompileError for a device that torch does not know or does not see."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise CompileError(f"device {device!r} cannot be used ({reason}); use cpu") from None


def threads_for(device: str, threads: int) -> int:
    """Threads for jobs that compute on a device: all on the processor, one on any other.

    Another device takes the operations of all threads into one queue, so more gain nothing; and autograd calls what
    listens to gradients in one thread a device, where a batch would wait for ever for one that is queued behind it.
    """
    return threads if torch.device(device).type == "cpu" else 1


@contextmanager
def meanwhile(function: Callable[[], object]) -> Iterator[None]:
    """`function()` in another thread, done at the end; where the body fails or is interrupted nobody waits for it."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    yield
    thread.join()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """BLAS and torch on one thread for the duration; restored afterwards.

    Finding the libraries takes milliseconds, so one inside another of the same thread does nothing.
    """
    if getattr(_limited, "here", False):
        yield
        return
    before, _limited.here = torch.get_num_threads(), True
    torch.set_num_threads(1)
    try:
        with limit_library_threads(1):
            yield
    finally:
        _limited.here = False
        torch.set_num_threads(before)


def job_pool(threads: int) -> ThreadPoolExecutor:
    """A pool whose threads run torch operations on one core each (torch keeps that setting by thread)."""
    return ThreadPoolExecutor(max(1, threads), initializer=torch.set_num_threads, initargs=(1,))


def iterate_jobs(
    function: Callable[[Job], Result], jobs: Iterable[Job], threads: int, most: int = 0
) -> Iterator[Result]:
    """`function(job)` for each job on `threads` threads, in the order of the jobs; a result is let go
    once it was taken.

    No more than `most` are begun or finished and not taken, AHEAD times as many as threads where none is given, so that
    results which nobody has time for do not fill the memory. An interrupt or an error in a job cancels the jobs that
    have not started.
    """
    return _iterate(function, jobs, threads, most or AHEAD * max(1, threads))


def run_jobs(function: Callable[[Job], Result], jobs: Iterable[Job], threads: int) -> list[Result]:
    """`[function(job) for job in jobs]` on `threads` threads."""
    return list(_iterate(function, jobs, threads, sys.maxsize))


def _iterate(function: Callable[[Job], Result], jobs: Iterable[Job], threads: int, most: int) -> Iterator[Result]:
    """`iterate_jobs` with at most so many jobs begun or finished and not taken."""
    with one_thread_each(), job_pool(threads) as pool:
        futures: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                if len(futures) == most:
                    yield futures.popleft().result()
                futures.append(pool.submit(function, job))
            while futures:
                yield futures.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
