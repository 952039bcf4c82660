"""How a verdict of an experiment comes about, and its finer members against a slow twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytecap.compiler.menu.kinds import Unit
from bytecap.compiler.quantize.gptq import quantize_matrix
from bytecap.compiler.quantize.grids import GridQuantizer
from bytecap.compiler.settings import QuantizationSettings
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics
from bytecap.format.tensors.grid import reconstruct_grid
from bytecap.lab.experiments.byte_allocation.report import judge_coder, judge_execution, judge_steepness
from bytecap.lab.experiments.comparing import outcome_by_budget, outcome_of_change, outcome_of_share
from bytecap.lab.experiments.findings import Observation, verdict_of
from bytecap.lab.experiments.finer_members import COLUMNS, ROWS, WEIGHTS, OnSteps, WithResidual, steps_of
from bytecap.lab.experiments.protected_sets import concentration, exception_bytes, strongest
from bytecap.lab.experiments.row_rescue.artifacts import HalfPrecisionRows
from bytecap.lab.experiments.row_rescue.report import judge_bookkeeping
from bytecap.lab.measure.estimate import Estimate
from bytecap.lab.measure.simple_steps import ALL_STEPS, ONE_STEP, ROW_SCALE, ROW_STEPS, RULES, expected_losses

PRICES = dict.fromkeys(RULES, 0.1) | {ROW_SCALE: 1e-4}
S, F, U = "supports", "falsifies", "undecided"


@pytest.mark.parametrize(
    "outcomes, verdict",
    [
        ([S, S], "supported"),
        ([S, U], "undecided"),
        ([S, F], "falsified"),
        ([U, F], "falsified"),
        ([U], "undecided"),
        ([], "undecided"),
    ],
)
def test_the_verdict_follows_from_what_decides(outcomes, verdict):
    decisive = [Observation("?", "!", outcome) for outcome in outcomes]
    assert verdict_of(decisive) == verdict
    assert verdict_of([*decisive, Observation("?", "!", F, decisive=False)]) == verdict


@pytest.mark.parametrize(
    "mean, error, outcome", [(-2.0, 1.0, S), (-1.9, 1.0, U), (0.0, 0.0, U), (1.9, 1.0, U), (2.0, 1.0, F)]
)
def test_a_change_is_judged_by_its_interval(mean, error, outcome):
    assert outcome_of_change(Estimate(mean, error)) == outcome


@pytest.mark.parametrize("value, outcome", [(0.5, S), (0.49, U), (0.25, U), (0.24, F), (-1.0, F)])
def test_a_share_is_judged_by_both_thresholds(value, outcome):
    assert outcome_of_share(value, 0.5, 0.25) == outcome


@pytest.mark.parametrize(
    "gains, outcome",
    [
        ({0.01: 0.1, 0.02: 0.15, 0.1: 0.2, 0.2: 0.21}, S),
        ({0.01: 0.1, 0.02: 0.15, 0.1: 0.2, 0.2: 0.3}, U),  # goes on rising
        ({0.01: 0.01, 0.02: 0.05, 0.1: 0.2, 0.2: 0.2}, U),  # a quarter early
        ({0.01: 0.01, 0.02: 0.03, 0.1: 0.2, 0.2: 0.2}, F),
        ({0.01: -0.1, 0.2: -0.2}, F),
        ({0.05: 0.2, 0.2: 0.2}, U),  # nothing early was measured
        ({0.01: 0.2}, U),  # nothing late was measured
    ],
)
def test_steepness(gains, outcome):
    assert judge_steepness(gains) == outcome
    assert judge_steepness(gains, certain=False) == (F if max(gains.values()) <= 0 else U)


def test_coder_execution_bookkeeping_and_budgets():
    assert [judge_coder(n, c) for n, c in ((0.2, 0.1), (0.2, 0.09), (0.2, 0.04), (0.2, -0.1), (-0.1, 0.1))] == [
        S,
        U,
        F,
        F,
        F,
    ]
    assert [judge_execution(ratio) for ratio in (0.9, 1.25, 1.5, 2.1)] == [S, S, U, F]
    assert [judge_bookkeeping(net, told) for net, told in ((10, 9), (10, 10), (0, 1), (-5, 1))] == [S, U, F, F]
    down, flat, up = Estimate(-3, 1), Estimate(0, 1), Estimate(3, 1)
    assert [outcome_by_budget(each, everywhere=False) for each in ([up, down], [up, flat], [up, up])] == [S, U, F]
    assert [outcome_by_budget(each, everywhere=True) for each in ([up, down], [down, down], [up, up])] == [U, S, F]


def unit_of(rows=12, columns=10, seed=0, price=0.05):
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((columns, columns))
    statistics = MatrixStatistics(mixing @ mixing.T + np.eye(columns), random.uniform(0.1, 4.0, rows))
    quantizer = GridQuantizer(QuantizationSettings(trellis_states=0, correlation=0.0))
    return Unit(
        random.standard_normal((rows, columns)) * random.uniform(0.5, 2, (rows, 1)), statistics, quantizer, price, 1, {}
    )


def naive_residual(unit, steps, mask, fine):
    """Column by column, the last in processing order first, each on its own.

    t = (W L)_j / L_jj - sum over k > j of w'_k L_kj / L_jj
    """
    prepared, (rows, columns) = unit.prepared, unit.shape
    found = np.zeros((rows, columns))
    for j in reversed(range(columns)):
        place = prepared.order[j]
        for i in range(rows):
            target = sum(prepared.weights[i, k] * prepared.factor[k, j] for k in range(columns))
            target -= sum(found[i, prepared.order[k]] * prepared.factor[k, j] for k in range(j + 1, columns))
            target /= prepared.factor[j, j]
            value = round(target / steps[i, place]) * steps[i, place]
            if mask[i, place]:
                value += round((target - value) / fine) * fine
            found[i, place] = value
    return found


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("axis, members", [(ROWS, (0, 7)), (COLUMNS, (3,)), (WEIGHTS, (1, 17, 50, 119))])
def test_exceptions_are_those_of_the_slow_twin(rule, axis, members):
    unit = unit_of(price=PRICES[rule])
    found = WithResidual(rule, axis, members, 2.0).fit(unit)
    grid, told = found.parts
    mask = np.zeros(unit.shape, bool)
    mask.reshape(-1)[list(members)] = axis == WEIGHTS
    mask[(list(members) if axis == ROWS else slice(0),)] = True
    mask[:, list(members) if axis == COLUMNS else slice(0)] = True
    assert np.allclose(found.weights, naive_residual(unit, steps_of(grid.grid), mask, told.part.base), atol=1e-5)
    errors = np.abs(found.weights - reconstruct_grid(grid.grid))
    assert not errors[~mask].any() and errors[mask].any()


@pytest.mark.parametrize("rule", RULES)
def test_finer_lines_of_the_same_grid(rule):
    unit = unit_of(price=PRICES[rule])
    plain, finer = OnSteps(rule).fit(unit), OnSteps(rule, ROWS, (2, 5), 2.0).fit(unit)
    ratio = steps_of(finer.grid) / steps_of(plain.grid)
    assert np.allclose(ratio[[2, 5]], 0.25, rtol=0.1) and np.allclose(np.delete(ratio, [2, 5], 0), 1.0, rtol=0.1)
    assert unit.row_losses(finer.weights)[[2, 5]].sum() < unit.row_losses(plain.weights)[[2, 5]].sum()


def test_the_rules_are_what_they_say():
    unit = unit_of()
    plain = quantize_matrix(unit.prepared, unit.byte_price)
    assert np.array_equal(OnSteps(ALL_STEPS).fit(unit).weights, plain.weights)
    assert len(set(steps_of(OnSteps(ONE_STEP).fit(unit).grid).reshape(-1))) == 1
    scaled = steps_of(OnSteps(ROW_SCALE).fit(unit).grid)
    rms = np.sqrt(np.square(unit.target).mean(1))
    assert np.allclose(scaled / rms[:, None], (scaled / rms[:, None])[0, 0], rtol=0.1)
    by_importance = steps_of(OnSteps(ROW_STEPS).fit(unit).grid)
    assert np.allclose(
        by_importance * np.sqrt(unit.prepared.row_fisher)[:, None],
        (by_importance * np.sqrt(unit.prepared.row_fisher)[:, None])[0, 0],
        rtol=0.1,
    )


@pytest.mark.parametrize("rule", RULES)
def test_expected_losses_are_those_of_fine_steps(rule):
    unit = unit_of(rows=60, columns=40, price=PRICES[rule] / 4)
    found = OnSteps(rule).fit(unit)
    assert expected_losses(unit.prepared, rule).sum() * unit.byte_price**2 == pytest.approx(
        found.predicted_loss, rel=0.25
    )


def test_a_set_told_by_bits_costs_what_compressed_bits_cost():
    """The exceptions of one column: 128 places a row apart, a bitmap of 2,048 bytes that compresses to a few dozen."""
    unit = unit_of(rows=128, columns=128)
    column = WithResidual(ROW_STEPS, WEIGHTS, tuple(range(5, 128 * 128, 128)), 2.0).fit(unit)
    known = exception_bytes({0: column}, 1)
    rows = exception_bytes({0: HalfPrecisionRows((3, 9, 77)).fit(unit)}, 1)
    assert 0 < rows["place_bytes"] < 40 and 0.7 * 768 < rows["residual_bytes"] < 1.1 * 768
    assert 0 < known["place_bytes"] < 100 and 0 < known["residual_bytes"] < 128


@given(st.integers(0, 10_000), st.sampled_from([ROWS, COLUMNS, WEIGHTS]), st.floats(0.01, 0.9))
def test_the_strongest_hold_their_share_and_no_more_than_needed(seed, axis, share):
    random = np.random.default_rng(seed)
    claims = {i: random.exponential(size=shape) for i, shape in ((1, (6, 4)), (4, (3, 8)))}
    members = strongest(claims, axis, share)
    lines = {i: {ROWS: c.shape[0], COLUMNS: c.shape[1], WEIGHTS: c.size}[axis] for i, c in claims.items()}
    assert all(list(m) == sorted(set(m)) and 0 < len(m) < lines[i] for i, m in members.items())
    weights = {i: len(m) * claims[i].size // lines[i] for i, m in members.items()}
    full = any(len(m) == lines[i] - 1 for i, m in members.items())  # capped: a set is never everything
    assert full or sum(weights.values()) >= share * 48 > sum(weights.values()) - 8
    assert strongest(claims, axis, share, only=[4]).keys() <= {4}
    held = concentration(claims, axis)
    assert held == sorted(held) and all(h >= s - 1e-9 for h, s in zip(held, (0.01, 0.05, 0.1, 0.2), strict=True))
