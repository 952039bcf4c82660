"""The units of a model at every granularity: tensors, rows, channels, blocks, heads, tokens.

Strategy: a unit is a set of weights, a list of submatrices, each a tensor seen as a matrix and the rows
and columns of it that belong to the unit. Units of one granularity share no weight, so that their
sensitivities add up. Heads (compiler/model/attention_heads.py) and token tables are found in the
program. Blocks go by the names of the tensors, which say what a loop or a shared layer is; where names
do not, a block starts with the first linear map that leads to an attention.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...compiler.model.attention_heads import AttentionMaps, find_attentions, maker
from ...compiler.model.model import Model
from ...compiler.model.structure import embedding_tables, output_head, token_tables
from ...errors import CheckpointError, CompileError
from ...format.program.operations import Attention, CappedAttention, Linear
from ...format.program.program import Program
from ...format.tensors.grid import matrix_shape

GRANULARITIES = ("tensors", "rows", "channels", "blocks", "heads", "tokens")
BLOCK_NAME = re.compile(r"(?:.*\.)?(?:blocks?|layers?|h)\.\d+(?=\.)")
REST = "outside blocks"


@dataclass(frozen=True, slots=True)
class Submatrix:
    """Weights of tensor `tensor`, seen as a matrix: a range of rows by a range of columns."""

    tensor: int
    rows: slice
    columns: slice


@dataclass(frozen=True, slots=True)
class WeightSet:
    """One unit: a named set of weights; `weights` is their number, `submatrices` share none."""

    name: str
    submatrices: tuple[Submatrix, ...]
    weights: int


def find_units(model: Model, kind: str) -> list[WeightSet]:
    """Every unit of a granularity, one of GRANULARITIES, in program order.

    tensors, blocks : all weights; rows, channels : of matrices; heads : of attention, query heads (rows
        of q, columns of the map that reads the attention) apart from key-value heads (rows of k and v)
        where several queries share one; tokens : rows of the tables that embed tokens or make their
        logits. Raises CompileError for another granularity, CheckpointError when the program has no such units.
    """
    if kind not in GRANULARITIES:
        raise CompileError(f"there is no unit {kind!r}; there are {', '.join(GRANULARITIES)}")
    found = {
        "tensors": _tensors,
        "rows": _rows,
        "channels": _channels,
        "blocks": _blocks,
        "heads": _heads,
        "tokens": _tokens,
    }[kind](model)
    if not found:
        raise CheckpointError(f"the model has no {kind} that can be found in its program; choose another unit")
    return found


def matrices_of(model: Model) -> list[int]:
    """Tensors that are multiplied with or looked up in, in order."""
    used = {op.weight for op in model.program.instructions if isinstance(op, Linear)}
    return sorted(used | embedding_tables(model.program))


def _shape(model: Model, tensor: int) -> tuple[int, int]:
    return matrix_shape(model.tensors[tensor].values.shape)


def weight_set(name: str, submatrices: list[Submatrix]) -> WeightSet:
    """The submatrices as one set, each named once."""
    kept = list(
        {(p.tensor, p.rows.start, p.rows.stop, p.columns.start, p.columns.stop): p for p in submatrices}.values()
    )
    return WeightSet(
        name, tuple(kept), sum((p.rows.stop - p.rows.start) * (p.columns.stop - p.columns.start) for p in kept)
    )


def _submatrix(model: Model, tensor: int, rows: slice | None = None, columns: slice | None = None) -> Submatrix:
    """A submatrix with its ranges written out."""
    shape = _shape(model, tensor)
    return Submatrix(tensor, rows or slice(0, shape[0]), columns or slice(0, shape[1]))


def _tensors(model: Model) -> list[WeightSet]:
    return [weight_set(t.name, [_submatrix(model, i)]) for i, t in enumerate(model.tensors)]


def _rows(model: Model) -> list[WeightSet]:
    return [
        weight_set(f"{model.tensors[i].name} row {r}", [_submatrix(model, i, rows=slice(r, r + 1))])
        for i in matrices_of(model)
        for r in range(_shape(model, i)[0])
    ]


def _channels(model: Model) -> list[WeightSet]:
    return [
        weight_set(f"{model.tensors[i].name} column {c}", [_submatrix(model, i, columns=slice(c, c + 1))])
        for i in matrices_of(model)
        for c in range(_shape(model, i)[1])
    ]


def _tokens(model: Model) -> list[WeightSet]:
    tables = [i for i in token_tables(model.program) if _shape(model, i)[0] == model.program.vocabulary_size]
    tokens = range(model.program.vocabulary_size if tables else 0)
    return [weight_set(f"token {t}", [_submatrix(model, i, rows=slice(t, t + 1)) for i in tables]) for t in tokens]


def _blocks(model: Model) -> list[WeightSet]:
    names = {i: match[0] for i, t in enumerate(model.tensors) if (match := BLOCK_NAME.match(t.name))}
    blocks: dict[str, list[Submatrix]] = {}
    places = names or _blocks_by_program(model.program)
    for i in range(len(model.tensors)):
        blocks.setdefault(places.get(i, REST), []).append(_submatrix(model, i))
    return [weight_set(name, submatrices) for name, submatrices in blocks.items()]


def _blocks_by_program(program: Program) -> Mapping[int, str]:
    """Block of each tensor whose first use lies between two attentions' first linear maps; the head is in none."""
    starts = []
    for op in program.instructions:
        if isinstance(op, Attention | CappedAttention):
            makers = [maker(program, register) for register in (op.q, op.k, op.v)]
            starts += [min(index for index, _ in filter(None, makers))] if any(makers) else []
    head, places = output_head(program), {}
    for index, op in enumerate(program.instructions[:head]):
        block = int(np.searchsorted(np.unique(starts), index, side="right"))
        for tensor in op.tensors if block else ():
            places.setdefault(tensor, f"block {block - 1}")
    outside = {*token_tables(program), program.instructions[head].weight}
    return {tensor: name for tensor, name in places.items() if tensor not in outside}


def _heads(model: Model) -> list[WeightSet]:
    found = find_attentions(model.program, [tensor.values.shape for tensor in model.tensors])
    return [unit for number, maps in enumerate(found) for unit in _heads_of(model, maps, number)]


def _heads_of(model: Model, maps: AttentionMaps, number: int) -> list[WeightSet]:
    """Units of one attention, number `number` of the program."""
    op, made, key, value = maps.operation, maps.made, maps.key, maps.value
    match = BLOCK_NAME.match(model.tensors[made[0][0]].name)
    place = match[0] if match else f"attention {number}"

    def rows(which: int, head: int, size: int) -> Submatrix:
        tensor, first = made[which]
        return _submatrix(model, tensor, rows=slice(first + head * size, first + (head + 1) * size))

    queries = [
        [rows(0, h, key), *(_submatrix(model, t, columns=slice(h * value, (h + 1) * value)) for t in maps.readers)]
        for h in range(op.heads)
    ]
    shared = [[rows(1, h, key), rows(2, h, value)] for h in range(op.kv_heads)]
    if op.heads == op.kv_heads:
        return [weight_set(f"{place} head {h}", q + kv) for h, (q, kv) in enumerate(zip(queries, shared, strict=True))]
    return [weight_set(f"{place} query head {h}", submatrices) for h, submatrices in enumerate(queries)] + [
        weight_set(f"{place} key-value head {h}", submatrices) for h, submatrices in enumerate(shared)
    ]
