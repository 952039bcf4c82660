"""Two-sided second moments: blocks of rows that make up for each other's errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_quantization import damped_moment, naive_quantize, row_costs
from test_quantization import problem

from bytecap.compiler.calibration import MatrixStatistics
from bytecap.compiler.quantization import QuantizedMatrix, prepare_matrix, quantize_matrix
from bytecap.compiler.row_blocks import floor_fisher, split_rows
from bytecap.format.assembly import encode_grid_stream

OPTIONS = {"resolution": 3, "damping": 0.01, "fisher_floor": 0.02}


def coupled_problem(rows: int, columns: int, seed: int, share: float = 0.8) -> tuple[np.ndarray, MatrixStatistics]:
    """A problem whose output gradients have a few directions in common."""
    weights, statistics = problem(rows, columns, seed)
    random = np.random.default_rng(seed + 1)
    gradients = random.standard_normal((8 * rows + 20, rows)) * (1 - share)
    gradients += share * random.standard_normal((len(gradients), 2)) @ random.standard_normal((2, rows))
    gradients *= 1e-2 * np.exp2(random.uniform(-2, 2, rows))
    both = gradients.T @ gradients / len(gradients)
    return weights, replace(statistics, row_fisher=both.diagonal().copy(), output_fisher=both.astype(np.float32))


def quantized(weights: np.ndarray, statistics: MatrixStatistics, byte_price: float, *, states: int = 0, **options) -> QuantizedMatrix:
    return quantize_matrix(prepare_matrix(weights, statistics, **(OPTIONS | options)), byte_price, trellis_states=states)


def true_loss(weights: np.ndarray, statistics: MatrixStatistics, values: np.ndarray) -> float:
    """1/2 tr(Eᵀ G E H), H damped."""
    error = values.astype(np.float64) - weights
    moment = damped_moment(statistics.input_moment, OPTIONS["damping"])
    return 0.5 * float(np.sum((statistics.output_fisher @ error @ moment) * error))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.integers(1, 8), st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([1.0, 0.9, 0.0]))
def test_codes_equal_the_twin(rows: int, columns: int, seed: int, block_rows: int, correlation: float) -> None:
    weights, statistics = coupled_problem(rows, columns, seed)
    found = quantized(weights, statistics, 1e-3, block_rows=block_rows, correlation=correlation)
    both = statistics.output_fisher, statistics.row_fisher
    twin = naive_quantize(
        weights, statistics.input_moment, both[1], 1e-3, **OPTIONS, output_fisher=both[0], block_rows=block_rows, correlation=correlation
    )
    assert np.array_equal(found.grid.row_exponents, twin.row_exponents)
    assert np.array_equal(found.grid.codes, twin.codes)
    if block_rows == 1 and rows > 1:  # larger blocks take the errors within as independent
        assert found.predicted_loss == pytest.approx(twin.predicted_loss, rel=1e-4)


def test_costs_are_those_of_free_later_rows() -> None:
    _, statistics = coupled_problem(20, 4, seed=5)
    fisher = floor_fisher(statistics.row_fisher, 0.0)
    blocks, costs = split_rows(fisher, statistics.output_fisher, 6, 1.0)
    both = np.where(np.eye(20) > 0, np.diag(fisher), statistics.output_fisher)
    np.testing.assert_allclose(costs, row_costs(both, 6), rtol=1e-6)
    assert [(b.first, b.last) for b in blocks] == [(0, 6), (6, 12), (12, 18), (18, 20)]
    assert (costs <= fisher * (1 + 1e-9)).all() and costs.mean() < 0.7 * fisher.mean()


@pytest.mark.parametrize("options", [{"block_rows": 0}, {"block_rows": 100}, {"block_rows": 4, "correlation": 0.0}])
def test_without_coupling_every_row_stands_alone(options: dict) -> None:
    weights, statistics = coupled_problem(24, 10, seed=3)
    alone = quantized(weights, replace(statistics, output_fisher=None), 1e-3)
    assert np.array_equal(quantized(weights, statistics, 1e-3, **options).grid.codes, alone.grid.codes)


@pytest.mark.parametrize("states", [0, 8, 64])
def test_compensation_lowers_the_loss_at_equal_rate(states: int) -> None:
    """At a price where both have the same entropy, blocks lose clearly less of the two-sided loss."""
    weights, statistics = coupled_problem(96, 24, seed=7)

    def bits(found: QuantizedMatrix) -> float:
        steps = np.abs(found.grid.codes).astype(np.float64)
        return float(np.log2(1 + steps).mean())

    alone = quantized(weights, statistics, 2e-4, states=states)
    price = 2e-4
    while bits(together := quantized(weights, statistics, price, states=states, block_rows=8)) > bits(alone):
        price *= 1.02
    assert true_loss(weights, statistics, together.weights) < 0.9 * true_loss(weights, statistics, alone.weights)


def test_the_trellis_runs_through_the_blocks() -> None:
    """The coder takes the integers of a column from its first row to the last, and refuses those of a path that starts anew."""
    weights, statistics = coupled_problem(40, 6, seed=9)
    grid = quantized(weights, statistics, 1e-4, states=8, block_rows=8).grid
    assert encode_grid_stream([grid])
    below = quantized(weights[8:], replace(statistics, row_fisher=statistics.row_fisher[8:], output_fisher=None), 1e-4, states=8).grid
    with pytest.raises(ValueError, match="trellis"):
        encode_grid_stream([replace(grid, codes=np.concatenate([grid.codes[:8], below.codes]))])
