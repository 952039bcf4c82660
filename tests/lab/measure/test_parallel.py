"""Independent jobs whose results nobody takes any more, as after an interrupt: joblib's own words are not shown."""

from __future__ import annotations

import time
import warnings

import pytest

from bytecap.lab.measure.backends import running_on
from bytecap.lab.measure.parallel import iterate_unordered


@pytest.mark.parametrize("wait", [0.0, 0.5], ids=["running", "finished"])
def test_jobs_that_are_given_up_are_not_warned_of(wait):
    """Some are still running, or finished and not taken, when the others are given up."""
    with warnings.catch_warnings(record=True) as caught, running_on("threading", None):
        results = iterate_unordered(lambda seconds: time.sleep(seconds) or seconds, [0.0, 0.1, 0.2, 0.3], threads=2)
        assert next(results) == 0.0
        time.sleep(wait)
        results.close()
    assert [str(each.message) for each in caught] == []
