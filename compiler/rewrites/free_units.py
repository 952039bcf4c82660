"""Units of a program that may stand in any order, and scales that belong to a matrix: where they are.

Strategy: found in the program, not by name: from each linear map backwards through what works element by element, or
through attention, to the linear maps before it. A matrix of a loop counts when every use of it pairs it alike: then
every pass sees the same order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ...format.program.operands import Row
from ...format.program.operations import (
    Activation,
    Add,
    Affine,
    Attention,
    Broadcast,
    BroadcastKind,
    CappedAttention,
    Exclude,
    Linear,
    Multiply,
    Operation,
    RmsNorm,
    Scale,
    Softcap,
)
from ...format.program.program import Program
from ..model.structure import embedding_tables

ELEMENTWISE = Activation | Add | Affine | Multiply | Softcap


@dataclass(frozen=True, slots=True)
class FreeUnits:
    """Units that are the rows of the tensors `makers` and the columns of tensor `reader`, and nothing else.

    heads : so many equal blocks of rows, within which the order is free
    repeats : how many times in a row each block stands in the reader's columns (query heads of a group)
    gates : tensors whose rows are in the order of the reader's columns: what the units are multiplied with
    biases : vectors of the makers, in the order of the units;  gate_biases : those of the gates
    """

    makers: tuple[int, ...]
    reader: int
    heads: int = 1
    repeats: int = 1
    gates: tuple[int, ...] = ()
    biases: tuple[int, ...] = ()
    gate_biases: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ScaledOutput:
    """A linear map whose output is read by nothing but its product with a vector."""

    maker: int
    vector: Row


def find_hidden_units(program: Program, widths: Sequence[int] = ()) -> list[FreeUnits]:
    """Every set of units between linear maps, with only element-wise operations in between.

    widths : of the registers; without them nothing that a gate of one value is multiplied with is found
    """
    search = _Search(program, widths)
    return search.in_every_use(search.hidden_units)


def find_value_dimensions(program: Program, widths: Sequence[int] = ()) -> list[FreeUnits]:
    """Every attention whose values are linear maps and whose output only a linear map reads, multiplied
    or not with gates: of one value a head, or of linear maps to each of its elements.

    widths : of the registers; without them no attention with a gate of one value a head is found
    """
    search = _Search(program, widths)
    return search.in_every_use(search.value_dimensions)


def find_scaled_outputs(program: Program) -> list[ScaledOutput]:
    """Every linear map whose rows a vector scales that nothing else reads."""
    search = _Search(program)
    scales: dict[Row, list[Linear | None]] = {}
    for op in program.instructions:
        if isinstance(op, Scale):
            maker = program.instructions[op.x]
            alone = isinstance(maker, Linear) and search.readers[op.x] == 1 and maker.bias is None
            scales.setdefault(op.vector, []).append(maker if alone and maker.weight not in search.tables else None)
    found = [(vector, makers[0], makers) for vector, makers in scales.items() if makers[0] is not None]
    return [
        ScaledOutput(maker.weight, vector)
        for vector, maker, makers in found
        if all(each is not None and each.weight == maker.weight for each in makers)
        and search.uses[vector.tensor] == search.uses[maker.weight] == len(makers)
    ]


def _weights(maps: Sequence[Linear]) -> tuple[int, ...]:
    return tuple(each.weight for each in maps)


def _biases(maps: Sequence[Linear]) -> tuple[int, ...]:
    return tuple(each.bias.tensor for each in maps if each.bias is not None)


@dataclass(frozen=True, slots=True)
class AttentionEnd:
    """An attention that nothing but the search's start reads.

    readers : how many operands read its values; gates : linear maps that its output is multiplied with
    """

    attention: Attention | CappedAttention
    readers: int = 1
    gates: tuple[Linear, ...] = ()


class _Search:
    """Looks backwards in a program for registers and tensors that are used in one place only."""

    def __init__(self, program: Program, widths: Sequence[int] = ()) -> None:
        self.instructions, self.widths = program.instructions, widths
        self.readers = Counter(register for op in self.instructions for register in op.registers)
        self.readers[len(self.instructions) - 1] += 1  # the logits have a reader outside
        self.uses = Counter(tensor for op in self.instructions for tensor in op.tensors)
        self.tables = embedding_tables(program)

    def in_every_use(self, units_of: Callable[[Linear], FreeUnits | None]) -> list[FreeUnits]:
        """The units of each matrix that are the same wherever it is used, and whose tensors nothing else uses:
        in a loop every pass may have them in the same other order.
        """
        uses: dict[int, list[Linear]] = {}
        for op in self.instructions:
            if isinstance(op, Linear) and op.weight not in self.tables:
                uses.setdefault(op.weight, []).append(op)
        units = [(len(ops), {units_of(op) for op in ops}) for ops in uses.values()]
        return [each for count, found in units if len(found) == 1 for each in found if each and self._own(each, count)]

    def _own(self, units: FreeUnits, count: int) -> bool:
        tensors = (*units.makers, *units.gates, *units.biases, *units.gate_biases, units.reader)
        return all(self.uses[tensor] == count for tensor in tensors) and len(set(tensors)) == len(tensors)

    def hidden_units(self, op: Linear) -> FreeUnits | None:
        """What a linear map reads of others, element by element."""
        makers = self.makers(op.x)
        return FreeUnits(_weights(makers), op.weight, biases=_biases(makers)) if makers else None

    def value_dimensions(self, op: Linear) -> FreeUnits | None:
        """What a linear map reads of an attention."""
        end = self.attention(op.x)
        makers = None if end is None else self.makers(end.attention.v, end.readers, end.attention.kv_heads)
        if not makers:
            return None
        heads, repeats = end.attention.kv_heads, end.attention.heads // end.attention.kv_heads
        own, gates = (_weights(makers), _biases(makers)), (_weights(end.gates), _biases(end.gates))
        return FreeUnits(own[0], op.weight, heads, repeats, gates[0], own[1], gates[1])

    def makers(self, root: int, readers: int = 1, blocks: int = 1) -> list[Linear] | None:
        """Linear maps whose outputs are a register's elements; None unless they are that alone, so many operands
        outside read the register, and none the registers between.

        blocks : so many equal parts, within which the order is what matters
        """
        found, read, seen, pending = [], Counter({root: readers}), set(), [root]
        while pending:
            register = pending.pop(0)
            op = self.instructions[register]
            if register in seen or self.constant(register, blocks):
                continue
            seen.add(register)
            if isinstance(op, Linear) and op.weight not in self.tables:
                found.append(op)
            elif self.keeps_order(op, blocks):
                read.update(op.registers)
                pending = [*op.registers, *pending]
            else:
                return None
        return found if all(self.readers[register] == read[register] for register in seen) else None

    def keeps_order(self, op: Operation, blocks: int) -> bool:
        """Whether another order of the elements within each block of the operands gives the same of the result."""
        normalizes = isinstance(op, RmsNorm) and op.gain is None and blocks % op.groups == 0
        return normalizes or isinstance(op, ELEMENTWISE)

    def constant(self, register: int, blocks: int) -> bool:
        """Whether the elements of each of so many equal parts of a register are one value, whoever reads it."""
        op = self.instructions[register]
        if isinstance(op, ELEMENTWISE):
            return all(self.constant(x, blocks) for x in op.registers)
        if not isinstance(op, Broadcast) or not self.widths:
            return False
        width = self.widths[op.x]
        spread = op.kind is BroadcastKind.SPREAD or width == 1
        return spread and blocks % width == 0

    def attention(self, register: int) -> AttentionEnd | None:
        """The attention that ends in a register nothing else reads."""
        op = self.instructions[register]
        if self.readers[register] != 1:
            return None
        if isinstance(op, Attention | CappedAttention):
            return AttentionEnd(op)
        if isinstance(op, RmsNorm):
            end = self.attention(op.x)
            return end if end and op.gain is None and end.attention.kv_heads % op.groups == 0 else None
        if isinstance(op, Exclude):
            own = self._excludes_own_values(op) and self.readers[op.y] == 1
            return AttentionEnd(self.instructions[op.y], 2) if own else None
        if not isinstance(op, Multiply):
            return None
        return self._gated(op.x, op.y) or self._gated(op.y, op.x)

    def _gated(self, register: int, gate: int) -> AttentionEnd | None:
        """The attention that ends in a register, times a gate that every order of its values lets be."""
        end = self.attention(register)
        maps = None if end is None else self.makers(gate, 1, end.attention.heads)
        return None if maps is None else replace(end, gates=(*end.gates, *maps))

    def _excludes_own_values(self, op: Exclude) -> bool:
        y: Operation = self.instructions[op.y]
        own = isinstance(y, Attention | CappedAttention)
        return own and (y.v, y.heads, y.kv_heads) == (op.v, op.heads, op.kv_heads)
