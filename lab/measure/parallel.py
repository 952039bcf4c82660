"""Independent jobs on whatever joblib runs on: processes of this machine, threads, a Dask cluster, or
the backend a caller has set.

Strategy: results are taken as they are finished, so that each can be kept at once. A job holds its
process to one thread for BLAS and torch for good: several jobs of one process would otherwise restore
each other's settings in the middle of a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import torch
from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits

from ...errors import CompileError
from ...processes import prepare_worker

BACKENDS = ("loky", "threading", "dask")
CONNECT_SECONDS = "10s"
Job = TypeVar("Job")
Result = TypeVar("Result")


def iterate_unordered(function: Callable[[Job], Result], jobs: Sequence[Job], *, threads: int) -> Iterator[Result]:
    """`function(job)` of every job in the order in which they are finished, on the backend of the
    surrounding `running_on`.

    An interrupt or an error in a job ends the others.
    """
    run = Parallel(n_jobs=threads, return_as="generator_unordered", batch_size=1, max_nbytes=None)
    yield from run(delayed(_alone)(function, job) for job in jobs)


def _alone(function: Callable[[Job], Result], job: Job) -> Result:
    torch.set_num_threads(1)
    threadpool_limits(1)
    return function(job)


@contextmanager
def running_on(backend: str | None, scheduler: str | None = None) -> Iterator[None]:
    """Jobs run on one of BACKENDS within, on what joblib is set to for None; scheduler : address of the Dask cluster.

    Raises CompileError when the cluster cannot be reached.
    """
    if backend is None:
        yield
        return
    with ExitStack() as stack:
        options = {"initializer": prepare_worker} if backend == "loky" else {}
        if backend == "dask":
            options["client"] = stack.enter_context(_dask_client(scheduler))
        stack.enter_context(parallel_config(backend=backend, **options))
        yield


def _dask_client(scheduler: str | None):
    from distributed import Client

    if scheduler is None:
        raise CompileError("backend dask needs the address of a scheduler; name it as `scheduler`")
    try:
        return Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise CompileError(f"cannot reach the Dask scheduler {scheduler}: {str(error).splitlines()[0]}") from error
