"""What the process frees it keeps for the time of a stage: pages that are given back and taken again cost time.

Strategy: glibc gives memory back as soon as some of it is free at the end of a heap, and a pass over a batch frees and
takes the same again and again. Its bounds are raised for the time of a stage, and all that is free is given back behind
it. All threads take memory from one heap (one_heap.py): what lay free in those of others came to twice as much as was
in use. Another C library is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..one_heap import glibc, share_one_heap

MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD = -3, -1, -2  # names of mallopt(3)
DEFAULT = 128 << 10  # of the trim threshold and the padding
KEPT = ((MMAP_THRESHOLD, 32 << 20), (TRIM_THRESHOLD, 256 << 20), (TOP_PAD, 64 << 20))  # the first grows to this anyway
USUAL = ((TRIM_THRESHOLD, DEFAULT), (TOP_PAD, DEFAULT))


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """For the duration; what is free behind it is given back."""
    library = glibc()
    share_one_heap()  # where no command has done so
    for option in KEPT if library else ():
        library.mallopt(*option)
    try:
        yield
    finally:
        for option in USUAL if library else ():
            library.mallopt(*option)
        give_freed_memory_back()


def give_freed_memory_back() -> None:
    """All pages that nothing stands in."""
    library = glibc()
    if library is not None:
        library.malloc_trim(0)


@contextmanager
def freed_memory_given_back() -> Iterator[None]:
    """Before and behind what takes blocks of other sizes than what ran before it: such blocks find little room between
    those that are left, so that the heap would hold the most of both.
    """
    give_freed_memory_back()
    try:
        yield
    finally:
        give_freed_memory_back()
