"""How fast this machine is at what a compile mostly does, timed for some milliseconds.

Strategy: the best of several passes, since the first ones are slow and other work disturbs some. A pass is small
enough that all of them together are no wait, and large enough that what a call costs does not count. In a new
installation the first search of a trellis waits for numba, and tells how long the kernels will take that come later.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from ..format.codecs.trellis import TRELLISES
from .quantize.coupled_search import search_coupled_path
from .quantize.trellis_search import bit_costs, trellis_sources
from .workers import one_thread_each

PRODUCT, PRODUCTS = 384, 40  # size of the products that are timed, and how many are
ROWS, SEARCHES = 256, 20  # of the column that is searched, and how often it is
BITS, SPREAD, COUPLING, RATE_WEIGHT = 2.0, 0.5, 0.5, 0.1  # of its rows: fine steps in a deviation, and their octaves
LATER_KERNELS = 2.5  # times what numba takes for the search: for all kernels of a compile that come after it


def least_seconds(work: Callable[[], object], passes: int) -> float:
    """Of so many passes."""
    best = float("inf")
    for _ in range(passes):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


@one_thread_each()
def flops_of_core() -> float:
    """Floating-point operations a second of one core in products of matrices."""
    left = torch.ones(PRODUCT, PRODUCT)
    return 2 * PRODUCT**3 / least_seconds(lambda: torch.mm(left, left), PRODUCTS)


def searched_weights(states: int) -> float:
    """Weights a second of one core in the search of a trellis of so many states down a column of coupled rows."""
    search = _search_of_a_column(states)
    return ROWS / least_seconds(search, SEARCHES)


def uncompiled_seconds(states: int) -> float:
    """Seconds that numba will take for the kernels of a compile that it has not kept yet, by how long it takes for the
    search of a trellis now; 0 where it has that one.
    """
    misses = search_coupled_path.stats.cache_misses.copy()
    seconds = least_seconds(_search_of_a_column(states), 1)
    return LATER_KERNELS * seconds if search_coupled_path.stats.cache_misses != misses else 0.0


def _search_of_a_column(states: int) -> Callable[[], object]:
    random = np.random.default_rng(0)
    targets, steps = random.standard_normal(ROWS), 2.0 ** (SPREAD * random.uniform(-1, 1, ROWS) - BITS)
    scales = np.rint(65536 * np.log2(0.8 / steps)).astype(np.int64)
    coupling = np.triu(random.standard_normal((ROWS, ROWS)), 1) * COUPLING / np.sqrt(ROWS)
    known = coupling, trellis_sources(TRELLISES[states]), RATE_WEIGHT, bit_costs(), np.empty(ROWS, np.int64)
    return lambda: search_coupled_path(targets, steps, scales, *known)
