"""Quantization against a slow twin, the step rule, the loss it promises, and degenerate matrices."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_problems import problem
from naive_quantization import (
    LARGEST_CODE,
    curvatures,
    damped_hessian,
    floored_fisher,
    naive_quantize,
    second_order_loss,
)

from bytecap.compiler.quantize import grid_matrix
from bytecap.compiler.quantize.base_fit import fit_base
from bytecap.compiler.quantize.gptq import quantize_matrix
from bytecap.compiler.quantize.grid_matrix import QuantizedMatrix, prepare_matrix, zero_matrices
from bytecap.compiler.quantize.vectors import quantize_vectors
from bytecap.compiler.statistics.damping import damped
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics
from bytecap.compiler.workers import one_thread_each
from bytecap.format.assembly import encode_grid_stream
from bytecap.format.codecs.trellis import TRELLISES
from bytecap.format.tensors.grid import MAX_BASE, MIN_BASE, GridValues, reconstruct_grid

OPTIONS = {"resolution": 2, "damping": 0.01, "fisher_floor": 0.02}


@pytest.fixture(autouse=True)
def single_threaded_products():
    with one_thread_each():
        yield


def quantized(
    weights: np.ndarray,
    statistics: MatrixStatistics,
    byte_price: float,
    *,
    states: int = 0,
    rate_weight: float = 0.0,
    **options,
) -> QuantizedMatrix:
    prepared = prepare_matrix(weights, statistics, **(OPTIONS | options))
    return quantize_matrix(prepared, byte_price, trellis_states=states, rate_weight=rate_weight)


def step_of(grid: GridValues) -> np.ndarray:
    """float64 [rows, columns] steps, from the reconstruction of all-one codes."""
    return reconstruct_grid(replace(grid, codes=np.ones_like(grid.codes))).astype(np.float64)


def loss_of(weights: np.ndarray, statistics: MatrixStatistics, values: np.ndarray, **options) -> float:
    """1/2 sum_o g_o e_o (H + damping) e_oᵀ."""
    options = OPTIONS | options
    hessian = damped_hessian(statistics.hessian, options["damping"], options.get("input_correlation", 1.0))
    return second_order_loss(
        values.astype(np.float64) - weights, hessian, floored_fisher(statistics.row_fisher, options["fisher_floor"])
    )


def assert_equals_twin(weights: np.ndarray, statistics: MatrixStatistics, byte_price: float, **options) -> None:
    options = OPTIONS | options
    found = quantized(weights, statistics, byte_price, **options)
    twin = naive_quantize(weights, statistics.hessian, statistics.row_fisher, byte_price, **options)
    assert np.array_equal(found.grid.row_exponents, twin.row_exponents)
    assert np.array_equal(found.grid.column_exponents, twin.column_exponents)
    assert found.grid.base == pytest.approx(twin.base, rel=1e-6) and found.grid.resolution == options["resolution"]
    assert np.array_equal(found.grid.codes, twin.codes)
    assert found.predicted_loss == pytest.approx(twin.predicted_loss, rel=1e-5)


@settings(max_examples=60)
@given(
    st.integers(1, 7),
    st.integers(1, 12),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1e-4, 1e-3, 0.02]),
    st.integers(0, 3),
    st.floats(0, 0.95),
    st.sampled_from([0.0, 0.6, 1.0]),
)
def test_codes_equal_the_twin(
    rows: int, columns: int, seed: int, byte_price: float, resolution: int, correlation: float, believed: float
) -> None:
    options = {"resolution": resolution, "input_correlation": believed}
    assert_equals_twin(*problem(rows, columns, seed, correlation), byte_price, **options)


@pytest.mark.parametrize("columns", [63, 64, 65, 150])
def test_codes_equal_the_twin_across_blocks(columns: int) -> None:
    assert_equals_twin(*problem(3, columns, seed=columns), 1e-3)


def test_equal_inputs_keep_their_order() -> None:
    """Ties in the strength of inputs are broken by position, so the result does not depend on the sort."""
    weights, _ = problem(4, 10, seed=1)
    assert_equals_twin(weights, MatrixStatistics(np.full((10, 10), 0.5) + 0.5 * np.eye(10), np.ones(4)), 0.05)


def test_matrices_of_zeros_take_the_memory_of_the_largest_alone() -> None:
    shapes = [(3, 5), (8, 2), (4, 1)]
    found = zero_matrices(shapes)
    assert [matrix.weights.shape for matrix in found] == [matrix.grid.codes.shape for matrix in found] == shapes
    assert not any(matrix.weights.any() or matrix.grid.codes.any() for matrix in found)
    for of in (lambda matrix: matrix.weights, lambda matrix: matrix.grid.codes):
        assert all(np.shares_memory(of(found[1]), of(matrix)) and of(matrix).flags.c_contiguous for matrix in found)
    assert zero_matrices([]) == []


@settings(max_examples=40)
@given(
    st.integers(1, 6),
    st.integers(1, 10),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1e-4, 1e-3, 0.02, 0.5]),
    st.sampled_from([0, *TRELLISES]),
    st.sampled_from([0.0, 0.1]),
)
def test_predicted_loss_is_the_quadratic_form(
    rows: int, columns: int, seed: int, byte_price: float, states: int, rate_weight: float
) -> None:
    weights, statistics = problem(rows, columns, seed)
    found = quantized(weights, statistics, byte_price, states=states, rate_weight=rate_weight)
    assert found.weights.dtype == np.float32 and np.array_equal(found.weights, reconstruct_grid(found.grid))
    assert found.predicted_loss == pytest.approx(loss_of(weights, statistics, found.weights), rel=1e-4, abs=1e-12)
    encode_grid_stream([found.grid])  # codes that can be stored: within bounds, and on their trellis


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("states", [0, *TRELLISES])
def test_the_fitted_base_is_the_best_for_its_integers(states: int, coupled: bool) -> None:
    """Equal integers, and no other base loses less, under G and H both."""
    weights, statistics = problem(6, 20, seed=5)
    if coupled:
        root = np.random.default_rng(6).standard_normal((6, 6)) + 2 * np.eye(6)
        output = root @ root.T
        statistics = replace(statistics, row_fisher=output.diagonal().copy(), output_fisher=output.astype(np.float32))
    prepared = prepare_matrix(weights, statistics, **OPTIONS, correlation=0.9)
    price = 1.2 * float(
        np.abs(weights).mean() * np.sqrt(prepared.row_fisher.mean() * np.square(prepared.factor.diagonal()).mean())
    )
    plain, half, fitted = (
        quantize_matrix(prepared, price, trellis_states=states, base_fit=share) for share in (0.0, 0.5, 1.0)
    )
    assert (
        np.array_equal(plain.grid.codes, fitted.grid.codes)
        and fitted.predicted_loss < half.predicted_loss < plain.predicted_loss
    )
    assert half.grid.base == pytest.approx((plain.grid.base + fitted.grid.base) / 2, rel=1e-6)
    for factor in (0.99, 1.01):
        other = replace(fitted.grid, base=fitted.grid.base * factor)
        assert fit_base(prepared, other, 0.0)[1] > fitted.predicted_loss
        assert fit_base(prepared, other, 1.0)[0].base == pytest.approx(fitted.grid.base, rel=1e-5)
    assert fit_base(prepared, plain.grid, 0.0)[1] == pytest.approx(plain.predicted_loss, rel=1e-5)


@settings(max_examples=40)
@given(st.integers(1, 6), st.integers(1, 10), st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_steps_obey_the_rule(rows: int, columns: int, seed: int, resolution: int) -> None:
    """step = byte price / (sqrt(g) L_jj), each side rounded to the nearest exponent."""
    weights, statistics = problem(rows, columns, seed)
    byte_price = 1e-3
    found = quantized(weights, statistics, byte_price, resolution=resolution)
    hessian = damped_hessian(statistics.hessian, OPTIONS["damping"])
    processing = [int(c) for c in np.argsort(-np.diag(hessian), kind="stable")][::-1]
    fisher = floored_fisher(statistics.row_fisher, OPTIONS["fisher_floor"])
    wanted = byte_price / np.sqrt(np.outer(fisher, curvatures(hessian, processing)))
    assert np.abs(np.log2(step_of(found.grid) / wanted)).max() <= 2.0**-resolution + 1e-5


@pytest.mark.parametrize("states", [0, *TRELLISES])
def test_steps_are_proportional_to_the_byte_price(states: int) -> None:
    prepared = prepare_matrix(*problem(5, 8, seed=2), **OPTIONS)
    coarse, fine = (quantize_matrix(prepared, price, trellis_states=states).grid for price in (4e-3, 1e-3))
    np.testing.assert_allclose(step_of(coarse), 4 * step_of(fine), rtol=1e-6)
    assert np.array_equal(coarse.row_exponents, fine.row_exponents)


def test_preparing_once_serves_every_price() -> None:
    weights, statistics = problem(5, 70, seed=3)
    prepared = prepare_matrix(weights, statistics, **OPTIONS)
    first = quantize_matrix(prepared, 1e-3)
    quantize_matrix(prepared, 0.1)
    again = quantize_matrix(prepared, 1e-3)
    assert np.array_equal(first.grid.codes, again.grid.codes) and first.predicted_loss == again.predicted_loss


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("byte_price", [1e-3, 0.01])
def test_feedback_beats_plain_rounding(seed: int, byte_price: float) -> None:
    """On the same steps and correlated inputs, in the loss that both try to keep small."""
    weights, statistics = problem(8, 24, seed)
    found = quantized(weights, statistics, byte_price)
    steps = step_of(found.grid)
    rounded = np.rint(weights / steps) * steps
    assert found.predicted_loss < 0.8 * loss_of(weights, statistics, rounded)


@pytest.mark.parametrize("states", TRELLISES)
def test_a_trellis_needs_fewer_bytes_for_the_same_loss(states: int) -> None:
    """At high rate: compare at the prices where both lose the same, by the slope of the uniform quantizer."""
    weights, statistics = problem(200, 60, seed=5)
    uniform, finer = (quantized(weights, statistics, price) for price in (2e-4, 1e-4))
    trellis = quantized(weights, statistics, 2e-4, states=states)
    sizes = [len(encode_grid_stream([q.grid])) for q in (uniform, finer, trellis)]
    octave = math.log2(uniform.predicted_loss / finer.predicted_loss)
    expected = sizes[0] + (sizes[1] - sizes[0]) * math.log2(uniform.predicted_loss / trellis.predicted_loss) / octave
    saved_bits = 8 * (expected - sizes[2]) / weights.size
    assert saved_bits > {8: 0.09, 64: 0.12}[states]


def test_damping() -> None:
    hessian = np.diag([1.0, 3.0])
    np.testing.assert_allclose(damped(hessian, 0.5), np.diag([2.0, 4.0]))
    np.testing.assert_allclose(damped(np.zeros((2, 2)), 0.5), 0.5 * np.eye(2))
    assert hessian.tolist() == [[1, 0], [0, 3]]


def test_damping_takes_a_share_of_the_correlations_and_the_excess_whole() -> None:
    usual, excess = np.array([[2.0, 1.0], [1.0, 4.0]]), np.array([[8.0, 6.0], [6.0, 9.0]])
    np.testing.assert_allclose(damped(usual, 0.0, 0.75), [[2.0, 0.75], [0.75, 4.0]])
    np.testing.assert_allclose(damped(usual + excess, 0.5, 0.75, excess), [[11.5, 6.75], [6.75, 14.5]])


DEGENERATE = {
    "zero weights": lambda w, s: (np.zeros_like(w), s),
    "no Fisher information": lambda w, s: (w, replace(s, row_fisher=np.zeros(len(w)))),
    "one row without Fisher information": lambda w, s: (
        w,
        replace(s, row_fisher=s.row_fisher * (np.arange(len(w)) > 0)),
    ),
    "inputs that are always zero": lambda w, s: (w, replace(s, hessian=np.zeros_like(s.hessian))),
    "a dead input": lambda w, s: (
        w,
        replace(s, hessian=s.hessian * np.outer(np.arange(w.shape[1]) > 0, np.arange(w.shape[1]) > 0)),
    ),
    "one weight": lambda w, s: (w[:1, :1], MatrixStatistics(s.hessian[:1, :1], s.row_fisher[:1])),
    "one row": lambda w, s: (w[:1], replace(s, row_fisher=s.row_fisher[:1])),
    "one column": lambda w, s: (w[:, :1], replace(s, hessian=s.hessian[:1, :1])),
    "inputs of rank one": lambda w, s: (w, replace(s, hessian=np.ones_like(s.hessian))),
    "rows that differ by 60 octaves": lambda w, s: (w, replace(s, row_fisher=np.exp2(np.linspace(-60, 60, len(w))))),
    "huge weights": lambda w, s: (w * np.float32(1e12), s),
    "one huge weight": lambda w, s: (np.where(np.arange(w.size).reshape(w.shape) == 3, np.float32(1e8), w), s),
    "subnormal weights": lambda w, s: (w * np.float32(1e-38), s),
}


@pytest.mark.parametrize("states", [0, 8])
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_matrices(case: str, states: int) -> None:
    """Finite weights and codes that can be stored, at any price; a finer price loses less while no code
    is near the bound that coarsens steps.
    """
    weights, statistics = DEGENERATE[case](*problem(6, 9, seed=8))
    losses = []
    for byte_price in (1e-9, 1e-5, 1e-3, 0.1, 1e3, 1e30):
        found = quantized(weights, statistics, byte_price, states=states, rate_weight=0.1)
        assert found.weights.shape == weights.shape and np.isfinite(found.weights).all()
        assert MIN_BASE <= found.grid.base <= MAX_BASE and math.isfinite(found.predicted_loss)
        encode_grid_stream([found.grid])
        if np.abs(found.grid.codes).max() < grid_matrix.LARGEST_CODE / 2:
            losses.append(found.predicted_loss)
    assert losses == sorted(losses) and (len(losses) > 2 or "huge" in case)
    if case == "zero weights":
        assert losses == [0] * 6 and not found.weights.any()


@st.composite
def vector_problems(draw) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose size and Fisher information differ by a few octaves."""
    rows, columns = draw(st.sampled_from([(m, n) for m in range(1, 5) for n in range(1, 10) if m * n > 1]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.standard_normal((rows, columns))
    values /= np.sqrt(np.mean(values**2, axis=1, keepdims=True))  # a row of one value may be drawn of any size
    values *= np.exp2(random.uniform(-3, 3, (rows, 1)))
    return values.astype(np.float32), np.exp2(random.uniform(-8, 2, (rows, columns)))


@settings(max_examples=60)
@given(
    vector_problems(),
    st.sampled_from([1e-6, 1e-3, 1.0, 1e30]),
    st.integers(0, 3),
    st.sampled_from([0.5, 0.03125, 1e-4]),
)
def test_vectors(drawn, byte_price: float, resolution: int, coarsest: float) -> None:
    """Nearest integers on the row's step, which is the rule's, but no coarser than allowed; both to the
    nearest exponent.
    """
    values, fisher = drawn
    found = quantize_vectors(values, fisher, byte_price, resolution=resolution, coarsest=coarsest)
    steps = step_of(found.grid)
    assert (
        (steps == steps[:, :1]).all()
        and (found.grid.row_exponents is None) == (len(values) == 1)
        and found.grid.column_exponents is None
    )
    wanted = np.minimum(
        byte_price / np.sqrt(fisher.mean(1)), coarsest * np.sqrt(np.mean(values.astype(np.float64) ** 2, 1))
    )
    assert np.abs(np.log2(steps[:, 0] / wanted)).max() <= 0.5 / 2**resolution + 1e-5
    assert found.weights.dtype == np.float32 and np.array_equal(found.weights, reconstruct_grid(found.grid))
    inside = np.abs(found.grid.codes) < LARGEST_CODE  # a step that is far too fine leaves no integer large enough
    near = np.abs(found.weights - values) <= 0.5 * steps * (1 + 1e-5) + np.abs(values) * 2.0**-23
    assert near[inside].all()
    assert found.predicted_loss == pytest.approx(
        0.5 * float((fisher * (found.weights.astype(np.float64) - values) ** 2).sum()), rel=1e-5, abs=1e-30
    )
    encode_grid_stream([found.grid])


@pytest.mark.parametrize("value", [1.0, -0.3, 1e-20, 0.0])
def test_vectors_of_one_value(value: float) -> None:
    """The value is the step, so that every integer is 1, where the value is a step's."""
    values = np.full((2, 3), value, np.float32)
    found = quantize_vectors(values, np.ones(values.shape), 1e-3, resolution=3, coarsest=0.03125)
    np.testing.assert_allclose(found.weights, values, rtol=0.05, atol=1e-12)
    if abs(value) >= MIN_BASE:
        assert np.array_equal(found.weights, values) and (found.grid.codes == np.sign(value)).all()
        assert found.grid.row_exponents is None and found.predicted_loss == 0.0
    encode_grid_stream([found.grid])


@pytest.mark.parametrize("values", [[[0.0, 0.0]], [[0.0], [1.0]], [[1e-30, 1e-30]], [[2.5]]])
@pytest.mark.parametrize("fisher", [0.0, 1.0, 1e-20])
@pytest.mark.parametrize("byte_price", [1e-6, 1e30])
def test_degenerate_vectors(values, fisher: float, byte_price: float) -> None:
    values = np.array(values, np.float32)
    found = quantize_vectors(values, np.full(values.shape, fisher), byte_price, resolution=3, coarsest=0.03125)
    assert np.isfinite(found.weights).all() and math.isfinite(found.predicted_loss)
    np.testing.assert_allclose(found.weights, values, rtol=0.05, atol=1e-12)
    encode_grid_stream([found.grid])
