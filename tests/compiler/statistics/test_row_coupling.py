"""Two-sided second moments: rows that make up for each other's errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_problems import problem
from naive_quantization import damped_hessian, naive_quantize, row_costs

from bytecap.compiler.quantize.gptq import quantize_matrix
from bytecap.compiler.quantize.grid_matrix import QuantizedMatrix, prepare_matrix
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics
from bytecap.compiler.statistics.row_coupling import couple_rows, floor_fisher, output_diagonal, output_eigenvalues
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


def quantized(
    weights: np.ndarray, statistics: MatrixStatistics, byte_price: float, *, states: int = 0, **options
) -> QuantizedMatrix:
    return quantize_matrix(
        prepare_matrix(weights, statistics, **(OPTIONS | options)), byte_price, trellis_states=states
    )


def true_loss(weights: np.ndarray, statistics: MatrixStatistics, values: np.ndarray) -> float:
    """1/2 tr(Eᵀ G E H), H damped."""
    error = values.astype(np.float64) - weights
    hessian = damped_hessian(statistics.hessian, OPTIONS["damping"])
    return 0.5 * float(np.sum((statistics.output_fisher @ error @ hessian) * error))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 8), st.integers(0, 2**32 - 1), st.sampled_from([1.0, 0.9, 0.5]))
def test_codes_equal_the_twin(rows: int, columns: int, seed: int, correlation: float) -> None:
    weights, statistics = coupled_problem(rows, columns, seed)
    found = quantized(weights, statistics, 1e-3, correlation=correlation)
    sides = statistics.hessian, statistics.row_fisher
    twin = naive_quantize(
        weights, *sides, 1e-3, **OPTIONS, output_fisher=statistics.output_fisher, correlation=correlation
    )
    assert np.array_equal(found.grid.row_exponents, twin.row_exponents)
    assert np.array_equal(found.grid.codes, twin.codes)
    assert found.predicted_loss == pytest.approx(twin.predicted_loss, rel=1e-4)


@pytest.mark.parametrize("states", [0, 8, 64])
def test_the_predicted_loss_is_the_whole_two_sided_one(states: int) -> None:
    """Also where paths are longer than what survivors remember by themselves, and where columns rest."""
    weights, statistics = coupled_problem(300, 12, seed=11)
    for byte_price in (1e-4, 1e-3):
        found = quantized(weights, statistics, byte_price, states=states, correlation=1.0, fisher_floor=0.0)
        assert found.predicted_loss == pytest.approx(true_loss(weights, statistics, found.weights), rel=1e-3)


def test_costs_are_those_of_free_later_rows() -> None:
    _, statistics = coupled_problem(20, 4, seed=5)
    fisher = floor_fisher(statistics.row_fisher, 0.0)
    coupling, costs = couple_rows(fisher, statistics.output_fisher, 1.0)
    both = np.where(np.eye(20) > 0, np.diag(fisher), statistics.output_fisher)
    np.testing.assert_allclose(costs, row_costs(both), rtol=1e-6)
    upper = (coupling + np.eye(20)) * np.sqrt(costs)
    np.testing.assert_allclose(upper @ upper.T, both, rtol=1e-6)
    np.testing.assert_allclose(output_diagonal(coupling, costs), np.diag(both), rtol=1e-6)
    assert (coupling[np.tril_indices(20)] == 0).all() and costs.mean() < 0.7 * fisher.mean()
    eigenvalues = output_eigenvalues(coupling, costs, np.linspace(1, 2, 20))
    np.testing.assert_allclose(
        eigenvalues, np.linalg.eigvalsh(both * np.outer(np.linspace(1, 2, 20), np.linspace(1, 2, 20))), rtol=1e-6
    )


def test_without_coupling_every_row_stands_alone() -> None:
    weights, statistics = coupled_problem(24, 10, seed=3)
    alone = quantized(weights, replace(statistics, output_fisher=None), 1e-3, correlation=1.0)
    assert np.array_equal(quantized(weights, statistics, 1e-3, correlation=0.0).grid.codes, alone.grid.codes)


@pytest.mark.parametrize("states", [8, 64])
def test_the_coupled_search_of_independent_rows_finds_the_cheapest_path(states: int) -> None:
    """No feedback: survivors are those of the exact search.

    With many columns one rare difference changes all that follow.
    """
    for columns, seed in ((1, 4), (1, 5), (6, 4)):
        weights, statistics = coupled_problem(400, columns, seed)
        diagonal = replace(statistics, output_fisher=np.diag(statistics.row_fisher).astype(np.float32))
        alone, found = (
            quantized(weights, s, 2e-4, states=states, correlation=c) for s, c in ((statistics, 0.0), (diagonal, 1.0))
        )
        assert found.predicted_loss == pytest.approx(alone.predicted_loss, rel=0.01)
        assert columns > 1 or np.array_equal(found.grid.codes, alone.grid.codes)


@pytest.mark.parametrize("states", [0, 8, 64])
def test_compensation_lowers_the_loss_at_equal_rate(states: int) -> None:
    """At a price where both have integers as large, coupled rows lose clearly less of the two-sided loss."""
    weights, statistics = coupled_problem(96, 24, seed=7)

    def bits(found: QuantizedMatrix) -> float:
        steps = np.abs(found.grid.codes).astype(np.float64)
        return float(np.log2(1 + steps).mean())

    alone = quantized(weights, statistics, 2e-4, states=states)
    price = 2e-4
    while bits(together := quantized(weights, statistics, price, states=states, correlation=1.0)) > bits(alone):
        price *= 1.02
    assert true_loss(weights, statistics, together.weights) < 0.9 * true_loss(weights, statistics, alone.weights)


@pytest.mark.parametrize("states", [8, 64])
def test_integers_of_a_coupled_column_stay_on_its_trellis(states: int) -> None:
    """The coder takes them at high and low rates, and refuses a column with one integer changed by one."""
    weights, statistics = coupled_problem(300, 6, seed=9)
    for byte_price in (1e-4, 3e-3):
        grid = quantized(weights, statistics, byte_price, states=states, correlation=0.9).grid
        assert encode_grid_stream([grid])
    codes = quantized(weights, statistics, 1e-4, states=states, correlation=0.9).grid.codes
    codes[150, 2] += 1
    with pytest.raises(ValueError, match="trellis"):
        encode_grid_stream(
            [replace(quantized(weights, statistics, 1e-4, states=states, correlation=0.9).grid, codes=codes)]
        )
