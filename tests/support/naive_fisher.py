"""Slow twins of calibration: sums token by token, and the Fisher information by going through every label.

The labels of different positions are independent, so the expected squared gradient of the summed loss with respect to
anything is the sum over positions and labels of p(label) times the squared gradient of that one loss.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from bytecap.compiler.model.model import Model
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.format.program.operations import Linear


def run(model: Model, sequences: np.ndarray, tensors: dict[int, torch.Tensor] | None = None):
    """Logits and every register of a float32 forward pass, with gradients."""
    tensors = tensors or {i: torch.from_numpy(t.values) for i, t in enumerate(model.tensors)}
    registers: dict[int, torch.Tensor] = {}

    def keep(index: int, value: torch.Tensor) -> torch.Tensor:
        registers[index] = value if value.requires_grad else value.requires_grad_()
        return registers[index]

    logits = TorchExecutor(model.program, tensors).forward(torch.from_numpy(sequences), registers=keep)
    return logits, registers


def naive_hessians(model: Model, sequences: np.ndarray) -> dict[int, np.ndarray]:
    """float64 mean of x xᵀ over all tokens, by weight, one outer product at a time."""
    _, registers = run(model, sequences)
    moments = {}
    for instruction in model.program.instructions:
        if isinstance(instruction, Linear):
            rows = registers[instruction.x].detach().double().flatten(0, 1).numpy()
            total = np.zeros((rows.shape[1], rows.shape[1]))
            for x in rows:
                total += np.outer(x, x)
            moments[instruction.weight] = total / len(rows)
    return moments


def expected_squares(
    model: Model, sequences: np.ndarray, of: Callable[[dict, dict], dict], squares=lambda gradient: gradient.square()
):
    """Mean over tokens of E[square of the gradient], by key.

    `of(tensors, registers)` chooses what to differentiate.

    `squares` maps a gradient [sequences, ...] (or a tensor's own shape) to what is summed.
    """
    tensors = {i: torch.from_numpy(t.values.copy()).requires_grad_() for i, t in enumerate(model.tensors)}
    totals: dict = {}
    for sequence in sequences:
        logits, registers = run(model, sequence[None], tensors)
        chosen = of(tensors, registers)
        log_p = logits[0].double().log_softmax(-1)
        for position in range(log_p.shape[0]):
            for label in range(log_p.shape[1]):
                gradients = torch.autograd.grad(
                    log_p[position, label], list(chosen.values()), retain_graph=True, allow_unused=True
                )
                for key, gradient in zip(chosen, gradients, strict=True):
                    if gradient is not None:
                        share = log_p[position, label].exp().item() * squares(gradient.double())
                        totals[key] = totals.get(key, 0) + share
    return {key: (total / sequences.size).numpy() for key, total in totals.items()}


def linear_outputs(model: Model) -> dict[int, int]:
    """Weight -> register of its (only) linear use."""
    return {op.weight: k for k, op in enumerate(model.program.instructions) if isinstance(op, Linear)}
