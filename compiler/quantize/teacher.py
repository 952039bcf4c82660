"""What a teacher says of sequences that are learned from more than once: computed at their first use, then put aside.

Strategy: a teacher never changes, so a second pass over the calibration text asks it nothing new. Kept is the input of
its head, on disk (scratch_file.py), because that is far smaller than the logits and the head alone is cheap. Sequences
that do not come again are not kept. Neither is anything where more than that one register is needed to go on. While a
walk quantizes a matrix, which takes one thread, another asks about what comes next; the answers are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event

import numpy as np
import torch

from ...format.program.roles import find_head
from ..model.torch_executor import Forward, TorchExecutor, advance_to
from ..scratch_file import KeptArray, ScratchFile
from ..workers import job_pool

KEPT_BYTES = 1 << 32  # on disk; what is beyond is computed again


class Teacher:
    """A float model's passes over numbered sequences, stopped before the head.

    executor : of the model; stop : the instruction of its head
    sequences : integers[n, length]; scratch : where what it says of them is put aside; None to compute it every time
    again : numbers of the sequences that come more than once
    """

    def __init__(
        self, executor: TorchExecutor, sequences: np.ndarray, device: str = "cpu", scratch: ScratchFile | None = None
    ) -> None:
        self.executor, self.sequences, self.device, self.scratch = executor, sequences, device, scratch
        self.stop = find_head(executor.program) or 0
        self.again: Collection[int] = ()
        self._kept: dict[int, KeptArray] = {}
        self._begun: dict[bytes, Forward] = {}  # by the numbers of their sequences
        width = executor.shapes.widths[max(self.stop - 1, 0)]
        self._most = KEPT_BYTES // (4 * sequences.shape[1] * width)

    def begin(self, numbers: np.ndarray) -> Forward:
        """The pass over the sequences of these numbers, come to the head."""
        return self._begun.pop(numbers.tobytes(), None) or self._begin(numbers)

    @contextmanager
    def looking_ahead(self, parts: Sequence[np.ndarray]) -> Iterator[None]:
        """Meanwhile, passes over sequences of these numbers begin in another thread, as many as there is time for."""
        enough = Event()

        def begin() -> None:
            for numbers in parts:
                if enough.is_set():
                    return
                if numbers.tobytes() not in self._begun:
                    self._begun[numbers.tobytes()] = self._begin(numbers)

        with job_pool(1) as pool:
            beside = pool.submit(begin)
            try:
                yield
            finally:
                enough.set()
            beside.result()

    def _begin(self, numbers: np.ndarray) -> Forward:
        tokens = torch.from_numpy(self.sequences[numbers].astype(np.int64)).to(self.device)
        forward = Forward(self.executor, tokens)
        if self.stop and all(int(k) in self._kept for k in numbers):
            (register,) = self.executor.program.instructions[self.stop].registers
            values = np.stack([self._kept[int(k)].load() for k in numbers])
            forward.index, forward.registers = self.stop, {register: torch.from_numpy(values).to(self.device)}
            return forward
        advance_to(forward, self.stop)
        self._keep(numbers, forward.registers)
        return forward

    def _keep(self, numbers: np.ndarray, registers: Mapping[int, torch.Tensor]) -> None:
        if self.scratch is None or len(registers) != 1:
            return
        (values,) = registers.values()
        for k, row in zip(numbers, values.cpu().numpy(), strict=True):
            if int(k) in self.again and int(k) not in self._kept and len(self._kept) < self._most:
                self._kept[int(k)] = self.scratch.keep(row)
