"""Logits of a few positions at a time: for a large vocabulary those of a whole batch would be far larger than all else.

Strategy: what makes logits, the head and what follows it, works position by position, so that a pass that has come to
the head may be finished in parts, and so may the way back. Where all logits are few there is one part, and the numbers
are those of a whole pass to the bit; products of fewer rows may differ in the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ...format.program.program import Program
from ...format.program.roles import find_head
from .torch_executor import Forward

Loss = tuple[Tensor, Tensor]  # what a loss is taken of, and its gradient by that

LOGIT_FLOATS = 8_000_000  # of a part, at most, where it has LEAST_POSITIONS: what allocator.py keeps
LEAST_POSITIONS = 128  # of a part: products of fewer take longer a position


def before_logits(program: Program) -> tuple[int, int]:
    """The instruction of the head, and the register that it reads; without a head the end, and the last register."""
    head, end = find_head(program), len(program.instructions)
    return (end, end - 1) if head is None else (head, program.instructions[head].registers[0])


def reads_logits(program: Program) -> frozenset[int]:
    """The tensors that the head and what follows it read."""
    stop, _ = before_logits(program)
    return frozenset(tensor for operation in program.instructions[stop:] for tensor in operation.tensors)


def positions_at_once(program: Program) -> int:
    """How many positions a part has."""
    return max(LEAST_POSITIONS, LOGIT_FLOATS // program.vocabulary_size)


def next_tokens(tokens: Tensor) -> Tensor:
    """int64 [sequences, length] of such tokens: the one that follows each, -1 at the end of a sequence."""
    return torch.cat([tokens[:, 1:], torch.full_like(tokens[:, :1], -1)], 1)


def split_positions(values: Tensor, at_once: int) -> tuple[Tensor, ...]:
    """What belongs to positions [batch, length, ...], as [n, ...] for so many positions each."""
    return values.flatten(0, 1).split(at_once)


def in_parts(forward: Forward) -> tuple[Tensor, ...]:
    """What the head reads of a pass that has come to it, [n, width] for each part."""
    program = forward.executor.program
    return split_positions(forward.registers[before_logits(program)[1]], positions_at_once(program))


def go_on(forward: Forward, part: Tensor) -> Forward:
    """The same pass with one part of its positions, come to the head: logits are [1, n, vocabulary]."""
    other = Forward(forward.executor, forward.tokens)
    stop, source = before_logits(forward.executor.program)
    other.index, other.registers = stop, {source: part[None]}
    return other


def gradients_in_parts(
    forward: Forward, wanted: Sequence[Tensor], behind: Mapping[int, Tensor], loss: Callable[[Forward, int], Loss]
) -> tuple[Tensor | None, ...]:
    """Gradients of a loss by `wanted`, None for those that it does not depend on, of a pass that has come to the head.

    behind : those of them that the head or what follows it reads, by their places in `wanted`
    loss(rest, number) : of a part what the pass over it makes, and the gradient of the loss by that; number : of the
        part
    """
    source = forward.registers[before_logits(forward.executor.program)[1]]
    by_source, others = [], dict[int, Tensor]()
    for number, values in enumerate(in_parts(forward)):
        part = values.detach().requires_grad_(source.requires_grad)
        made, change = loss(go_on(forward, part), number)
        leaves = [*behind.values(), *([part] if source.requires_grad else [])]
        found = torch.autograd.grad(_KnownGradient.apply(made, change), leaves)
        by_source += found[len(behind) :]
        for k, gradient in zip(behind, found, strict=False):
            others[k] = others[k] + gradient if k in others else gradient
    if not source.requires_grad:
        return tuple(others.get(k) for k in range(len(wanted)))
    loss_of_source = _KnownGradient.apply(source, torch.cat(by_source).view_as(source))
    gradients = torch.autograd.grad(loss_of_source, wanted, allow_unused=True)
    return tuple(_added(gradient, others.get(k)) for k, gradient in enumerate(gradients))


class _KnownGradient(torch.autograd.Function):
    """A loss of which no more is known than its gradient. Torch takes gradients of what a function makes, too, but
    loads a library of symbols (sympy, 0.4 s) to compare their shapes.
    """

    @staticmethod
    def forward(ctx, made: Tensor, gradient: Tensor) -> Tensor:
        ctx.gradient = gradient
        return made.new_zeros(())

    @staticmethod
    def backward(ctx, _: Tensor) -> tuple[Tensor, None]:
        return ctx.gradient, None


def _added(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return other if one is None else one if other is None else one + other
