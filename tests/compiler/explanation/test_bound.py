"""The rate-distortion bound against closed forms, and the cost of uniform steps against sums by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytecap.compiler.explanation.bound import bound_bits, uniform_step_costs, water_filling
from bytecap.compiler.quantize.gptq import quantize_matrix
from bytecap.compiler.quantize.grid_matrix import PreparedMatrix, prepare_matrix
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics


def prepared_matrix(weights: np.ndarray, hessian: np.ndarray, fisher: np.ndarray) -> PreparedMatrix:
    return prepare_matrix(weights, MatrixStatistics(hessian, fisher), resolution=3, damping=1e-9, fisher_floor=0.0)


@pytest.mark.parametrize(
    "loss, rate, level",
    [
        (1.0, 2.0, 1.0),  # 1/2 (1 + 1) = 1: both above the water, 1/2 log2 16 + 1/2 log2 1
        (0.25, 4.0, 0.25),
        (2.5, 1.0, 4.0),  # the component of variance 1 is drowned: 1/2 (4 + 1) = 2.5, 1/2 log2 (16 / 4)
        (8.5, 0.0, 16.0),  # coding nothing
        (20.0, 0.0, 16.0),
    ],
)
def test_two_levels_by_hand(loss, rate, level):
    assert water_filling(np.array([16.0, 1.0]), loss) == pytest.approx((rate, level), abs=1e-12)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40), st.floats(1e-4, 0.9999))
def test_the_water_level_gives_the_loss_and_the_rate_falls_with_it(variances, share):
    values = np.array(variances)
    loss = share * values.sum() / 2
    rate, level = water_filling(values, loss)
    assert np.minimum(level, values).sum() / 2 == pytest.approx(loss, rel=1e-9)
    assert rate == pytest.approx(np.maximum(0, np.log2(values / level)).sum() / 2, rel=1e-9, abs=1e-9)
    assert water_filling(values, loss * 0.9)[0] > rate


def test_gaussian_weights_with_white_inputs_follow_the_closed_form():
    """R = 1/2 log2(variance / distortion) a weight; the loss is 1/2 g distortion a weight."""
    random = np.random.default_rng(0)
    weights = random.standard_normal((400, 60))
    distortion = 1 / 64
    prepared = prepared_matrix(weights, np.eye(60), np.full(400, 2.0))
    found = bound_bits(weights, prepared, 0.5 * 2.0 * distortion * weights.size)
    assert found == pytest.approx(3.0, abs=0.02)


def test_row_and_column_variances_and_correlated_inputs_are_seen():
    """A random rotation and scaling of white inputs changes log det H alone, which the closed form at
    high rate counts.
    """
    random = np.random.default_rng(1)
    rows, columns = 2.0 ** random.uniform(-2, 2, 200), 2.0 ** random.uniform(-2, 2, 30)
    weights = random.standard_normal((200, 30)) * np.sqrt(np.multiply.outer(rows, columns))
    mixing = random.standard_normal((30, 30)) + 3 * np.eye(30)
    fisher = 2.0 ** random.uniform(-3, 3, 200)
    hessian = mixing @ mixing.T
    level = 1e-9
    log_variances = (
        np.log2(rows).mean()
        + np.log2(columns).mean()
        + np.log2(fisher).mean()
        + np.linalg.slogdet(hessian)[1] / math.log(2) / 30
    )
    found = bound_bits(weights, prepared_matrix(weights, hessian, fisher), 0.5 * level * weights.size)
    assert found == pytest.approx(0.5 * (log_variances - math.log2(level)), abs=0.05)


def test_correlated_outputs_are_seen():
    """log det G takes the place of the sum of log g_i at high rate."""
    random = np.random.default_rng(5)
    weights, mixing = random.standard_normal((60, 80)), random.standard_normal((60, 60)) + 3 * np.eye(60)
    both = mixing @ mixing.T
    statistics = MatrixStatistics(np.eye(80), both.diagonal().copy(), both.astype(np.float32))
    prepared = prepare_matrix(
        weights.astype(np.float32), statistics, resolution=3, damping=1e-12, fisher_floor=0.0, correlation=1.0
    )
    found = bound_bits(weights, prepared, 0.5 * 1e-9 * weights.size)
    assert found == pytest.approx(0.5 * (np.linalg.slogdet(both)[1] / math.log(2) / 60 + 9 * math.log2(10)), abs=0.05)


def test_real_quantization_lies_above_the_bound_by_less_than_a_uniform_quantizers_quarter_bit():
    """Entropy of the integers minus the bound: at most 1/2 log2(2 pi e / 12) = 0.254 bits, plus the
    histogram's bias.
    """
    random = np.random.default_rng(2)
    weights = random.standard_normal((600, 24)).astype(np.float32)
    inputs = random.standard_normal((500, 24)) @ random.standard_normal((24, 24))
    prepared = prepared_matrix(weights, inputs.T @ inputs / 500, np.full(600, 1.0))
    quantized = quantize_matrix(prepared, 0.2)
    entropies = []
    for column in quantized.grid.codes.T:
        counts = np.unique(column, return_counts=True)[1] / 600
        entropies.append(-(counts * np.log2(counts)).sum())
    distance = np.mean(entropies) - bound_bits(weights, prepared, quantized.predicted_loss)
    assert 0.15 < distance < 0.28


def test_nothing_to_code_and_no_loss_at_all():
    random = np.random.default_rng(3)
    weights = random.standard_normal((8, 4))
    prepared = prepared_matrix(weights, np.eye(4), np.ones(8))
    assert bound_bits(np.zeros((8, 4)), prepared, 1.0) == 0.0
    assert bound_bits(weights, prepared, 0.0) is None
    assert bound_bits(weights, prepared, 1e9) == 0.0


def test_uniform_step_costs_add_up_to_one_step_for_all():
    random = np.random.default_rng(4)
    matrices = []
    for rows, columns in ((6, 4), (3, 10)):
        hessian = np.diag(2.0 ** random.uniform(-4, 4, columns))
        matrices.append(
            prepared_matrix(random.standard_normal((rows, columns)), hessian, 2.0 ** random.uniform(-4, 4, rows))
        )
    costs, single = uniform_step_costs(matrices)
    everything = np.concatenate([np.multiply.outer(m.row_fisher, m.factor.diagonal() ** 2).ravel() for m in matrices])
    one_for_all = 0.5 * (np.log2(everything.mean()) - np.log2(everything).mean())
    assert costs.columns + costs.rows + costs.tensors == pytest.approx(one_for_all)
    assert len(single) == 2 and min(costs.columns, costs.rows, costs.tensors) > 0
    flat, _ = uniform_step_costs([prepared_matrix(np.ones((3, 2)), np.eye(2), np.ones(3))])
    assert (flat.columns, flat.rows, flat.tensors) == pytest.approx((0, 0, 0), abs=1e-12)
