"""Rewrites between the rotations of other people's models and the program's, and back.

Strategy: the program turns a pair (p, q) of a head by -theta, Hugging Face, Meta and llama2.c turn it
by +theta. With the second element of each pair negated, both in queries and in keys, the one becomes
the other, and their products do not change: negated rows of the linear maps that make them are exact in
every type, and undo themselves. A gain that all heads share has to stand once a head in a program,
since a vector is spread over a register and not repeated along it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...errors import CheckpointError
from ...format.program.operations import RmsNorm, Rope, RopeLayout
from ...format.program.program import Program
from ..model.attention_heads import maker

FREQUENCY_TOLERANCE = 0.01  # bfloat16 has 8 bits


def turned(values: np.ndarray, heads: int, layout: RopeLayout) -> np.ndarray:
    """`values` [heads * d, ...] with the second element of each rotated pair negated; undoes itself.

    The whole head of width d is rotated. Pairs are (j, j + d/2) or (2j, 2j + 1) by `layout`.
    """
    signs = np.ones(len(values) // heads, np.float32)
    if layout is RopeLayout.HALF_SPLIT:
        signs[len(signs) // 2 :] = -1
    else:
        signs[1::2] = -1
    return values * np.tile(signs, heads).reshape(-1, *(1 for _ in values.shape[1:]))


def turned_tensors(program: Program) -> dict[int, tuple[int, RopeLayout]]:
    """By tensor: heads and layout of the rotation whose queries or keys it makes, weights and biases."""
    found = {}
    for op in program.instructions:
        made = maker(program, op.x) if isinstance(op, Rope) else None
        if made is not None:
            linear = program.instructions[made[0]]
            found[linear.weight] = (op.heads, op.layout)
            if linear.bias is not None:
                found[linear.bias.tensor] = (op.heads, op.layout)
    return found


def head_gains(program: Program) -> Iterator[tuple[int, int]]:
    """(tensor, heads) of every gain that is repeated for each head."""
    for op in program.instructions:
        if isinstance(op, RmsNorm) and op.groups > 1 and op.gain is not None:
            yield op.gain.tensor, op.groups


def check_frequencies(name: str, values: np.ndarray, base: float) -> None:
    """Hold a stored table of rotations against their base: inverse frequencies [r/2], or cosines or
    sines [length, r/2].

    Raises CheckpointError where they differ: the model was trained with others than its hyperparameters say.
    """
    width = values.shape[-1] if values.ndim else 0
    expected = base ** (-np.arange(width) / max(width, 1))
    if values.ndim == 2:
        turn = np.cos if "cos" in name else np.sin
        expected = turn(np.arange(len(values))[:, None] * expected)
        close = np.abs(values - expected) <= FREQUENCY_TOLERANCE
    else:
        close = np.abs(values - expected) <= FREQUENCY_TOLERANCE * expected
    if not np.all(close):
        raise CheckpointError(
            f"{name} holds other rotations than those of base {base:g}; give the rope_theta that the "
            "model was trained with"
        )
