"""Second moments of the inputs of every linear map of a model, as GPTQ pipelines collect them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from bytecap.compiler.model.model import Model
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.format.program.operations import Linear


@torch.no_grad()
def collect_hessians(model: Model, sequences: np.ndarray, *, batch_sequences: int = 16) -> dict[str, Tensor]:
    """E[x xᵀ] per token, float64 [columns, columns] by weight name, over int64 `sequences` [n, length].

    A weight used in several places gets the sum over its uses; a tied embedding that of its use as the head.
    """
    readers: dict[int, list[str]] = defaultdict(list)
    for operation in model.program.instructions:
        if isinstance(operation, Linear):
            readers[operation.x].append(model.tensors[operation.weight].name)
    executor = TorchExecutor(model.program, {i: torch.from_numpy(t.values) for i, t in enumerate(model.tensors)})
    sums: dict[str, Tensor] = {}

    def measure(register: int, value: Tensor) -> Tensor:
        if register in readers:
            x = value.flatten(0, 1)
            moment = (x.T @ x).double()
            for name in readers[register]:
                sums[name] = sums[name] + moment if name in sums else moment
        return value

    for start in range(0, len(sequences), batch_sequences):
        executor.forward(torch.from_numpy(sequences[start : start + batch_sequences]), registers=measure)
    return {name: total / sequences.size for name, total in sums.items()}
