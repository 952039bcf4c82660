"""Logits of a few positions at a time: for a large vocabulary those of a whole batch would be far larger than all else.

Strategy: what makes logits, the head and what follows it, works position by position, so that a pass that has come to
the head may be finished in parts. Where all logits are few there is one part, and the numbers are those of a whole pass
to the bit; products of fewer rows may differ in the last.
"""

from __future__ import annotations

from torch import Tensor

from ...format.program.program import Program
from ...format.program.roles import find_head
from .torch_executor import Forward

LOGIT_FLOATS = 1 << 26  # of a part, at most; a part is one position at least


def before_logits(program: Program) -> tuple[int, int]:
    """The instruction of the head, and the register that it reads; without a head the end, and the last register."""
    head, end = find_head(program), len(program.instructions)
    return (end, end - 1) if head is None else (head, program.instructions[head].registers[0])


def in_parts(forward: Forward) -> tuple[Tensor, ...]:
    """What the head reads of a pass that has come to it, [n, width] for as many positions as a part has."""
    program = forward.executor.program
    values = forward.registers[before_logits(program)[1]]
    return values.flatten(0, 1).split(max(1, LOGIT_FLOATS // program.vocabulary_size))


def go_on(forward: Forward, part: Tensor) -> Forward:
    """The same pass with one part of its positions, come to the head: logits are [1, n, vocabulary]."""
    other = Forward(forward.executor, forward.tokens)
    stop, source = before_logits(forward.executor.program)
    other.index, other.registers = stop, {source: part[None]}
    return other
