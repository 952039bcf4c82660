"""Where independent jobs run: processes of this machine, threads, or a Dask cluster. Needs no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from joblib import parallel_config

from ...errors import CompileError
from ...processes import prepare_worker

BACKENDS = ("loky", "threading", "dask")
CONNECT_SECONDS = "10s"


@contextmanager
def running_on(backend: str | None, scheduler: str | None = None) -> Iterator[None]:
    """Jobs run on one of BACKENDS within, on what joblib is set to for None; scheduler : address of the Dask cluster.

    Raises CompileError when the cluster cannot be reached.
    """
    if backend is None:
        yield
        return
    with ExitStack() as stack:
        ours = {"initializer": prepare_worker, "initargs": (os.getpid(),)}
        options: dict[str, Any] = ours if backend == "loky" else {}
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
