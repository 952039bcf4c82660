"""A program in a few words: true sentences for models of several shapes."""

from __future__ import annotations

import pytest
from tiny_models import golf_model

from bytecap.format.program.operands import Row
from bytecap.format.program.operations import (
    Activation,
    ActivationKind,
    Add,
    Attention,
    CappedAttention,
    Embed,
    LayerNorm,
    Linear,
    PositionEmbed,
    Scan,
)
from bytecap.format.program.program import Program, validate_program
from bytecap.format.program.summary import summarize_program


def summary_of(instructions, shapes, vocabulary=8, length=8, aliases=None):
    program = Program(tuple(instructions), vocabulary, length, 0)
    return summarize_program(program, validate_program(program, shapes), aliases)


def test_a_model_without_attention():
    found = summary_of([Embed(0), Linear(0, 1)], [(8, 4), (8, 4)])
    assert found.words == "a model without attention of width 4, a head of its own"
    assert (found.layers, found.width, found.vocabulary, found.context, found.heads) == (0, 4, 8, 8, 0)
    assert summary_of([Embed(0), Linear(0, 1)], [(8, 4), (8, 4)], aliases={1: 0}).words.endswith(
        "head tied to the token table"
    )


def test_models_that_carry_a_state():
    scan = [Linear(0, 1), Scan(0, 1, 1, 1, 2, 1, 2)]
    shapes = [(8, 4), (2, 4), (2,)]
    found = summary_of([Embed(0), *scan, Linear(2, 0)], shapes)
    words = "states of 2 heads of 2 by 2, head tied to the token table"
    assert found.words == f"a state-space model of 1 layer and width 4, {words}"
    assert (found.layers, found.heads) == (1, 0)
    found = summary_of([Embed(0), *scan, Attention(2, 2, 2, 1, 1, 1.0), Linear(3, 0)], shapes)
    assert found.words == f"a hybrid of 1 attention and 1 scan and width 4, 1 head of 4, {words}"
    assert (found.layers, found.heads) == (1, 1)


@pytest.mark.parametrize("window", [0, 3])
def test_weights_that_run_twice(window):
    layer = [
        lambda r: LayerNorm(r, 1e-5, Row(2)),
        lambda r: Linear(r, 3),
        lambda r: CappedAttention(r, r, r, 2, 2, 1.0, window, False, 0.0, Row(6)),
        lambda r: Linear(r, 4),
        lambda r: Activation(r, ActivationKind.GELU),
        lambda r: Linear(r, 5),
    ]
    instructions = [Embed(0), PositionEmbed(1), Add(0, 1)]
    for _ in range(2):
        for make in layer:
            instructions.append(make(len(instructions) - 1))
    shapes = [(8, 4), (20, 4), (4,), (4, 4), (4, 4), (4, 4), (2,)]
    instructions.append(Linear(len(instructions) - 1, 0))
    found = summary_of(instructions, shapes)
    windows = "windows of 3, " if window else ""
    assert found.words == (
        "a transformer of 2 layers run with the weights of 1 and width 4, 2 heads of 2, "
        f"{windows}attention sinks, a table of positions, MLPs of 4 (gelu), layer norms, head tied to the token table"
    )
    assert (found.longest_context, found.layers, found.kv_heads) == (20, 2, 2)


def test_a_model_of_the_challenge():
    model = golf_model()
    shapes = [tensor.values.shape for tensor in model.tensors]
    found = summarize_program(model.program, validate_program(model.program, shapes))
    assert found.words.startswith(f"a transformer of {found.layers} layers and width {found.width}, ")
    assert "rotary positions" in found.words and "relu-squared" in found.words
    assert found.layers == sum(isinstance(each, Attention) for each in model.program.instructions)
