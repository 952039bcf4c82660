"""Where a model's values stop being finite, for the error that says so.

Strategy: looked for only where there is an error, by a second forward pass that stops at the first such value.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...runtime.overflow_place import place_in_words
from ..model.torch_executor import Forward, TorchExecutor


def overflow_place(executor: TorchExecutor, tokens: torch.Tensor, names: Sequence[str]) -> str:
    """The first operation whose values on int64 tokens [batch, length] are not finite, in words.

    names : of the tensors
    """
    with torch.no_grad():
        run = Forward(executor, tokens)
        for index in range(len(executor.program.instructions)):
            run.advance()
            if not run.registers[index].isfinite().all():
                return place_in_words(executor.program, index, names)
    return "in a second run they are"
