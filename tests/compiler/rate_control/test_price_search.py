"""The search of the byte price, step by step against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from bytecap.compiler.rate_control.price_search import PriceSearch, SizeWindow

WINDOW = SizeWindow(900.0, 1000.0, 950.0)
WEIGHTS = 8_000


def positions(sizes: list[int], start: float = 1.0, finest: float = 0.0, weights: int = WEIGHTS) -> list[float]:
    """log2 of the prices that are asked for while the artifacts have these sizes."""
    search = PriceSearch(WINDOW, weights, start, finest)
    found = [math.log2(search.price)]
    for size in sizes:
        search.learn(size)
        found.append(math.log2(search.price))
    return found


@pytest.mark.parametrize(("size", "finished"), [(1000, True), (900, True), (1001, False), (899, False)])
def test_both_ends_of_the_window_end_the_search(size, finished):
    search = PriceSearch(WINDOW, WEIGHTS, 1.0)
    search.learn(size)
    assert search.finished is finished


def test_steps_follow_the_slope_of_high_rates_and_double_on_one_side():
    """950 bytes too many are 8 * 950 / 8,000 octaves; a tenth more, so that both sides are soon known."""
    assert positions([1900, 1900, 1900]) == pytest.approx([0, 0.95 * 1.1, 3 * 0.95 * 1.1, 3 * 0.95 * 1.1 + 4])
    assert positions([855, 855]) == pytest.approx([0, -0.095 * 1.1, -3 * 0.095 * 1.1])


def test_a_step_is_at_most_four_octaves_and_at_least_a_fiftieth():
    assert positions([10**6]) == [0, 4.0]
    assert positions([1001], weights=10**6) == pytest.approx([0, 0.02])


def test_between_two_sizes_it_interpolates_and_leaves_a_fiftieth():
    first = 0.95 * 1.1
    assert positions([1900, 800])[-1] == pytest.approx(first * (1900 - 950) / (1900 - 800))
    assert positions([1900, 0])[-1] == pytest.approx(first * 0.5)
    assert positions([1900, 949 - 60])[-1] == pytest.approx(first * (1900 - 950) / (1900 - 889))
    far = min(950 * 8 / WEIGHTS * 1.1, 4.0)
    assert positions([1900, -(10**6)])[-1] == pytest.approx(far * 0.02)


def test_results_that_stay_on_one_side_halve_what_is_enclosed():
    """Of a fourth size the third in a row is too small."""
    *_, fine, third = positions([1900, 800, 899])
    assert fine == pytest.approx(0.95 * 1.1 * 950 / 1100) and third == pytest.approx(fine * 950 / 1001)
    assert positions([1900, 800, 899, 899])[-1] == pytest.approx(third / 2)


def test_a_finest_price_is_never_left_and_ends_the_search():
    search = PriceSearch(WINDOW, WEIGHTS, 1.0, 0.5)
    search.learn(0)
    assert search.price == 0.5 and search.at_finest and not search.finished
    search.learn(0)
    assert search.finished
