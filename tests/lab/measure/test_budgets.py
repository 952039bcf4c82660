"""Ranges of budgets: every spelling that has one meaning, and what is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bytecap.errors import CapError
from bytecap.lab.measure.budgets import BudgetRange, parse_budgets

RANGES = {
    "0.5%:10%:6": BudgetRange(Decimal("0.5"), Decimal("10"), 6),
    "4KB:64KiB:5": BudgetRange(4000, 65536, 5),
    "1000:50%:2": BudgetRange(1000, Decimal("50"), 2),
    "2%": BudgetRange(Decimal("2"), Decimal("2"), 1),
    "300": BudgetRange(300, 300, 1),
}
WRONG = {
    "": "is not a size",
    "1:2": "is not a range of budgets",
    "1:2:3:4": "is not a range of budgets",
    "1:2:0": "is not a number of budgets",
    "1:2:x": "is not a number of budgets",
    "1:2:²": "is not a number of budgets",
    "1:2:99999": "is not a number of budgets",
    "0%:1%:2": "is not a share",
    "1%:100%:2": "is not a share",
    "nan%:1%:2": "is not a share",
    "a%:1%:2": "is not a share",
    "1:16M:2": "is not a size in bytes",
    "-5:16:2": "is not a size in bytes",
}


@pytest.mark.parametrize("text", RANGES)
def test_a_range_is_read(text):
    assert parse_budgets(text) == RANGES[text]


@pytest.mark.parametrize("text", WRONG)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match=WRONG[text]):
        parse_budgets(text)


def test_budgets_are_bytes_in_equal_ratios():
    assert parse_budgets("100:1600:5").of_artifact(10_000) == [100, 200, 400, 800, 1600]
    assert parse_budgets("1%:4%:3").of_artifact(10_000) == [100, 200, 400]
    assert parse_budgets("1:3:9").of_artifact(10_000) == [1, 2, 3]
    assert parse_budgets("7%").of_artifact(10_000) == [700]


@pytest.mark.parametrize(
    "text, words",
    [("100:20000:3", "not less than the artifact"), ("200:100:2", "not fall"), ("0.001%:1%:2", "begin with 1")],
)
def test_budgets_that_do_not_fit_the_artifact(text, words):
    with pytest.raises(CapError, match=words):
        parse_budgets(text).of_artifact(10_000)
