"""Intervals of means: they hold the truth as often as they say, of few values as of many."""

from __future__ import annotations

import numpy as np
import pytest

from bytecap.files.intervals import STUDENT, standard_errors
from bytecap.lab.measure.estimate import Estimate


@pytest.mark.parametrize("count", [2, 3, 5, 11, 12, 16, 64])
def test_an_interval_holds_the_truth_in_95_of_100_cases(count):
    """By drawing paired values whose mean difference is 3."""
    pairs = np.random.default_rng(count).standard_normal((20_000, 2, count)) + np.array([[1.0], [4.0]])
    found = [Estimate.of_pairs(first, second) for first, second in pairs]
    assert np.mean([each.low <= 3 <= each.high for each in found]) == pytest.approx(0.95, abs=0.006)


def test_the_expansion_goes_on_where_the_table_ends():
    known = {len(STUDENT) + 2: 2.201, 16: 2.131, 31: 2.042, 121: 1.980}  # of so many values, from tables
    for count, quantile in known.items():
        assert standard_errors(count) == pytest.approx(quantile, abs=3e-3)
    assert standard_errors(10**6) == pytest.approx(1.96, abs=1e-5)


def test_an_error_that_knows_of_many_reaches_as_far_as_the_normal_one():
    assert (Estimate(1.0, 0.5).low, Estimate(1.0, 0.5).high) == pytest.approx((0.02, 1.98))
    assert Estimate(1.0, 0.1).side() == 1 and Estimate(1.0, 0.1, 2).side() == 0
