"""The heads of every attention, as rows and columns of the linear maps around it, found in the program and not by name.

Strategy: from each attention backwards to the linear maps that make its queries, keys and values, and
from each linear map backwards to the attention that it reads, through what keeps the elements of a head
in their places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...format.program.operations import (
    Affine,
    Attention,
    CappedAttention,
    Exclude,
    LayerNorm,
    Linear,
    Multiply,
    RmsNorm,
    Rope,
    Rotate,
    Scale,
    ScaleTiled,
    Slice,
)
from ...format.program.program import Program, validate_program

ROWS, COLUMNS = 0, 1
# an element of the output is made of the head that it is in
SAME_WIDTH = (RmsNorm, LayerNorm, Rope, Rotate, Scale, ScaleTiled, Affine)
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AttentionMaps:
    """The linear maps around one attention.

    made : (tensor, first row) of queries, keys and values; readers : tensors that read its output
    key, value : widths of one head
    """

    operation: Attention | CappedAttention
    made: tuple[tuple[int, int], ...]
    readers: tuple[int, ...]
    key: int
    value: int


def maker(program: Program, register: int) -> tuple[int, int] | None:
    """(index of the linear instruction whose outputs end up in a register in their order, output at
    which it starts).
    """
    offset = 0
    while not isinstance(op := program.instructions[register], Linear):
        if isinstance(op, Slice):
            offset += op.start
        elif not isinstance(op, SAME_WIDTH):
            return None
        register = op.x
    return register, offset


def attended(program: Program) -> dict[int, int]:
    """Linear instructions that make keys or values, and the register that each reads: what it makes of a token every
    later one looks at.
    """
    attentions = [op for op in program.instructions if isinstance(op, Attention | CappedAttention)]
    makers = {maker(program, register) for op in attentions for register in (op.k, op.v)} - {None}
    return {index: program.instructions[index].x for index, _ in sorted(makers)}


def read_attention(program: Program, register: int) -> int | None:
    """Index of the attention whose outputs end up in a register in their order; gates multiply without moving them."""
    op = program.instructions[register]
    if isinstance(op, Attention | CappedAttention):
        return register
    if isinstance(op, Multiply):
        found = {read_attention(program, each) for each in (op.x, op.y)} - {None}
        return found.pop() if len(found) == 1 else None
    source = op.y if isinstance(op, Exclude) else op.x if isinstance(op, SAME_WIDTH) else None
    return None if source is None else read_attention(program, source)


def find_attentions(program: Program, shapes: Sequence[Shape]) -> list[AttentionMaps]:
    """Every attention whose queries, keys and values are linear maps, those of shared weights once, in
    program order.
    """
    widths = validate_program(program, list(shapes)).widths
    readers: dict[int, list[int]] = {}
    for op in program.instructions:
        if isinstance(op, Linear) and (attention := read_attention(program, op.x)) is not None:
            readers.setdefault(attention, []).append(op.weight)
    found: dict[tuple[tuple[int, int], ...], AttentionMaps] = {}
    for index, op in enumerate(program.instructions):
        if isinstance(op, Attention | CappedAttention):
            makers = [maker(program, register) for register in (op.q, op.k, op.v)]
            made = tuple((program.instructions[k].weight, offset) for k, offset in filter(None, makers))
            sizes = widths[op.k] // op.kv_heads, widths[op.v] // op.kv_heads
            if None not in makers:
                found.setdefault(made, AttentionMaps(op, made, tuple(readers.get(index, [])), *sizes))
    return list(found.values())
