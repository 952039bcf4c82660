"""Free symmetries: rewrites of a model that its function does not see, so that nothing has to be stored about them.

Strategy: the hidden units of an MLP, and the dimensions of the values within a head of attention, may
stand in any order, if the rows of the matrices that make them, their biases and the columns of the
matrix that reads them are permuted alike. Sorted by the steps of the reader's columns, the steps of both sides cost
little to store. Units are found in the program, not by name: from each linear map backwards through
what works element by element, or through attention, to the linear maps before it.

Factors move between a linear map and a vector that scales its output: all go into the matrix, whose
steps are there anyway, and the vector becomes ones. Factors of units (a row of the maker times a, a
column of the reader divided by what comes of a) are free as well, but are left as training chose them:
they say how large the integers of both will be, and smoother steps lose more there than they save.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

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
    Scale,
    Softcap,
)
from ...format.program.program import Program, validate_program
from ..model.model import Model
from ..model.structure import embedding_tables
from ..quantize.grid_matrix import column_log_steps
from ..recipe import Recipe
from ..statistics.calibration import MatrixStatistics, Statistics

LEAST_SCALE = 1e-6
ELEMENTWISE = Activation | Add | Affine | Multiply | Softcap


def exchange_symmetries(model: Model, statistics: Statistics, recipe: Recipe) -> tuple[Model, Statistics]:
    """The rewrites that the recipe asks for. Tensors that equal another are left alone: to stay equal is worth more."""
    settings, twins = recipe.symmetries, equal_tensors(model)
    widths = validate_program(model.program, [tensor.values.shape for tensor in model.tensors]).widths
    hidden = find_hidden_units(model.program, widths) if settings.hidden_units else []
    dimensions = find_value_dimensions(model.program, widths) if settings.value_dimensions else []
    units = [each for each in hidden + dimensions if not twins & {*each.makers, *each.gates, *each.biases, each.reader}]
    scales = find_scaled_outputs(model.program) if settings.output_scales else []
    scaled = absorb_scales(model, statistics, [each for each in scales if each.maker not in twins])
    return sort_units(*scaled, units, recipe.quantization.damping)


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
    found = []
    for op in program.instructions:
        if isinstance(op, Linear) and search.only_use(op):
            makers = search.makers(op.x)
            if makers:
                found.append(FreeUnits(_weights(makers), op.weight, biases=_biases(makers)))
    return found


def find_value_dimensions(program: Program, widths: Sequence[int] = ()) -> list[FreeUnits]:
    """Every attention whose values are linear maps and whose output only a linear map reads, multiplied
    or not with gates: of one value a head, or of linear maps to each of its elements.

    widths : of the registers; without them no attention with a gate of one value a head is found
    """
    search = _Search(program, widths)
    found = []
    for op in program.instructions:
        if isinstance(op, Linear) and search.only_use(op) and (end := search.attention(op.x)):
            attention = end.attention
            makers = search.makers(attention.v, end.readers, attention.kv_heads)
            if makers:
                heads, repeats = attention.kv_heads, attention.heads // attention.kv_heads
                own, gates = (_weights(makers), _biases(makers)), (_weights(end.gates), _biases(end.gates))
                found.append(FreeUnits(own[0], op.weight, heads, repeats, gates[0], own[1], gates[1]))
    return found


def find_scaled_outputs(program: Program) -> list[ScaledOutput]:
    """Every linear map whose rows a vector scales that nothing else reads."""
    search = _Search(program)
    scales = [op for op in program.instructions if isinstance(op, Scale) and search.uses[op.vector.tensor] == 1]
    made = [(op.vector, search.makers(op.x)) for op in scales if isinstance(program.instructions[op.x], Linear)]
    return [ScaledOutput(makers[0].weight, vector) for vector, makers in made if makers and makers[0].bias is None]


def _weights(maps: Sequence[Linear]) -> tuple[int, ...]:
    return tuple(each.weight for each in maps)


def _biases(maps: Sequence[Linear]) -> tuple[int, ...]:
    return tuple(each.bias.tensor for each in maps if each.bias is not None)


def equal_tensors(model: Model) -> set[int]:
    """Tensors whose values another tensor of the same shape has, too."""
    digests = [hashlib.sha256(repr(t.values.shape).encode() + t.values.tobytes()).digest() for t in model.tensors]
    counts = Counter(digests)
    return {i for i, digest in enumerate(digests) if counts[digest] > 1 and np.ptp(model.tensors[i].values) > 0}


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

    def only_use(self, op: Linear) -> bool:
        """Whether nothing else names the weight and the bias."""
        alone = op.bias is None or self.uses[op.bias.tensor] == 1
        return alone and self.uses[op.weight] == 1 and op.weight not in self.tables

    def makers(self, register: int, readers: int = 1, blocks: int = 1) -> list[Linear] | None:
        """Linear maps whose outputs are a register's elements; None unless they are that alone and so
        many operands read the register.

        blocks : so many equal parts, within which the order is what matters
        """
        if self.constant(register, blocks):
            return []
        op = self.instructions[register]
        if self.readers[register] != readers:
            return None
        if isinstance(op, Linear):
            return [op] if self.only_use(op) else None
        if not isinstance(op, ELEMENTWISE):
            return None
        parts = [self.makers(x, 1, blocks) for x in op.registers]
        return None if None in parts else [each for part in parts for each in part]

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


def sort_units(
    model: Model, statistics: Statistics, found: list[FreeUnits], damping: float
) -> tuple[Model, Statistics]:
    """Model and statistics with units in the order of the steps of the columns that read them, the finest first.

    Equal up to the order of float32 sums. Units of a value head stand in the order of the first query
    head that reads them.
    """
    values = {i: tensor.values for i, tensor in enumerate(model.tensors)}
    matrices, vectors = dict(statistics.matrices), dict(statistics.vectors)
    for units in found:
        if matrices.keys() >= {*units.makers, *units.gates, units.reader} and _whole_biases(values, units):
            steps = column_log_steps(matrices[units.reader].hessian, damping).reshape(units.heads, units.repeats, -1)
            _permute(values, matrices, vectors, units, np.argsort(steps[:, 0], axis=1, kind="stable"))
    tensors = tuple(replace(tensor, values=values[i]) for i, tensor in enumerate(model.tensors))
    return replace(model, tensors=tensors), replace(statistics, matrices=matrices, vectors=vectors)


def _whole_biases(values: dict[int, np.ndarray], units: FreeUnits) -> bool:
    """Whether each bias has one number a unit, and none for several."""
    columns = values[units.reader].shape[1]
    sizes = [(columns // units.repeats, units.biases), (columns, units.gate_biases)]
    return all(values[bias].shape[-1] == size for size, biases in sizes for bias in biases)


def _permute(
    values: dict[int, np.ndarray],
    matrices: dict[int, MatrixStatistics],
    vectors: dict[int, np.ndarray],
    units: FreeUnits,
    orders: np.ndarray,
) -> None:
    """Put the units of each head into its order; orders : int64[heads, units of a head]."""
    rows, columns = _in_blocks(orders), _in_blocks(np.repeat(orders, units.repeats, axis=0))
    for order, biases in ((rows, units.biases), (columns, units.gate_biases)):
        for bias in biases:
            values[bias] = np.ascontiguousarray(values[bias][..., order])
            if bias in vectors:
                vectors[bias] = np.ascontiguousarray(vectors[bias][..., order])
    for maker in units.makers:
        _permute_rows(values, matrices, maker, rows)
    for gate in units.gates:
        _permute_rows(values, matrices, gate, columns)
    hessian = np.ascontiguousarray(matrices[units.reader].hessian[np.ix_(columns, columns)])
    values[units.reader] = np.ascontiguousarray(values[units.reader][:, columns])
    matrices[units.reader] = replace(matrices[units.reader], hessian=hessian)


def _permute_rows(
    values: dict[int, np.ndarray], matrices: dict[int, MatrixStatistics], tensor: int, rows: np.ndarray
) -> None:
    """Put the rows of a matrix into an order, int64[rows]."""
    values[tensor] = np.ascontiguousarray(values[tensor][rows])
    both = matrices[tensor].output_fisher
    both = None if both is None else np.ascontiguousarray(both[np.ix_(rows, rows)])
    matrices[tensor] = replace(matrices[tensor], row_fisher=matrices[tensor].row_fisher[rows], output_fisher=both)


def absorb_scales(model: Model, statistics: Statistics, found: list[ScaledOutput]) -> tuple[Model, Statistics]:
    """Model and statistics with the scales of outputs multiplied into the rows that make them, and ones in their place.

    Equal up to float32 rounding. Left alone where a scale is 0: the matrix could not take it back.
    """
    values = {i: tensor.values for i, tensor in enumerate(model.tensors)}
    matrices, vectors = dict(statistics.matrices), dict(statistics.vectors)
    for scaled in found:
        maker, vector = scaled.maker, scaled.vector.tensor
        scales = values[vector].astype(np.float64)
        known = maker in matrices and vector in vectors
        if not known or len(np.atleast_2d(scales)) > 1 or not (np.abs(scales) >= LEAST_SCALE).all():
            continue
        rows = np.repeat(scales.ravel(), len(values[maker]) // scales.size)
        values[maker] = (values[maker] * rows[:, None]).astype(np.float32)
        values[vector] = np.ones_like(values[vector])
        both = matrices[maker].output_fisher
        both = None if both is None else (both / np.multiply.outer(rows, rows)).astype(np.float32)
        matrices[maker] = replace(
            matrices[maker], row_fisher=matrices[maker].row_fisher / np.square(rows), output_fisher=both
        )
        vectors[vector] = vectors[vector] * np.square(scales)
    tensors = tuple(replace(tensor, values=values[i]) for i, tensor in enumerate(model.tensors))
    return replace(model, tensors=tensors), replace(statistics, matrices=matrices, vectors=vectors)


def _in_blocks(orders: np.ndarray) -> np.ndarray:
    """Indexes into the whole from the order within each block."""
    blocks, size = orders.shape
    return (orders + size * np.arange(blocks)[:, None]).ravel()
