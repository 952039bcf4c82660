"""Slow twin of the head's gradient.

Strategy: token by token, the slope of the softcap written out, the projection by least squares.
"""

from __future__ import annotations

import numpy as np
import torch
from naive_fisher import run

from bytecap.compiler.model.model import Model
from bytecap.format.program.operations import Linear, Softcap


def naive_head_gradients(model: Model, sequences: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(hidden state, p - onehot, gradient by the head's output) of every token that has a next one, float64."""
    last = model.program.instructions[-1]
    head = last.x if isinstance(last, Softcap) else len(model.program.instructions) - 1
    assert isinstance(model.program.instructions[head], Linear)
    result = []
    with torch.no_grad():
        _, registers = run(model, sequences[:, :-1])
        outputs, inputs = (registers[k].double().numpy() for k in (head, model.program.instructions[head].x))
    for sequence, xs, zs in zip(sequences, inputs, outputs, strict=True):
        for label, x, z in zip(sequence[1:], xs, zs, strict=True):
            cap = last.cap if isinstance(last, Softcap) else np.inf
            logits = cap * np.tanh(z / cap) if isinstance(last, Softcap) else z
            slope = 1 - np.tanh(z / cap) ** 2 if isinstance(last, Softcap) else np.ones(len(z))
            p = np.exp(logits - logits.max())
            plain = p / p.sum() - np.eye(len(z))[label]
            result.append((x, plain, slope * plain))
    return result


def naive_projection(weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """The vector of the range of W that is nearest to a gradient."""
    return weights @ np.linalg.lstsq(weights, gradient, rcond=max(weights.shape) * 2.0**-23)[0]
