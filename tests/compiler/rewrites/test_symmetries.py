"""Exchanging free units and factors changes nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import WIDTHS, Builder, RandomProgram, add_embed, add_head
from tiny_models import bare_model, golf_model, program_of, random_sequences

from bytecap.compiler.model.model import Model
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.compiler.quantize.grid_matrix import column_log_steps
from bytecap.compiler.recipe import Recipe
from bytecap.compiler.rewrites import exchange_symmetries
from bytecap.compiler.rewrites.free_units import (
    find_hidden_units,
    find_scaled_outputs,
    find_value_dimensions,
)
from bytecap.compiler.rewrites.symmetries import absorb_scales, sort_units
from bytecap.compiler.settings import QuantizationSettings, SymmetrySettings
from bytecap.compiler.statistics.calibration import Statistics, measure_statistics
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics
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
)
from bytecap.format.program.program import Program, validate_program
from bytecap.runtime.interpreter import Interpreter

pytestmark = pytest.mark.usefixtures("full_factors")

SEQUENCES = random_sequences(24, 12, 16, seed=3)
SETTINGS = QuantizationSettings()
MODEL = golf_model(5, num_heads=4, num_kv_heads=2, xsa_last_n=1)


def measured(model: Model) -> Statistics:
    return measure_statistics(model, SEQUENCES, batch_sequences=4, seed=0, device="cpu", threads=1)


def logits(model: Model) -> torch.Tensor:
    tensors = {i: torch.from_numpy(t.values) for i, t in enumerate(model.tensors)}
    return TorchExecutor(model.program, tensors).forward(torch.from_numpy(SEQUENCES))


@pytest.mark.parametrize(
    ("scales", "absorbed"),
    [([2.0, -0.5], True), ([3.0], True), ([[1.5, 0.5]], True), ([1.0, 0.0], False), ([[1.0, 2.0]] * 2, False)],
)
def test_scales_go_into_the_rows_that_they_scale(scales: list, absorbed: bool) -> None:
    random = np.random.default_rng(0)
    matrix, scales = random.standard_normal((4, 3)).astype(np.float32), np.array(scales, np.float32)
    model = bare_model(
        program_of(Embed(0), Linear(0, 1), Scale(1, Row(2)), Linear(2, 3)),
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
    settings = {"symmetries": SymmetrySettings(**switches), "quantization": SETTINGS}
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
        steps = column_log_steps(found.matrices[each.reader], SETTINGS.damping, SETTINGS.input_correlation)
        steps = steps.reshape(each.heads, each.repeats, -1)
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
    gate = b.emit(Broadcast(gate, width, BroadcastKind.SPREAD), width)
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
    sorted_model, _ = sort_units(*absorb_scales(model, drawn_statistics(model), scaled), hidden + dimensions, SETTINGS)
    before, after = (
        Interpreter(m.program, [t.values for t in m.tensors]).logits(drawn.tokens) for m in (model, sorted_model)
    )
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4 * np.abs(before).max())


def test_a_model_without_such_units_stays_as_it_is() -> None:
    random = np.random.default_rng(0)
    model = bare_model(
        program_of(Embed(0), Linear(0, 1)), random.standard_normal((24, 8)), random.standard_normal((24, 8))
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
