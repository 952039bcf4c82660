"""Where a model's values stop being finite, for the error that says so.

Strategy: looked for only where there is an error, by a second forward pass that stops at the first such value.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..model.torch_executor import Forward, TorchExecutor


def overflow_place(executor: TorchExecutor, tokens: torch.Tensor, names: Sequence[str]) -> str:
    """The first operation whose values on int64 tokens [batch, length] are not finite, in words.

    names : of the tensors; an operation that reads none is told by the last one that was read before it
    """
    read = ""
    with torch.no_grad():
        run = Forward(executor, tokens)
        for index, instruction in enumerate(executor.program.instructions):
            run.advance()
            own = [names[tensor] for tensor in instruction.tensors]
            read = own[0] if own else read
            if not run.registers[index].isfinite().all():
                place = f"{instruction.name} {'of' if own else 'behind'} {read}"
                return f"the first such values are those of instruction {index}, {place}"
    return "in a second run they are"
