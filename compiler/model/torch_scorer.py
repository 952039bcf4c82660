"""Losses of windows by torch on a device, for models and texts that are too large for the runtime on a processor.

Strategy: the program runs in float32 with products of full float32 precision (no TF32), and the logarithm of the sum is
taken in float64, so that a loss differs from the runtime's only by the order of sums. By how much is measured in every
run, on its first window. This is no second opinion: the independent reader is the runtime.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from ...errors import BudgetError
from ...runtime.interpreter import Interpreter
from ...runtime.window_runs import LanguageModel, Losses, OnThreads
from ...runtime.windows import Window
from ..tile_products import full_products
from ..workers import check_device
from .torch_executor import TorchExecutor

FLOATS_AT_ONCE = {"cpu": 1 << 25, "cuda": 1 << 28}  # of the widest register of a batch, 128 MiB and 1 GiB
LOGITS_IN_DOUBLE = 1 << 24


@dataclass(frozen=True, slots=True)
class Difference:
    """How far torch's losses and the runtime's lie apart on the first window of a run.

    tokens : int; mean_nats : float, torch's minus the runtime's a token; largest_nats : float, of one token
    """

    tokens: int
    mean_nats: float
    largest_nats: float


class TorchScorer:
    """A `LanguageModel` and a `WindowRunner`: the same program and tensors as an Interpreter's, on a device of torch.

    difference : Difference or None     of the last run, None before

    Raises CompileError for a device that torch does not see, BudgetError where its memory is not enough.
    """

    def __init__(self, model: Interpreter, device: str) -> None:
        check_device(device)
        self.device, self.difference = torch.device(device), None
        self._widest = max(model.program.vocabulary_size, *model.shapes.widths)
        with _within_memory(device):
            tensors = {i: torch.from_numpy(values).to(self.device) for i, values in enumerate(model.tensors)}
        self._executor = TorchExecutor(model.program, tensors)
        self.difference: Difference | None

    @property
    def name(self) -> str:
        """The device in words, with torch's version."""
        kind = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "this processor"
        return f"torch {torch.__version__} on {self.device} ({kind})"

    def token_losses(self, tokens: np.ndarray) -> np.ndarray:
        """Nats of each next token, float64 [batch, length] for int [batch, length + 1]."""
        with _within_memory(str(self.device)), full_products(), torch.inference_mode():
            ids = torch.from_numpy(np.ascontiguousarray(tokens, np.int64)).to(self.device)
            logits = self._executor.forward(ids[:, :-1]).flatten(0, 1)
            rows = max(1, LOGITS_IN_DOUBLE // logits.shape[1])
            losses = [
                part.double().logsumexp(-1) - part.gather(1, targets[:, None])[:, 0].double()
                for part, targets in zip(logits.split(rows), ids[:, 1:].flatten().split(rows), strict=True)
            ]
            return torch.cat(losses).view(ids.shape[0], -1).cpu().numpy()

    def __call__(
        self, model: LanguageModel, ids: np.ndarray, plan: Sequence[Window], numbers: Sequence[int]
    ) -> Generator[Losses, None, None]:
        """See `WindowRunner`; `model` computes the first window, too, for `difference`."""
        if not len(numbers):
            return
        window = plan[numbers[0]]
        tokens = np.asarray(ids[window.start : window.stop + 1], np.int64)[None]
        apart = (self.token_losses(tokens) - model.token_losses(tokens))[0]
        self.difference = Difference(apart.size, float(apart.mean()), float(np.abs(apart).max()))
        floats = FLOATS_AT_ONCE.get(self.device.type, FLOATS_AT_ONCE["cpu"])
        length = max(plan[number].stop - plan[number].start for number in numbers)
        yield from OnThreads(1, max(1, floats // (self._widest * length)))(self, ids, plan, numbers)


@contextmanager
def _within_memory(device: str) -> Iterator[None]:
    """BudgetError where the memory of the device is not enough."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        reason = str(error).splitlines()[0]
        message = f"{device} has too little memory ({reason}); choose shorter sequences, or leave the device out"
        raise BudgetError(message, argument="sequence_length") from error
