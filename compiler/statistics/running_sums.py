"""Sums over batches that several threads measure at once, added in the order of the batches.

Strategy: a sum takes the batches one after the other: whoever comes with a later one waits for its turn at that sum.
So the result does not depend on the threads, and no thread holds the measurements of a whole batch. With a scratch
file the sums are on disk. Second moments are kept as their lower halves in float32, all else is summed in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Condition

import numpy as np
import torch

from ..scratch_file import KeptArray, ScratchFile
from .symmetric_sums import pack_lower, unpack_lower

Name = tuple[str, int]
SECOND_MOMENTS = ("inputs", "moments", "excess", "output_fisher", "lookup_moments")  # kinds of sums


class RunningSums:
    """Sums by name: of a kind and a number."""

    def __init__(self, scratch: ScratchFile | None = None) -> None:
        self._scratch = scratch
        self._sums: dict[Name, np.ndarray | KeptArray] = {}
        self._condition = Condition()
        self._next: dict[Name, int] = {}  # the batch whose turn it is
        self._finished: set[int] = set()
        self._complete, self._failed = 0, False  # batches that are finished, up to the first that is not

    def __contains__(self, name: Name) -> bool:
        return name in self._sums

    def names(self, kind: str) -> list[int]:
        """The numbers of all sums of a kind, in the order in which they were first added to."""
        return [number for found, number in list(self._sums) if found == kind]

    def load(self, name: Name) -> torch.Tensor:
        """The sum so far, float64; not to be changed."""
        found = self._sums[name]
        values = found.load() if isinstance(found, KeptArray) else found
        return torch.from_numpy(unpack_lower(values) if name[0] in SECOND_MOMENTS else values)

    def state(self) -> dict[str, np.ndarray | KeptArray]:
        """Every sum, in the order in which they were first added to; between two batches only."""
        return {f"{kind} {number}": value for (kind, number), value in self._sums.items()}

    def restore(self, state: Mapping[str, np.ndarray], batches: int) -> None:
        """Take over the sums of so many batches."""
        for name, value in state.items():
            kind, number = name.rsplit(" ", 1)
            self._sums[kind, int(number)] = np.array(value) if self._scratch is None else self._scratch.keep(value)
        self._complete = batches

    def add(self, batch: int, name: Name, value: torch.Tensor) -> None:
        """Add what batch number `batch` (0, 1, ...) has measured, after all batches before it.

        value : of a second moment float32 [n, n], of which the lower half counts
        """
        with self._condition:
            self._condition.wait_for(lambda: self._failed or self._next.get(name, self._complete) >= batch)
            if self._failed:
                raise RuntimeError("an earlier batch failed")
        values = value.detach().cpu()
        self._add(name, pack_lower(values.numpy()) if name[0] in SECOND_MOMENTS else values.double().numpy())
        with self._condition:
            self._next[name] = batch + 1
            self._condition.notify_all()

    def _add(self, name: Name, value: np.ndarray) -> None:
        before = self._sums.get(name)
        if isinstance(before, KeptArray):
            total = before.load()
            total += value
            before.store(total)
        elif before is not None:
            self._sums[name] = before + value
        else:
            self._sums[name] = value.copy() if self._scratch is None else self._scratch.keep(value)

    def finish(self, batch: int) -> None:
        """Nothing more will come from a batch."""
        with self._condition:
            self._finished.add(batch)
            while self._complete in self._finished:
                self._complete += 1
            self._next = {name: max(turn, self._complete) for name, turn in self._next.items()}
            self._condition.notify_all()

    def fail(self) -> None:
        """A batch failed: nobody waits for it any longer."""
        with self._condition:
            self._failed = True
            self._condition.notify_all()
