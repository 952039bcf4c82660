"""Shape inference: the width of each operation's output, and whether its operands fit each other and their tensors.

Strategy: one rule function per operation, registered by class. A rule sees the operation and a `ShapeContext` (widths of
earlier registers, shapes of the directory's tensors) and returns the output width or raises InvalidArtifact. Domains of
single operands (ranges, signs) are checked before, by their kinds. Normative text: spec/program.md, section 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import operations as op
from .operands import Place, Row

ShapeRule = Callable[..., int]
SHAPE_RULES: dict[type[op.Operation], ShapeRule] = {}


def shape_rule(*classes: type[op.Operation]) -> Callable[[ShapeRule], ShapeRule]:
    """Register a rule for operations; ValueError when one has a rule already."""

    def register(rule: ShapeRule) -> ShapeRule:
        for cls in classes:
            if cls in SHAPE_RULES:
                raise ValueError(f"operation {cls.name!r} has a shape rule already")
            SHAPE_RULES[cls] = rule
        return rule

    return register


@dataclass
class ShapeContext:
    """What rules look things up in; `place` names the instruction being checked."""

    widths: list[int]
    shapes: Sequence[tuple[int, ...]]
    vocabulary_size: int
    place: Place

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

    def grouped(self, heads: int, kv_heads: int) -> None:
        """Key-value heads divide heads [R-PRG-24]."""
        if heads % kv_heads:
            raise self.place.invalid(f"{kv_heads} key-value heads do not divide {heads} heads", "R-PRG-24")


@shape_rule(op.Embed)
def _embed(instruction: op.Embed, context: ShapeContext) -> int:
    rows, columns = context.matrix(instruction.table)
    if rows < context.vocabulary_size:
        raise context.place.invalid(f"{rows} table rows for {context.vocabulary_size} tokens", "R-PRG-19")
    return columns


@shape_rule(op.HashEmbed)
def _hash_embed(instruction: op.HashEmbed, context: ShapeContext) -> int:
    rows, columns = context.matrix(instruction.table)
    if instruction.kind is op.HashKind.XOR and rows < 2:
        raise context.place.invalid("the xor hash needs a table of at least 2 rows", "R-PRG-20")
    return columns


@shape_rule(op.Linear)
def _linear(instruction: op.Linear, context: ShapeContext) -> int:
    rows, columns = context.matrix(instruction.weight)
    width = context.widths[instruction.x]
    if columns != width:
        raise context.place.invalid(f"a weight of {columns} columns meets width {width}", "R-PRG-21")
    context.vector(instruction.bias, rows)
    return rows


@shape_rule(op.RmsNorm)
def _rms_norm(instruction: op.RmsNorm, context: ShapeContext) -> int:
    width = context.widths[instruction.x]
    context.split(width, instruction.groups, "groups")
    context.vector(instruction.gain, width)
    return width


@shape_rule(op.LayerNorm)
def _layer_norm(instruction: op.LayerNorm, context: ShapeContext) -> int:
    width = context.widths[instruction.x]
    context.vector(instruction.gain, width)
    context.vector(instruction.bias, width)
    return width


@shape_rule(op.Scale)
def _scale(instruction: op.Scale, context: ShapeContext) -> int:
    width = context.widths[instruction.x]
    context.vector(instruction.vector, width)
    return width


@shape_rule(op.Mix)
def _mix(instruction: op.Mix, context: ShapeContext) -> int:
    width = context.equal(instruction.x, instruction.y)
    context.vector(instruction.a, width)
    context.vector(instruction.b, width)
    return width


@shape_rule(op.Add, op.Multiply)
def _elementwise(instruction: op.Add | op.Multiply, context: ShapeContext) -> int:
    return context.equal(instruction.x, instruction.y)


@shape_rule(op.Activation)
def _activation(instruction: op.Activation, context: ShapeContext) -> int:
    unused = instruction.kind is not op.ActivationKind.LEAKY_RELU_SQUARED
    if unused and (instruction.slope != 0 or math.copysign(1, instruction.slope) < 0):
        raise context.place.invalid(f"slope {instruction.slope} for a kind that has none", "R-PRG-11")
    return context.widths[instruction.x]


@shape_rule(op.Rope)
def _rope(instruction: op.Rope, context: ShapeContext) -> int:
    width = context.widths[instruction.x]
    head = context.split(width, instruction.heads, "heads")
    if instruction.rotary_dims % 2 or instruction.rotary_dims > head:
        raise context.place.invalid(
            f"{instruction.rotary_dims} rotary dimensions are not an even number of at most {head}", "R-PRG-25"
        )
    return width


@shape_rule(op.Attention)
def _attention(instruction: op.Attention, context: ShapeContext) -> int:
    context.grouped(instruction.heads, instruction.kv_heads)
    query = context.split(context.widths[instruction.q], instruction.heads, "heads")
    key = context.split(context.widths[instruction.k], instruction.kv_heads, "key-value heads")
    if query != key:
        raise context.place.invalid(f"query heads of width {query} meet key heads of width {key}", "R-PRG-22")
    value = context.split(context.widths[instruction.v], instruction.kv_heads, "key-value heads")
    return instruction.heads * value


@shape_rule(op.Exclude)
def _exclude(instruction: op.Exclude, context: ShapeContext) -> int:
    context.grouped(instruction.heads, instruction.kv_heads)
    width = context.widths[instruction.y]
    head = context.split(width, instruction.heads, "heads")
    value = context.split(context.widths[instruction.v], instruction.kv_heads, "key-value heads")
    if head != value:
        raise context.place.invalid(f"heads of width {head} meet value heads of width {value}", "R-PRG-22")
    return width


@shape_rule(op.Shift, op.Softcap)
def _same(instruction: op.Shift | op.Softcap, context: ShapeContext) -> int:
    return context.widths[instruction.x]


@shape_rule(op.Slice)
def _slice(instruction: op.Slice, context: ShapeContext) -> int:
    width = context.widths[instruction.x]
    if not instruction.start < instruction.stop <= width:
        raise context.place.invalid(
            f"slice {instruction.start}:{instruction.stop} is empty or leaves width {width}", "R-PRG-26"
        )
    return instruction.stop - instruction.start


@shape_rule(op.Concat)
def _concat(instruction: op.Concat, context: ShapeContext) -> int:
    return sum(context.widths[register] for register in instruction.xs)
