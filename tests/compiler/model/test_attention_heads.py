"""Heads of attention as lines of the maps around it, found in the program, and offered to the
candidates of these maps.
"""

from __future__ import annotations

from tiny_models import golf_model

from bytecap.compiler.model.attention_heads import HeadLines, find_attentions, head_lines
from bytecap.format.program.operations import Attention, Embed, Linear, Slice
from bytecap.format.program.program import Program


def test_lines_of_every_head() -> None:
    """Two query heads that share one key-value head, each 8 wide."""
    model = golf_model()
    names = {t.name: i for i, t in enumerate(model.tensors)}
    found = head_lines(model.program, [t.values.shape for t in model.tensors])
    two, one = ((0, 8), (8, 16)), ((0, 8),)
    expected = {"c_q": HeadLines(0, two), "c_k": HeadLines(0, one), "c_v": HeadLines(0, one), "proj": HeadLines(1, two)}
    assert found == {
        names[f"blocks.{layer}.attn.{name}.weight"]: lines for layer in range(2) for name, lines in expected.items()
    }


def test_a_fused_map_has_the_heads_of_all_that_it_makes() -> None:
    """Queries of two heads, keys and values of one, cut out of one map's outputs."""
    attention = Attention(2, 3, 4, 2, 1, 0.5, 0, False)
    program = Program(
        (
            Embed(0),
            Linear(0, 1, None),
            Slice(1, 0, 8),
            Slice(1, 8, 12),
            Slice(1, 12, 16),
            attention,
            Linear(5, 2, None),
        ),
        8,
        4,
        0,
    )
    shapes = [(8, 8), (16, 8), (8, 8)]
    (maps,) = find_attentions(program, shapes)
    assert (maps.made, maps.readers, maps.key, maps.value) == (((1, 0), (1, 8), (1, 12)), (2,), 4, 4)
    assert head_lines(program, shapes) == {
        1: HeadLines(0, ((0, 4), (4, 8), (8, 12), (12, 16))),
        2: HeadLines(1, ((0, 4), (4, 8))),
    }


def test_a_model_without_attention_has_no_heads() -> None:
    program = Program((Embed(0), Linear(0, 1, None)), 8, 4, 0)
    assert head_lines(program, [(8, 8), (8, 8)]) == {}
