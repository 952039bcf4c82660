"""Running independent jobs on several threads without letting the thread count change a bit.

Strategy: parallelism is across jobs (batches, tensors), never inside one: BLAS and torch are held to one thread a job,
so every sum is taken in one order, and results come back in the order of the jobs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

Job = TypeVar("Job")
Result = TypeVar("Result")


def available_threads() -> int:
    """CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_thread_each() -> Iterator[None]:
    """BLAS and torch on one thread for the duration; restored afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Iterable[Job],
    threads: int,
    finished: Callable[[int], None] | None = None,
) -> list[Result]:
    """`[function(job) for job in jobs]` on `threads` threads; `finished(count)` is called as results arrive.

    An interrupt or an error in a job cancels the jobs that have not started.
    """
    jobs = list(jobs)
    with one_thread_each(), ThreadPoolExecutor(max(1, threads)) as pool:
        futures = [pool.submit(function, job) for job in jobs]
        results = []
        try:
            for future in futures:
                results.append(future.result())
                if finished is not None:
                    finished(len(results))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return results
