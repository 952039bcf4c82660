"""Residual streams, found in the program: which registers are one, and which linear layers write into one.

Strategy: a layer whose output y only feeds `own * y + other * r`, with r computed before it, can make
up for an error that r already has: of r' instead of r it should give y + (other / own) (r - r'), as far
as its inputs tell what that is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ...format.program.operations import Add, Affine, Embed, LayerNorm, Linear, Mix, RmsNorm, Scale, ScaleTiled
from ...format.program.program import Program

LEAST_SCALE = 1e-3  # of the root mean square of a scale; channels below write next to nothing


@dataclass(frozen=True, slots=True)
class Residual:
    """The register r beside a layer's output in own * y + other * r; None: a factor of 1, a float: that factor."""

    register: int
    own: object | None = None
    other: object | None = None

    def gain(self, vector: Callable[[object], torch.Tensor]) -> torch.Tensor | float:
        """other / own by channel, 0 where `own` next to vanishes. vector : operand -> float tensor"""
        other = 1.0 if self.other is None else vector(self.other)
        if self.own is None:
            return other
        if isinstance(self.own, float):
            return other / self.own if self.own else 0.0
        own = vector(self.own)
        solid = own.abs() > LEAST_SCALE * own.square().mean().sqrt()
        return torch.where(solid, other / own.where(solid, torch.ones_like(own)), 0.0)


def is_stream(program: Program, register: int) -> bool:
    """Whether a register is a sum that layers write into, or the embedding they start from, perhaps
    normalized or scaled.
    """
    op = program.instructions[register]
    while isinstance(op, RmsNorm | LayerNorm | Scale | ScaleTiled | Affine):
        op = program.instructions[op.x]
    return isinstance(op, Add | Mix | Embed)


def find_residuals(program: Program) -> dict[int, Residual]:
    """By instruction of a linear layer whose weight is used once: the residual stream it writes into."""
    instructions = program.instructions
    readers: dict[int, list[int]] = {}
    for index, operation in enumerate(instructions):
        for register in operation.registers:
            readers.setdefault(register, []).append(index)
    weights = [operation.weight for operation in instructions if isinstance(operation, Linear)]
    found = {}
    for index, operation in enumerate(instructions):
        if isinstance(operation, Linear) and weights.count(operation.weight) == 1:
            residual = _residual_of(instructions, readers, index)
            if residual is not None and residual.register < index:
                found[index] = residual
    return found


def _residual_of(instructions, readers: dict[int, list[int]], index: int) -> Residual | None:
    """What is added to the output of instruction `index`, when nothing else reads it."""
    own, output = None, index
    (reader, *more) = readers.get(output, [None])
    if not more and reader is not None and isinstance(instructions[reader], Scale | Affine):
        scaled = instructions[reader]
        own, output = scaled.vector if isinstance(scaled, Scale) else scaled.factor, reader
        (reader, *more) = readers.get(output, [None])
    if more or reader is None:
        return None
    operation = instructions[reader]
    if isinstance(operation, Add):
        return Residual(operation.y if operation.x == output else operation.x, own)
    if isinstance(operation, Mix) and own is None:
        first = operation.x == output
        return (
            Residual(operation.y, operation.a, operation.b)
            if first
            else Residual(operation.x, operation.b, operation.a)
        )
    return None
