"""Independent jobs on whatever joblib runs on (`backends.py`), or the backend a caller has set.

Strategy: results are taken as they are finished, so that each can be kept at once. A job holds its
process to one thread for BLAS and torch for good: several jobs of one process would otherwise restore
each other's settings in the middle of a sum.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from joblib import Parallel, delayed

from ...runtime.library_threads import limit_library_threads

Job = TypeVar("Job")
Result = TypeVar("Result")
# What joblib says of the jobs that an interrupt ends, and of those whose results it leaves untaken.
CANCELLED = r"\d+ tasks (which were still being processed|have been successfully executed)"


def iterate_unordered(function: Callable[[Job], Result], jobs: Sequence[Job], *, threads: int) -> Iterator[Result]:
    """`function(job)` of every job in the order in which they are finished, on the backend of the
    surrounding `backends.running_on`.

    An interrupt or an error in a job ends the others.
    """
    warnings.filterwarnings("ignore", CANCELLED, UserWarning)  # an interrupt is said once, by the command
    run = Parallel(n_jobs=threads, return_as="generator_unordered", batch_size=1, max_nbytes=None)
    yield from run(delayed(_alone)(function, job) for job in jobs)


def _alone(function: Callable[[Job], Result], job: Job) -> Result:
    torch.set_num_threads(1)
    limit_library_threads(1)
    return function(job)
