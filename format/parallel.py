"""Work on several streams at once, with results and errors in their order.

Strategy: streams share nothing and their loops release the GIL, so threads are enough; little work is done without
any. The results, and which error is raised, do not depend on how many threads there are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

LEAST_WORK = 1 << 20  # integers; below that threads cost more than they save

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(function: Callable[[Item], Result], items: Sequence[Item], work: int) -> Iterator[Result]:
    """function(item) of every item, in order; `work` is how many integers they stand for together."""
    threads = min(usable_cores(), len(items)) if work >= LEAST_WORK else 1
    if threads <= 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="streams") as pool:
        yield from pool.map(function, items)
