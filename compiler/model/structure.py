"""What the tensors of a program are for: the output head, the token tables, the embedding tables.

Strategy: one rule for each question, read off the instructions and never off tensor names, so that
every part of the compiler and of the lab means the same tensor. The heads of attention and the residual
streams have modules of their own beside this one.
"""

from __future__ import annotations

from ...errors import CheckpointError
from ...format.program.operations import (
    Embed,
    HashEmbed,
    LayerNorm,
    Linear,
    PositionEmbed,
    Rotate,
)
from ...format.program.program import Program
from ...format.program.roles import find_head
from .model import Model


def output_head(program: Program) -> int:
    """Index of the linear instruction that makes the logits, as `find_head`; CheckpointError when there is none."""
    head = find_head(program)
    if head is None:
        raise CheckpointError("the model's logits are not made by one linear map")
    return head


def embedding_tables(program: Program) -> set[int]:
    """Tensors that a program looks up rows of, by token, by a hash of tokens or by position."""
    return {op.table for op in program.instructions if isinstance(op, Embed | HashEmbed | PositionEmbed)}


def exact_tensors(program: Program) -> set[int]:
    """Tensors that are part of the architecture and no weights, so that they are stored as they are: the frequencies of
    rotations, and a gain that all LayerNorms share, which stands for none.
    """
    turns = [op for op in program.instructions if isinstance(op, Rotate)]
    gains = [op.gain.tensor for op in program.instructions if isinstance(op, LayerNorm)]
    shared = set(gains) if len(gains) > 1 and len(set(gains)) == 1 else set()
    return {op.frequencies.tensor for op in turns if op.frequencies is not None} | shared


def widest_input(model: Model) -> int:
    """Most inputs of a linear map; 0 where there is none."""
    weights = {op.weight for op in model.program.instructions if isinstance(op, Linear)}
    return max((model.tensors[weight].values.shape[-1] for weight in weights), default=0)


def token_tables(program: Program) -> list[int]:
    """Tensors with one row a token, ascending: what embeds tokens, and the weight of the head, tied or not.

    Where no linear map makes the logits there is no head, and what embeds is all: a linear map
    elsewhere has no row a token.
    """
    tables = {op.table for op in program.instructions if isinstance(op, Embed)}
    head = find_head(program)
    return sorted(tables if head is None else tables | {program.instructions[head].weight})
