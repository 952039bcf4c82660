"""The libraries of linear algebra in this process, and how many threads they take.

Strategy: threadpoolctl finds them by asking every shared library of the process, 30 ms where torch is loaded, and a
small job asks dozens of times. A library comes with an import, so they are looked for again only when modules
have been imported since.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController

_found: tuple[int, ThreadpoolController] | None = None  # the modules that were imported by then, and the libraries


def found_libraries() -> ThreadpoolController:
    """The libraries; its `info()` says what each of them is, and has now."""
    global _found
    if _found is None or _found[0] != len(sys.modules):
        _found = len(sys.modules), ThreadpoolController()
    return _found[1]


def limit_library_threads(threads: int, *, blas_only: bool = False) -> AbstractContextManager[object]:
    """BLAS, and OpenMP unless `blas_only`, on so many threads from this call on; as before at the end of the context,
    where it is entered.
    """
    return found_libraries().limit(limits=threads, user_api="blas" if blas_only else None)
