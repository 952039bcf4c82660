"""Where independent jobs run: processes of this machine, threads, or a Dask cluster. Needs no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from joblib import parallel_config

from ...errors import CompileError
from ...processes import prepare_worker

if TYPE_CHECKING:
    from distributed import Client

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
            options["client"] = stack.enter_context(dask_client(scheduler))
        stack.enter_context(parallel_config(backend=backend, **options))
        yield


def dask_client(scheduler: str | None) -> Client:
    """A client of the cluster, to be closed (a context); CompileError when none can be had."""
    try:
        from distributed import Client
    except ImportError as error:
        raise CompileError(f"backend dask needs {error.name}; pip install 'bytecap[cluster]'") from error

    if scheduler is None:
        raise CompileError("backend dask needs the address of a scheduler; name it as `scheduler`")
    try:
        return Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise CompileError(f"cannot reach the Dask scheduler {scheduler}: {str(error).splitlines()[0]}") from error
