"""Losses of windows: what a batch of them costs a model, and running many batches on the threads of this process.

Strategy: a window's loss is the exact float64 sum over its scored targets, and a model's losses never depend on what
else is in a batch. So windows may be run anywhere, in any order and in any company (on threads, or by a `WindowRunner`
that somebody else brings), and no digit changes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from inspect import signature
from itertools import islice
from typing import Protocol

import numpy as np

from .library_threads import limit_library_threads
from .windows import Window

TOKENS_PER_BATCH = 1024  # enough to make a call worth its overhead, few enough to stop soon after an interrupt


class LanguageModel(Protocol):
    """What can be scored: `Interpreter`, or anything else with this method."""

    def token_losses(self, tokens: np.ndarray) -> np.ndarray:
        """Loss of each next token: int [batch, length + 1] -> nats [batch, length].

        Entry i of a row is -log of the probability of tokens[i + 1] given tokens[: i + 1]. The
        probability must be a softmax over the whole vocabulary. Called from several threads at
        once. A model that also takes `needed_from` as a keyword is told from which position on its
        losses are needed; what it returns before them is not looked at.
        """


Losses = tuple[Sequence[int], np.ndarray]


class WindowRunner(Protocol):
    """Runs windows somewhere."""

    def __call__(
        self, model: LanguageModel, ids: np.ndarray, plan: Sequence[Window], numbers: Sequence[int]
    ) -> Generator[Losses, None, None]:
        """Of the windows `plan[i]` with i in `numbers`, some at a time as they are done: their numbers, and the nats of
        their scored targets, float64. ids : int [tokens] that the windows are cut from
        """


@dataclass(frozen=True, slots=True)
class OnThreads:
    """Batches of so many windows on threads of this process; a batch by its tokens where that is None."""

    threads: int
    batch_windows: int | None = None

    def __call__(
        self, model: LanguageModel, ids: np.ndarray, plan: Sequence[Window], numbers: Sequence[int]
    ) -> Generator[Losses, None, None]:
        """See `WindowRunner`; BLAS is held to one thread meanwhile."""

        def run(batch: Sequence[int]) -> Losses:
            return batch, batch_losses(model, ids, [plan[number] for number in batch])

        with limit_library_threads(1, blas_only=True):
            yield from _completed(run, batches(plan, numbers, self.batch_windows), self.threads)


def batch_losses(model: LanguageModel, ids: np.ndarray, windows: Sequence[Window]) -> np.ndarray:
    """float64 [windows]: nats of the scored targets of windows of one length that skip equally many."""
    inputs = np.stack([ids[window.start : window.stop + 1] for window in windows]).astype(np.int64)
    skips = "needed_from" in signature(model.token_losses).parameters
    needed = {"needed_from": windows[0].skip} if skips else {}
    with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is found in the sums
        nats = np.asarray(model.token_losses(inputs, **needed), dtype=np.float64)
    return np.array([row[window.skip :].sum() for window, row in zip(windows, nats, strict=True)])


def batches(plan: Sequence[Window], numbers: Sequence[int], size: int | None = None) -> Iterator[Sequence[int]]:
    """Window numbers in runs of windows of one length that skip equally many, so that what is computed of a window does
    not depend on its company: at most `size` of them, by default TOKENS_PER_BATCH tokens.
    """
    first = 0
    for place in range(1, len(numbers) + 1):
        length, skip = _length_and_skip(plan[numbers[first]])
        most = size or max(1, TOKENS_PER_BATCH // length)
        if place == len(numbers) or place - first == most or _length_and_skip(plan[numbers[place]]) != (length, skip):
            yield numbers[first:place]
            first = place


def _length_and_skip(window: Window) -> tuple[int, int]:
    return window.stop - window.start, window.skip


def _completed(
    run: Callable[[Sequence[int]], Losses], pending_batches: Iterator[Sequence[int]], threads: int
) -> Iterator[Losses]:
    """Results of `run` on each batch as they come; only a few batches are under way, so an interrupt ends it soon."""
    with ThreadPoolExecutor(threads, thread_name_prefix="score") as pool:
        pending: set[Future[Losses]] = {pool.submit(run, batch) for batch in islice(pending_batches, 2 * threads)}
        try:
            while pending:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                pending |= {pool.submit(run, batch) for batch in islice(pending_batches, len(finished))}
                for future in finished:
                    yield future.result()
        finally:
            for future in pending:
                future.cancel()
