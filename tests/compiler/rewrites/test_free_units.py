"""Units whose order is free, and scales that belong to a matrix, are found where they are and only there."""

from __future__ import annotations

import pytest
from tiny_models import golf_model, program_of

from bytecap.compiler.rewrites.free_units import (
    FreeUnits,
    ScaledOutput,
    find_hidden_units,
    find_scaled_outputs,
    find_value_dimensions,
)
from bytecap.format.program.operands import Row
from bytecap.format.program.operations import (
    Activation,
    ActivationKind,
    Add,
    Affine,
    Attention,
    Broadcast,
    BroadcastKind,
    CappedAttention,
    Embed,
    Exclude,
    Linear,
    Multiply,
    RmsNorm,
    Rope,
    RopeLayout,
    Scale,
    Shift,
)

RELU, GELU = ActivationKind.RELU_SQUARED, ActivationKind.GELU
MODEL = golf_model(5, num_heads=4, num_kv_heads=2, xsa_last_n=1)
QUERIES = [Embed(0), Linear(0, 1), Linear(0, 2)]  # q and k in registers 1 and 2


def test_the_units_of_a_model_are_found() -> None:
    names = [tensor.name for tensor in MODEL.tensors]
    hidden = [([names[i] for i in units.makers], names[units.reader]) for units in find_hidden_units(MODEL.program)]
    assert hidden == [([f"blocks.{i}.mlp.fc.weight"], f"blocks.{i}.mlp.proj.weight") for i in range(2)]
    found = find_value_dimensions(MODEL.program)
    dimensions = [
        ([names[i] for i in units.makers], names[units.reader], units.heads, units.repeats) for units in found
    ]
    assert dimensions == [([f"blocks.{i}.attn.c_v.weight"], f"blocks.{i}.attn.proj.weight", 2, 2) for i in range(2)]
    assert any(isinstance(op, Exclude) for op in MODEL.program.instructions)


@pytest.mark.parametrize(
    ("operations", "found"),
    [
        ([Embed(0), Linear(0, 1), Activation(1, GELU, 0.0), Linear(2, 2)], [FreeUnits((1,), 2)]),
        ([Embed(0), Linear(0, 1), Linear(1, 2)], [FreeUnits((1,), 2)]),
        (
            [Embed(0), Linear(0, 1), Activation(1, GELU, 0.0), Linear(0, 2), Multiply(2, 3), Linear(4, 3)],
            [FreeUnits((1, 2), 3)],
        ),
        ([Embed(0), Linear(0, 1, Row(3)), Activation(1, RELU, 0.0), Linear(2, 2)], [FreeUnits((1,), 2, biases=(3,))]),
        ([Embed(0), Linear(0, 1, Row(3)), Activation(1, RELU), Linear(2, 2, Row(3))], []),  # a bias is used twice
        (
            [Embed(0), Linear(0, 1), Activation(1, RELU, 0.0), Add(1, 2), Linear(3, 2)],
            [FreeUnits((1,), 2)],
        ),  # the units are read twice, between the same two matrices
        (
            [Embed(0), Linear(0, 1), Activation(1, RELU, 0.0), Linear(2, 2), Linear(2, 3), Add(3, 4)],
            [],
        ),  # the activations are
        ([Embed(0), Linear(0, 1), Activation(1, RELU, 0.0), Linear(2, 1)], []),  # one matrix in both places
        ([Embed(0), Linear(0, 0), Activation(1, RELU, 0.0), Linear(2, 2)], []),  # the rows are tokens
        (
            [
                Embed(0),
                Linear(0, 1),
                Activation(1, RELU, 0.0),
                Linear(2, 2),
                Linear(3, 1),
                Activation(4, RELU, 0.0),
                Linear(5, 2),
            ],
            [FreeUnits((1,), 2)],
        ),  # a loop: every pass sees the same order
        (
            [Embed(0), Linear(0, 1), Linear(1, 2), Activation(2, RELU), Linear(3, 2)],
            [],
        ),  # a matrix that reads other units elsewhere
        (
            [Embed(0), Linear(0, 1), Linear(1, 2), Linear(0, 1), Linear(3, 3), Add(2, 4)],
            [],
        ),  # two matrices read what one makes
        ([Embed(0), Linear(0, 1), RmsNorm(1, 2, 1e-3), Linear(2, 2)], []),  # groups of units
        ([Embed(0), Linear(0, 1), RmsNorm(1, 1, 1e-3), Linear(2, 2)], [FreeUnits((1,), 2)]),
        ([Embed(0), Linear(0, 1), RmsNorm(1, 1, 1e-3, Row(3)), Linear(2, 2)], []),  # each unit has its gain
        (
            [Embed(0), Linear(0, 1), Rope(1, 1, 100.0, 4, RopeLayout.INTERLEAVED), Linear(2, 2)],
            [],
        ),  # units turn in pairs
        ([Embed(0), Add(0, 0), Linear(1, 1)], []),  # the units are the table's
    ],
)
def test_where_the_order_of_hidden_units_is_free(operations: list, found: list) -> None:
    assert find_hidden_units(program_of(*operations)) == found


@pytest.mark.parametrize(
    ("operations", "found"),
    [
        ([*QUERIES, Linear(0, 3), Attention(1, 2, 3, 4, 2, 0.5), Linear(4, 4)], [FreeUnits((3,), 4, 2, 2)]),
        (
            [*QUERIES, Linear(0, 3), Attention(1, 2, 3, 4, 2, 0.5), Exclude(4, 3, 4, 2), Linear(5, 4)],
            [FreeUnits((3,), 4, 2, 2)],
        ),
        ([*QUERIES, Linear(0, 3), Attention(1, 2, 3, 4, 2, 0.5), Exclude(4, 3, 2, 2), Linear(5, 4)], []),  # other heads
        (
            [*QUERIES, Linear(0, 3), Attention(1, 2, 3, 4, 2, 0.5), Exclude(4, 2, 4, 2), Linear(5, 4)],
            [],
        ),  # keys, not values
        (
            [*QUERIES, Linear(0, 3, Row(5)), Attention(1, 2, 3, 4, 2, 0.5), Linear(4, 4, Row(6))],
            [FreeUnits((3,), 4, 2, 2, biases=(5,))],
        ),
        ([*QUERIES, Linear(0, 2), Attention(1, 2, 3, 4, 2, 0.5), Linear(4, 4)], []),  # the matrix makes keys, too
        ([*QUERIES, Attention(1, 2, 2, 4, 2, 0.5), Linear(3, 4)], []),  # the keys are the values
        (
            [*QUERIES, Linear(0, 3), Attention(1, 2, 3, 4, 2, 0.5), Shift(3, 1), Add(5, 4), Linear(6, 4)],
            [],
        ),  # values are read twice
        (
            [*QUERIES, Linear(0, 3), Attention(1, 2, 3, 4, 2, 0.5), Linear(4, 4), Linear(4, 5), Add(5, 6)],
            [],
        ),  # two readers
        (
            [*QUERIES, Linear(0, 3), Attention(1, 2, 3, 4, 2, 0.5), RmsNorm(4, 1, 1e-3), Linear(5, 4)],
            [FreeUnits((3,), 4, 2, 2)],
        ),
        ([*QUERIES, Linear(0, 3), Attention(1, 2, 3, 4, 2, 0.5), RmsNorm(4, 4, 1e-3), Linear(5, 4)], []),
        ([*QUERIES, Linear(0, 3), Attention(1, 2, 3, 4, 2, 0.5), RmsNorm(4, 1, 1e-3, Row(5)), Linear(5, 4)], []),
    ],
)
def test_where_the_order_of_value_dimensions_is_free(operations: list, found: list) -> None:
    assert find_value_dimensions(program_of(*operations)) == found


VALUES = [*QUERIES, Linear(0, 3), CappedAttention(1, 2, 3, 4, 2, 0.5, 0, False, 30.0, Row(7))]  # 4 heads of width 3
SPREAD, TILED = BroadcastKind.SPREAD, BroadcastKind.TILED


@pytest.mark.parametrize(
    ("gate", "found"),
    [
        ([Linear(0, 5), Broadcast(5, 12, SPREAD), Multiply(4, 6)], [FreeUnits((3,), 4, 2, 2)]),
        ([Linear(0, 5), Broadcast(5, 12, SPREAD), Affine(6, 2.0, 1.0), Multiply(7, 4)], [FreeUnits((3,), 4, 2, 2)]),
        ([Linear(0, 5), Broadcast(5, 12, TILED), Multiply(4, 6)], []),  # one value for each third of the elements
        ([Linear(0, 6), Broadcast(5, 12, SPREAD), Multiply(4, 6)], []),  # several values a head
        ([Linear(0, 8), Broadcast(5, 12, TILED), Multiply(4, 6)], [FreeUnits((3,), 4, 2, 2)]),  # one value for all
        ([Linear(0, 9), Activation(5, ActivationKind.SIGMOID), Multiply(4, 6)], [FreeUnits((3,), 4, 2, 2, (9,))]),
        ([Linear(0, 9, Row(10)), Multiply(4, 5)], [FreeUnits((3,), 4, 2, 2, (9,), (), (10,))]),
        ([Linear(0, 9), Multiply(4, 5), Add(5, 6)], []),  # the gate is read elsewhere
    ],
)
def test_gates_that_leave_the_order_of_value_dimensions_free(gate: list, found: list) -> None:
    operations = [*VALUES, *gate]
    operations.append(Linear(len(operations) - 1, 4))
    rows = {0: 24, 1: 16, 2: 8, 3: 6, 4: 24, 5: 4, 6: 12, 8: 1, 9: 12}
    assert find_value_dimensions(program_of(*operations), widths_of(operations, rows)) == found


def widths_of(operations: list, rows: dict[int, int]) -> list[int]:
    """Widths of the registers of a program whose weights have so many rows."""
    widths = []
    for op in operations:
        if isinstance(op, Embed):
            widths.append(8)
        elif isinstance(op, Linear):
            widths.append(rows[op.weight])
        elif isinstance(op, CappedAttention):
            widths.append(12)
        else:
            widths.append(op.width if isinstance(op, Broadcast) else widths[op.registers[0]])
    return widths


def test_hidden_units_times_a_gate_of_one_value() -> None:
    operations = [Embed(0), Linear(0, 1), Linear(0, 2), Broadcast(2, 12, SPREAD), Multiply(1, 3), Linear(4, 3)]
    for rows, found in ((1, [FreeUnits((1,), 3)]), (2, [])):
        assert find_hidden_units(program_of(*operations), widths_of(operations, {1: 12, 2: rows, 3: 24})) == found


@pytest.mark.parametrize(
    ("operations", "found"),
    [
        ([Embed(0), Linear(0, 1), Scale(1, Row(2)), Linear(2, 3)], [ScaledOutput(1, Row(2))]),
        ([Embed(0), Linear(0, 1, Row(3)), Scale(1, Row(2)), Linear(2, 4)], []),  # the bias is scaled, too
        ([Embed(0), Linear(0, 1), Scale(1, Row(2)), Add(1, 2), Linear(3, 3)], []),  # the output is read twice
        (
            [Embed(0), Linear(0, 1), Scale(1, Row(2)), Linear(2, 1), Scale(3, Row(3)), Linear(4, 4)],
            [],
        ),  # the matrix is used twice
        (
            [Embed(0), Linear(0, 1), Scale(1, Row(2, 0)), Linear(2, 3), Scale(3, Row(2, 1)), Linear(4, 4)],
            [],
        ),  # the vectors' tensor is
        (
            [Embed(0), Linear(0, 1), Scale(1, Row(2)), Linear(2, 1), Scale(3, Row(2)), Linear(4, 4)],
            [ScaledOutput(1, Row(2))],
        ),  # a loop
        ([Embed(0), Scale(0, Row(2)), Linear(1, 1)], []),  # the rows are tokens
        ([Embed(0), Linear(0, 0), Scale(1, Row(2)), Linear(2, 1)], []),  # the matrix is a table
        (
            [Embed(0), Linear(0, 1), Activation(1, GELU, 0.0), Scale(2, Row(2)), Linear(3, 3)],
            [],
        ),  # no matrix makes them alone
    ],
)
def test_where_a_scale_belongs_to_a_matrix(operations: list, found: list) -> None:
    assert find_scaled_outputs(program_of(*operations)) == found
