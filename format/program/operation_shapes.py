"""Shape inference: the width of each operation's output, and whether its operands fit each other and their tensors.

Strategy: one rule function per operation, and SHAPE_RULES has them by class. A rule sees the operation
and a `ShapeContext` (widths of earlier registers, shapes of the directory's tensors) and returns the
output width or raises InvalidArtifact. Domains of single operands (ranges, signs) are checked before,
by their kinds. Normative text: spec/program.md, section 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..registry import paired
from . import operations as op
from .operands import OperandPlace, Row

ShapeRule = Callable[..., int]


@dataclass
class ShapeContext:
    """What rules look things up in; `place` names the instruction being checked."""

    widths: list[int]
    shapes: Sequence[tuple[int, ...]]
    vocabulary_size: int
    sequence_length: int
    place: OperandPlace
    longest_sequence: int | None = None  # so far

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Shape of a directory tensor [R-PRG-15]."""
        if not 0 <= tensor < len(self.shapes):
            raise self.place.invalid(f"tensor {tensor} is not in the directory of {len(self.shapes)}", "R-PRG-15")
        return tuple(self.shapes[tensor])

    def matrix(self, tensor: int) -> tuple[int, int]:
        """(rows, columns) of a matrix [R-PRG-16]."""
        shape = self.shape(tensor)
        if len(shape) != 2 or min(shape) < 1:
            raise self.place.invalid(f"tensor {tensor} of shape {shape} is not a matrix", "R-PRG-16")
        return shape[0], shape[1]

    def row_length(self, row: Row) -> int:
        """Length of a row [R-PRG-17]."""
        shape = self.shape(row.tensor)
        if len(shape) not in (1, 2) or row.row >= (shape[0] if len(shape) == 2 else 1):
            raise self.place.invalid(f"tensor {row.tensor} of shape {shape} has no row {row.row}", "R-PRG-17")
        return shape[-1]

    def vector(self, row: Row | None, width: int) -> None:
        """A row whose length divides `width` [R-PRG-18]."""
        if row is None:
            return
        length = self.row_length(row)
        if length < 1 or width % length:
            raise self.place.invalid(f"a vector of length {length} does not divide width {width}", "R-PRG-18")

    def equal(self, x: int, y: int) -> int:
        """The common width of two registers [R-PRG-22]."""
        if self.widths[x] != self.widths[y]:
            raise self.place.invalid(f"widths {self.widths[x]} and {self.widths[y]} differ", "R-PRG-22")
        return self.widths[x]

    def split(self, width: int, parts: int, what: str) -> int:
        """Width of one of `parts` equal parts [R-PRG-23]."""
        if width % parts:
            raise self.place.invalid(f"{parts} {what} do not divide width {width}", "R-PRG-23")
        return width // parts

    def grouped(self, heads: int, groups: int, what: str = "key-value heads") -> None:
        """Key-value heads, or groups, divide heads [R-PRG-24]."""
        if heads % groups:
            raise self.place.invalid(f"{groups} {what} do not divide {heads} heads", "R-PRG-24")


def _embed(instruction: op.Embed, context: ShapeContext) -> int:
    rows, columns = context.matrix(instruction.table)
    if rows < context.vocabulary_size:
        raise context.place.invalid(f"{rows} table rows for {context.vocabulary_size} tokens", "R-PRG-19")
    return columns


def _hash_embed(instruction: op.HashEmbed, context: ShapeContext) -> int:
    rows, columns = context.matrix(instruction.table)
    if instruction.kind is op.HashKind.XOR and rows < 2:
        raise context.place.invalid("the xor hash needs a table of at least 2 rows", "R-PRG-20")
    return columns


def _position_embed(instruction: op.PositionEmbed, context: ShapeContext) -> int:
    rows, columns = context.matrix(instruction.table)
    length = rows - instruction.offset
    if length < context.sequence_length:
        message = f"{rows} table rows from row {instruction.offset} on for {context.sequence_length} positions"
        raise context.place.invalid(message, "R-PRG-32")
    context.longest_sequence = min(length, context.longest_sequence or length)
    return columns


def _linear(instruction: op.Linear, context: ShapeContext) -> int:
    rows, columns = context.matrix(instruction.weight)
    width = context.widths[instruction.x]
    if columns != width:
        raise context.place.invalid(f"a weight of {columns} columns meets width {width}", "R-PRG-21")
    context.vector(instruction.bias, rows)
    return rows


def _rms_norm(instruction: op.RmsNorm, context: ShapeContext) -> int:
    width = context.widths[instruction.x]
    context.split(width, instruction.groups, "groups")
    context.vector(instruction.gain, width)
    return width


def _layer_norm(instruction: op.LayerNorm, context: ShapeContext) -> int:
    width = context.widths[instruction.x]
    context.vector(instruction.gain, width)
    context.vector(instruction.bias, width)
    return width


def _scale(instruction: op.Scale | op.ScaleTiled, context: ShapeContext) -> int:
    width = context.widths[instruction.x]
    context.vector(instruction.vector, width)
    return width


def _mix(instruction: op.Mix, context: ShapeContext) -> int:
    width = context.equal(instruction.x, instruction.y)
    context.vector(instruction.a, width)
    context.vector(instruction.b, width)
    return width


def _elementwise(instruction: op.Add | op.Multiply, context: ShapeContext) -> int:
    return context.equal(instruction.x, instruction.y)


def _activation(instruction: op.Activation, context: ShapeContext) -> int:
    unused = instruction.kind is not op.ActivationKind.LEAKY_RELU_SQUARED
    if unused and (instruction.slope != 0 or math.copysign(1, instruction.slope) < 0):
        raise context.place.invalid(f"slope {instruction.slope} for a kind that has none", "R-PRG-11")
    return context.widths[instruction.x]


def _rope(instruction: op.Rope | op.Rotate, context: ShapeContext) -> int:
    width = context.widths[instruction.x]
    head = context.split(width, instruction.heads, "heads")
    if instruction.rotary_dims % 2 or instruction.rotary_dims > head:
        raise context.place.invalid(
            f"{instruction.rotary_dims} rotary dimensions are not an even number of at most {head}", "R-PRG-25"
        )
    return width


def _rotate(instruction: op.Rotate, context: ShapeContext) -> int:
    width = _rope(instruction, context)
    if instruction.frequencies is not None:
        length = context.row_length(instruction.frequencies)
        if 2 * length != instruction.rotary_dims:
            message = f"{length} frequencies for {instruction.rotary_dims} rotary dimensions"
            raise context.place.invalid(message, "R-PRG-33")
        if instruction.base != 1:
            raise context.place.invalid(f"base {instruction.base:g} beside frequencies", "R-PRG-34")
    return width


def _attention(instruction: op.Attention | op.CappedAttention, context: ShapeContext) -> int:
    context.grouped(instruction.heads, instruction.kv_heads)
    query = context.split(context.widths[instruction.q], instruction.heads, "heads")
    key = context.split(context.widths[instruction.k], instruction.kv_heads, "key-value heads")
    if query != key:
        raise context.place.invalid(f"query heads of width {query} meet key heads of width {key}", "R-PRG-22")
    value = context.split(context.widths[instruction.v], instruction.kv_heads, "key-value heads")
    return instruction.heads * value


def _capped_attention(instruction: op.CappedAttention, context: ShapeContext) -> int:
    if instruction.cap < 0 or math.copysign(1, instruction.cap) < 0:
        raise context.place.invalid(f"cap {instruction.cap} where +0 (none) or a number above is needed", "R-PRG-36")
    context.vector(instruction.sinks, instruction.heads)
    return _attention(instruction, context)


def _scan(instruction: op.Scan | op.DeltaScan, context: ShapeContext) -> int:
    heads = instruction.heads
    context.grouped(heads, instruction.groups, "groups")
    width = context.widths[instruction.x]
    context.split(width, heads, "heads")
    state = context.split(context.equal(instruction.write, instruction.read), instruction.groups, "groups")
    by_head: list[int] = [instruction.step]
    shapes: list[tuple[int, ...]] = [(heads,)]
    if isinstance(instruction, op.DeltaScan):
        by_head.append(instruction.strength)
    else:
        shapes.append((heads, state))
    for register in by_head:
        if context.widths[register] != heads:
            message = f"steps or strengths of width {context.widths[register]} for {heads} heads"
            raise context.place.invalid(message, "R-PRG-22")
    shape = context.shape(instruction.log_rates)
    if shape not in shapes:
        message = f"log-rates of shape {shape} for {heads} heads with a state {state} wide"
        raise context.place.invalid(message, "R-PRG-39")
    return width


def _exclude(instruction: op.Exclude, context: ShapeContext) -> int:
    context.grouped(instruction.heads, instruction.kv_heads)
    width = context.widths[instruction.y]
    head = context.split(width, instruction.heads, "heads")
    value = context.split(context.widths[instruction.v], instruction.kv_heads, "key-value heads")
    if head != value:
        raise context.place.invalid(f"heads of width {head} meet value heads of width {value}", "R-PRG-22")
    return width


def _same(instruction: op.Shift | op.Softcap | op.Affine, context: ShapeContext) -> int:
    return context.widths[instruction.x]


def _broadcast(instruction: op.Broadcast, context: ShapeContext) -> int:
    width = context.widths[instruction.x]
    if instruction.width % width:
        raise context.place.invalid(f"width {instruction.width} is not a multiple of width {width}", "R-PRG-35")
    return instruction.width


def _slice(instruction: op.Slice, context: ShapeContext) -> int:
    width = context.widths[instruction.x]
    if not instruction.start < instruction.stop <= width:
        raise context.place.invalid(
            f"slice {instruction.start}:{instruction.stop} is empty or leaves width {width}", "R-PRG-26"
        )
    return instruction.stop - instruction.start


def _concat(instruction: op.Concat, context: ShapeContext) -> int:
    return sum(context.widths[register] for register in instruction.xs)


SHAPE_RULES: dict[type[op.Operation], ShapeRule] = paired(
    (
        (op.Embed, _embed),
        (op.HashEmbed, _hash_embed),
        (op.Linear, _linear),
        (op.RmsNorm, _rms_norm),
        (op.LayerNorm, _layer_norm),
        (op.Scale, _scale),
        (op.Mix, _mix),
        (op.Add, _elementwise),
        (op.Multiply, _elementwise),
        (op.Activation, _activation),
        (op.Rope, _rope),
        (op.Attention, _attention),
        (op.Exclude, _exclude),
        (op.Shift, _same),
        (op.Softcap, _same),
        (op.Slice, _slice),
        (op.Concat, _concat),
        (op.PositionEmbed, _position_embed),
        (op.Rotate, _rotate),
        (op.Broadcast, _broadcast),
        (op.ScaleTiled, _scale),
        (op.Affine, _same),
        (op.CappedAttention, _capped_attention),
        (op.Scan, _scan),
        (op.DeltaScan, _scan),
    )
)
