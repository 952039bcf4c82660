"""All threads of a process take memory from one heap.

Strategy: glibc gives threads heaps of their own, up to eight for each core, and what one thread frees is of no use to
another. It asks for the bound on their number once, when a second thread first takes memory, and later threads are
dealt to all heaps that there are: so a command sets it before its first thread starts. Another C library is left as it
is.
"""

from __future__ import annotations

import ctypes
import platform

HEAPS = -8  # of mallopt(3)


def share_one_heap() -> None:
    """For the rest of the process; threads that have a heap of their own keep it."""
    library = glibc()
    if library is not None:
        library.mallopt(HEAPS, 1)


def glibc() -> ctypes.CDLL | None:
    """The process's C library, where it is glibc."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
