"""Free units and factors are found where they are free and only there, and exchanging them changes nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import WIDTHS, Builder, RandomProgram, add_embed, add_head
from tiny_models import bare_model, golf_model, random_sequences

from bytecap.compiler.model.model import Model
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.compiler.quantize.grid_matrix import column_log_steps
from bytecap.compiler.recipe import Recipe
from bytecap.compiler.rewrites import exchange_symmetries
from bytecap.compiler.rewrites.free_units import (
    FreeUnits,
    ScaledOutput,
    find_hidden_units,
    find_scaled_outputs,
    find_value_dimensions,
)
from bytecap.compiler.rewrites.symmetries import absorb_scales, sort_units
from bytecap.compiler.settings import QuantizationSettings, SymmetrySettings
from bytecap.compiler.statistics.calibration import MatrixStatistics, Statistics, measure_statistics
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
    Operation,
    RmsNorm,
    Rope,
    RopeLayout,
    Scale,
    Shift,
)
from bytecap.format.program.program import Program, validate_program
from bytecap.runtime.interpreter import Interpreter

SEQUENCES = random_sequences(24, 12, 16, seed=3)
RELU, GELU = ActivationKind.RELU_SQUARED, ActivationKind.GELU
DAMPING = 0.003
MODEL = golf_model(5, num_heads=4, num_kv_heads=2, xsa_last_n=1)
QUERIES = [Embed(0), Linear(0, 1), Linear(0, 2)]  # q and k in registers 1 and 2


def program(*operations: Operation) -> Program:
    return Program(operations, 24, 16, 1)


def measured(model: Model) -> Statistics:
    return measure_statistics(model, SEQUENCES, batch_sequences=4, seed=0, device="cpu", threads=1)


def logits(model: Model) -> torch.Tensor:
    tensors = {i: torch.from_numpy(t.values) for i, t in enumerate(model.tensors)}
    return TorchExecutor(model.program, tensors).forward(torch.from_numpy(SEQUENCES))


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
    assert find_hidden_units(program(*operations)) == found


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
    assert find_value_dimensions(program(*operations)) == found


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
    assert find_value_dimensions(program(*operations), widths_of(operations, rows)) == found


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
        assert find_hidden_units(program(*operations), widths_of(operations, {1: 12, 2: rows, 3: 24})) == found


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
    assert find_scaled_outputs(program(*operations)) == found


@pytest.mark.parametrize(
    ("scales", "absorbed"),
    [([2.0, -0.5], True), ([3.0], True), ([[1.5, 0.5]], True), ([1.0, 0.0], False), ([[1.0, 2.0]] * 2, False)],
)
def test_scales_go_into_the_rows_that_they_scale(scales: list, absorbed: bool) -> None:
    random = np.random.default_rng(0)
    matrix, scales = random.standard_normal((4, 3)).astype(np.float32), np.array(scales, np.float32)
    model = bare_model(
        program(Embed(0), Linear(0, 1), Scale(1, Row(2)), Linear(2, 3)),
        random.random((24, 3)),
        matrix,
        scales,
        random.random((24, 4)),
    )
    statistics = Statistics(
        {1: MatrixStatistics(np.eye(3), np.arange(1.0, 5.0))}, {2: np.ones_like(scales, np.float64)}, 1
    )
    after, found = absorb_scales(model, statistics, find_scaled_outputs(model.program))
    rows = np.repeat(scales.ravel(), 4 // scales.size) if absorbed else np.ones(4)
    np.testing.assert_allclose(after.tensors[1].values, matrix * rows[:, None], rtol=1e-6)
    np.testing.assert_allclose(found.matrices[1].row_fisher, np.arange(1, 5) / rows**2, rtol=1e-6)
    np.testing.assert_array_equal(after.tensors[2].values, np.ones_like(scales) if absorbed else scales)
    np.testing.assert_allclose(found.vectors[2], scales**2 if absorbed else np.ones_like(scales), rtol=1e-6)
    assert {t.values.dtype for t in after.tensors} == {np.dtype(np.float32)}


def exchanged(model: Model, statistics: Statistics, **switches: bool) -> tuple[Model, Statistics]:
    """The rewrite with these switches."""
    settings = {"symmetries": SymmetrySettings(**switches), "quantization": QuantizationSettings(damping=DAMPING)}
    return exchange_symmetries(model, statistics, Recipe("test", **settings))


def test_scales_of_a_model_become_ones() -> None:
    statistics = measured(MODEL)
    after, found = exchanged(MODEL, statistics, hidden_units=False, value_dimensions=False)
    torch.testing.assert_close(logits(MODEL), logits(after), rtol=1e-4, atol=1e-4)
    ones = {t.name for t in after.tensors if (t.values == 1).all()}
    assert ones >= {f"blocks.{i}.{kind}_scale" for i in range(2) for kind in ("attn", "mlp")}
    again = measured(after)
    for i, fisher in found.vectors.items():
        np.testing.assert_allclose(fisher, again.vectors[i], rtol=0.01, atol=1e-12)
    for i, matrix in found.matrices.items():
        np.testing.assert_allclose(matrix.row_fisher, again.matrices[i].row_fisher, rtol=0.01)
        if matrix.output_fisher is not None:
            largest = matrix.row_fisher.max()
            np.testing.assert_allclose(matrix.output_fisher, again.matrices[i].output_fisher, atol=0.01 * largest)


def test_sorting_changes_the_order_and_nothing_else() -> None:
    statistics = measured(MODEL)
    sorted_model, found = exchanged(MODEL, statistics, output_scales=False)
    torch.testing.assert_close(logits(MODEL), logits(sorted_model), rtol=1e-4, atol=1e-4)
    again = measured(sorted_model)
    units = find_hidden_units(MODEL.program) + find_value_dimensions(MODEL.program)
    for each in units:
        steps = column_log_steps(found.matrices[each.reader].hessian, DAMPING).reshape(each.heads, each.repeats, -1)
        assert (np.diff(steps[:, 0]) > -1e-9).all() and steps[:, 0].std() > 0.01
        for i in (*each.makers, each.reader):
            assert not np.array_equal(sorted_model.tensors[i].values, MODEL.tensors[i].values)
    for i, matrix in found.matrices.items():
        np.testing.assert_allclose(matrix.row_fisher, again.matrices[i].row_fisher, rtol=0.05)
        if matrix.output_fisher is not None:
            largest = matrix.row_fisher.max()
            np.testing.assert_allclose(matrix.output_fisher, again.matrices[i].output_fisher, atol=0.05 * largest)
        np.testing.assert_allclose(matrix.hessian, again.matrices[i].hessian, rtol=0.02, atol=1e-4)
        assert sorted_model.tensors[i].values.flags.c_contiguous
    assert [t.name for t in sorted_model.tensors] == [t.name for t in MODEL.tensors]


def add_hidden(b: Builder, x: int) -> int:
    """Linear, something element by element, perhaps gated, and a linear map back."""
    width = b.pick(*WIDTHS)

    def made() -> int:
        hidden = b.emit(Linear(x, b.matrix(width, b.widths[x]), b.optional_vector(width)), width)
        kind = b.pick(*ActivationKind, None)
        slope = 0.5 if kind is ActivationKind.LEAKY_RELU_SQUARED else 0.0
        return hidden if kind is None else b.emit(Activation(hidden, kind, slope), width)

    hidden = made()
    if b.pick(True, False):
        hidden = b.emit(b.pick(Multiply, Add)(hidden, made()), width)
    if b.pick(True, False):
        hidden = gated(b, hidden, x, 1)
    return add_scaled_linear(b, hidden, b.widths[x])


def add_heads(b: Builder, x: int) -> int:
    """Attention with rotated queries and keys and plain values, perhaps without its own values, and a
    linear map back.
    """
    kv_heads, group, key_width, value_width = b.pick(1, 2), b.pick(1, 2, 3), 4, b.pick(2, 3)
    q, k, v = (
        b.emit(Linear(x, b.matrix(n, b.widths[x]), b.optional_vector(n)), n)
        for n in (kv_heads * group * key_width, kv_heads * key_width, kv_heads * value_width)
    )
    q, k = (b.emit(Rope(r, b.widths[r] // key_width, 100.0, 4, RopeLayout.HALF_SPLIT), b.widths[r]) for r in (q, k))
    heads = kv_heads * group
    if b.pick(True, False):
        attention = Attention(q, k, v, heads, kv_heads, 0.5)
    else:
        attention = CappedAttention(q, k, v, heads, kv_heads, 0.5, 0, False, 2.0, b.optional_vector(heads))
    y = b.emit(attention, heads * value_width)
    if b.pick(True, False):
        y = b.emit(Exclude(y, v, heads, kv_heads), b.widths[y])
    if b.pick(True, False):
        y = gated(b, y, x, heads)
    if b.pick(True, False):
        gate = b.emit(Linear(x, b.matrix(b.widths[y], b.widths[x])), b.widths[y])
        y = b.emit(Multiply(b.emit(Activation(gate, ActivationKind.SIGMOID), b.widths[y]), y), b.widths[y])
    return add_scaled_linear(b, y, b.widths[x])


def gated(b: Builder, y: int, x: int, values: int) -> int:
    """A register times a gate of so many values, perhaps with a factor and an offset."""
    width = b.widths[y]
    gate = b.emit(Linear(x, b.matrix(values, b.widths[x])), values)
    gate = b.emit(Broadcast(gate, width, SPREAD), width)
    return b.emit(Multiply(y, b.emit(Affine(gate, 0.5, 1.0), width)), width)


def add_scaled_linear(b: Builder, x: int, width: int) -> int:
    y = b.emit(Linear(x, b.matrix(width, b.widths[x])), width)
    return b.emit(Scale(y, b.vector(width)), width)


@st.composite
def residual_programs(draw) -> RandomProgram:
    """Layers of hidden units and of attention that each add to what they read."""
    b = Builder(draw, np.random.default_rng(draw(st.integers(0, 2**32 - 1))), 7)
    x = add_embed(b)
    for add_layer in draw(st.lists(st.sampled_from([add_hidden, add_heads]), min_size=1, max_size=3)):
        normalized = b.emit(RmsNorm(x, 1, 1e-2), b.widths[x])
        x = b.emit(Add(x, add_layer(b, normalized)), b.widths[x])
    add_head(b)
    return RandomProgram(Program(tuple(b.instructions), 7, 16, 1), b.tensors, b.random.integers(0, 7, (2, 9)))


def drawn_statistics(model: Model) -> Statistics:
    """Positive definite moments and positive Fisher information of every matrix, whatever the model does."""
    random = np.random.default_rng(0)
    moments = {
        i: random.standard_normal((t.values.shape[1], 3 * t.values.shape[1]))
        for i, t in enumerate(model.tensors)
        if t.values.ndim == 2
    }
    fisher = {i: random.uniform(0.1, 2.0, len(model.tensors[i].values)) for i in moments}
    vectors = {i: np.ones(t.values.shape) for i, t in enumerate(model.tensors)}
    return Statistics({i: MatrixStatistics(m @ m.T, fisher[i]) for i, m in moments.items()}, vectors, 1)


@settings(max_examples=40)
@given(residual_programs())
def test_random_programs_do_not_see_exchanges(drawn: RandomProgram) -> None:
    model = bare_model(drawn.program, *drawn.tensors)
    widths = validate_program(model.program, [tensor.shape for tensor in drawn.tensors]).widths
    hidden, dimensions = find_hidden_units(model.program, widths), find_value_dimensions(model.program, widths)
    attentions = sum(isinstance(op, Attention | CappedAttention) for op in model.program.instructions)
    assert len(dimensions) == attentions and len(hidden) + attentions >= 1
    scaled = find_scaled_outputs(model.program)
    assert len(scaled) == sum(isinstance(op, Scale) for op in model.program.instructions)
    sorted_model, _ = sort_units(*absorb_scales(model, drawn_statistics(model), scaled), hidden + dimensions, DAMPING)
    before, after = (
        Interpreter(m.program, [t.values for t in m.tensors]).logits(drawn.tokens) for m in (model, sorted_model)
    )
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4 * np.abs(before).max())


def test_a_model_without_such_units_stays_as_it_is() -> None:
    random = np.random.default_rng(0)
    model = bare_model(
        program(Embed(0), Linear(0, 1)), random.standard_normal((24, 8)), random.standard_normal((24, 8))
    )
    for sorted_model, _ in (
        exchanged(model, measured(model)),
        exchanged(MODEL, measured(MODEL), hidden_units=False, value_dimensions=False, output_scales=False),
    ):
        before = model if len(sorted_model.tensors) == len(model.tensors) else MODEL
        assert all(
            np.array_equal(a.values, b.values) for a, b in zip(before.tensors, sorted_model.tensors, strict=True)
        )


def test_equal_tensors_stay_equal() -> None:
    """Neither sorted nor scaled, so that one may be stored as the other."""
    names = [t.name for t in MODEL.tensors]
    first, second = (names.index(f"blocks.{i}.attn.c_v.weight") for i in (0, 1))
    values = MODEL.tensors[first].values
    twins = replace(
        MODEL,
        tensors=tuple(replace(t, values=values if i == second else t.values) for i, t in enumerate(MODEL.tensors)),
    )
    after, _ = exchanged(twins, measured(twins))
    assert np.array_equal(after.tensors[first].values, after.tensors[second].values)
    assert not np.array_equal(
        after.tensors[names.index("blocks.0.mlp.fc.weight")].values,
        MODEL.tensors[names.index("blocks.0.mlp.fc.weight")].values,
    )
