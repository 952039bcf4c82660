"""How many multiplications and additions a program takes a token, for training at equal compute.

Strategy: only what grows with the square of a width counts: linear maps, scores and sums of
attention over the positions that a query sees on average, and what a scan does to each element of its state. Norms,
gates and softmax are left out, for every program alike.
"""

from __future__ import annotations

from ...compiler.model.model import Model
from ...format.program.operations import Attention, CappedAttention, DeltaScan, Linear, Scan
from ...format.program.program import validate_program

TRAINING_PASSES = 3  # forward, gradients by inputs, gradients by weights


def forward_flops(model: Model) -> float:
    """Floating-point operations of one forward pass a token, at the program's sequence length."""
    program = model.program
    widths = validate_program(program, [tensor.values.shape for tensor in model.tensors]).widths
    total = 0.0
    for index, instruction in enumerate(program.instructions):
        if isinstance(instruction, Linear):
            total += 2.0 * widths[instruction.x] * widths[index]
        elif isinstance(instruction, Attention | CappedAttention):
            seen = _mean_seen(program.sequence_length, instruction.window)
            total += 2.0 * seen * (widths[instruction.q] + widths[index])
        elif isinstance(instruction, Scan | DeltaScan):  # what decays, is taken in and read
            of_an_element = 7.0 if isinstance(instruction, DeltaScan) else 5.0
            total += of_an_element * widths[index] * (widths[instruction.write] // instruction.groups)
    return total


def _mean_seen(length: int, window: int) -> float:
    """Positions that a query sees, on average over a sequence."""
    reach = min(window or length, length)
    return reach - reach * (reach - 1) / (2 * length)


def training_flops(model: Model) -> float:
    """Floating-point operations of one training step a token."""
    return TRAINING_PASSES * forward_flops(model)
