"""Text that a model itself wrote: what it predicts best of all programs of its tensors, without any training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.format.program.program import Program


def written_by(program: Program, tensors: Sequence[np.ndarray], count: int, length: int, seed: int = 0) -> np.ndarray:
    """int64 [count, length] of sequences, each token drawn by the model's own probabilities."""
    random = np.random.default_rng(seed)
    model = TorchExecutor(program, {index: torch.from_numpy(values) for index, values in enumerate(tensors)})
    tokens = random.integers(0, program.vocabulary_size, (count, 1))
    while tokens.shape[1] < length:
        with torch.no_grad():
            logits = model.forward(torch.from_numpy(tokens))[:, -1].double().numpy()
        drawn = (logits + random.gumbel(size=logits.shape)).argmax(-1)
        tokens = np.concatenate([tokens, drawn[:, None]], axis=1)
    return tokens
