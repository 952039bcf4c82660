"""Attention and the linear maps around it, found in the program."""

from __future__ import annotations

from tiny_models import golf_model

from bytecap.compiler.model.attention_heads import attended, find_attentions
from bytecap.format.program.operands import Row
from bytecap.format.program.operations import (
    Affine,
    Attention,
    Broadcast,
    BroadcastKind,
    CappedAttention,
    Embed,
    Linear,
    Multiply,
    RmsNorm,
    ScaleTiled,
    Slice,
)
from bytecap.format.program.program import Program


def test_the_maps_of_every_attention() -> None:
    """Two query heads that share one key-value head, each 8 wide."""
    model = golf_model()
    names = {t.name: i for i, t in enumerate(model.tensors)}
    found = find_attentions(model.program, [t.values.shape for t in model.tensors])
    assert len(found) == 2
    for layer, maps in enumerate(found):
        q, k, v, o = (names[f"blocks.{layer}.attn.{name}.weight"] for name in ("c_q", "c_k", "c_v", "proj"))
        assert (maps.made, maps.readers, maps.key, maps.value) == (((q, 0), (k, 0), (v, 0)), (o,), 8, 8)
        assert (maps.operation.heads, maps.operation.kv_heads) == (2, 1)


def test_keys_and_values_are_attended() -> None:
    """Not queries, whose outputs nothing but their own token reads; nor what attends to nothing."""
    program, names = golf_model().program, [t.name for t in golf_model().tensors]
    found = {names[program.instructions[k].weight]: register for k, register in attended(program).items()}
    assert sorted(found) == [f"blocks.{layer}.attn.{name}.weight" for layer in (0, 1) for name in ("c_k", "c_v")]
    assert found["blocks.0.attn.c_k.weight"] == found["blocks.0.attn.c_v.weight"]
    assert attended(Program((Embed(0), Linear(0, 1)), 8, 4, 0)) == {}


def test_a_fused_map_makes_queries_keys_and_values() -> None:
    """Queries of two heads, keys and values of one, cut out of one map's outputs."""
    attention = Attention(2, 3, 4, 2, 1, 0.5, 0, False)
    cuts = (Slice(1, 0, 8), Slice(1, 8, 12), Slice(1, 12, 16))
    program = Program((Embed(0), Linear(0, 1, None), *cuts, attention, Linear(5, 2, None)), 8, 4, 0)
    (maps,) = find_attentions(program, [(8, 8), (16, 8), (8, 8)])
    assert (maps.made, maps.readers, maps.key, maps.value) == (((1, 0), (1, 8), (1, 12)), (2,), 4, 4)
    assert attended(program) == {1: 0}


def test_bounded_scores_shared_gains_and_gates_of_one_value_a_head() -> None:
    """Queries and keys normalized a head with gains that the heads share, outputs gated by two values."""
    program = Program(
        (
            Embed(0),
            Linear(0, 1),
            RmsNorm(1, 2, 1e-6),
            ScaleTiled(2, Row(2)),
            Linear(0, 3),
            Affine(4, 0.5, 0.0),
            Linear(0, 4),
            CappedAttention(3, 5, 6, 2, 1, 0.5, 0, False, 30.0, Row(5)),
            Linear(0, 6),
            Broadcast(8, 8, BroadcastKind.SPREAD),
            Multiply(7, 9),
            Linear(10, 7),
        ),
        8,
        4,
        0,
    )
    shapes = [(8, 8), (8, 8), (4,), (4, 8), (4, 8), (2,), (2, 8), (8, 8)]
    (maps,) = find_attentions(program, shapes)
    assert (maps.made, maps.readers, maps.key, maps.value) == (((1, 0), (3, 0), (4, 0)), (7,), 4, 4)


def test_a_model_without_attention_has_none() -> None:
    program = Program((Embed(0), Linear(0, 1, None)), 8, 4, 0)
    assert find_attentions(program, [(8, 8), (8, 8)]) == []
