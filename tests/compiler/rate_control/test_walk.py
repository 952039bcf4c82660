"""What a walk spends: the schedule's prices, and walking again until the budget is filled."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytecap.compiler.rate_control.land_walks import land_walks
from bytecap.compiler.rate_control.landing import Landing, Trial, land_on_cap
from bytecap.compiler.rate_control.price_schedule import MOST_OCTAVES, PriceSchedule, bytes_per_octave

WEIGHTS = {3: 8_000, 5: 16_000, 7: 8_000}
PLANNED = {3: 3_000, 5: 6_000, 7: 3_000}


def schedule(left: float, finest: float = 1e-9) -> PriceSchedule:
    return PriceSchedule(1e-3, finest, PLANNED, WEIGHTS, 1 / 8, left)


def test_a_plan_that_holds_keeps_its_price() -> None:
    prices = schedule(12_000)
    for index, size in PLANNED.items():
        assert prices.price() == pytest.approx(1e-3)
        prices.spend(index, size, 1e-3)
    assert prices.rest() == []


@pytest.mark.parametrize(
    ("left", "octaves"),
    [(12_000, 0.0), (11_000, 0.25), (13_000, -0.25), (2_000, MOST_OCTAVES), (30_000, -MOST_OCTAVES)],
)
def test_the_price_moves_by_what_is_missing(left: float, octaves: float) -> None:
    assert math.log2(schedule(left).price() / 1e-3) == pytest.approx(octaves)


def test_what_the_first_took_more_than_planned_the_rest_will_too() -> None:
    prices = schedule(12_000)
    prices.spend(3, 3_300, 1e-3)
    expected = (9_000 * 1.1 - (12_000 - 3_300)) / (24_000 / 8)
    assert math.log2(prices.price() / 1e-3) == pytest.approx(expected)


def test_what_a_coarser_price_saved_is_not_taken_for_a_better_plan() -> None:
    prices = schedule(11_000)
    prices.spend(3, 3_000 - 250, prices.price())
    assert math.log2(prices.price() / 1e-3) == pytest.approx(0.25)


def test_never_finer_than_the_finest_price() -> None:
    assert schedule(30_000, finest=0.9e-3).price() == 0.9e-3


@settings(max_examples=50, deadline=None)
@given(st.floats(0.97, 1.03), st.lists(st.integers(2_000, 50_000), min_size=4, max_size=30), st.floats(-0.2, 0.2))
def test_a_walk_ends_near_its_budget(ratio: float, sizes: list[int], moved: float) -> None:
    """Matrices that all take `ratio` of their plan; the budget is `moved` octaves away from it."""
    weights = dict(enumerate(sizes))
    planned = {i: n * 3 // 8 for i, n in weights.items()}
    budget = sum(planned.values()) - sum(sizes) / 8 * moved
    prices = PriceSchedule(1.0, 1e-9, planned, weights, 1 / 8, budget)
    spent = 0.0
    for i, n in weights.items():
        price = prices.price()
        taken = max(1, round(planned[i] * ratio - n / 8 * math.log2(price)))
        prices.spend(i, taken, price)
        spent += taken
    assert (
        abs(math.log2(price)) == pytest.approx(MOST_OCTAVES)
        or abs(spent - budget) <= 0.01 * weights[len(sizes) - 1] + 30
    )


@pytest.mark.parametrize(
    ("tried", "slope"),
    [
        ([], 1 / 8),
        ([(1e-3, 900)], 1 / 8),
        ([(2e-3, 900), (1e-3, 1_000)], 0.1),
        ([(1e-3, 1_000), (2e-3, 900)], 0.1),
        ([(9.0, 5), (2e-3, 950), (1e-3, 1_000)], 0.05),
        ([(2e-3, 1_000), (1e-3, 1_000)], 1 / 64),
        ([(2e-3, 0), (1e-3, 1_000)], 1 / 8),
        ([(1e-3, 1_000), (1e-3, 1_000)], 1 / 8),
    ],
)
def test_the_slope_of_the_trials_nearest_to_the_last(tried: list, slope: float) -> None:
    assert bytes_per_octave(tried, 1_000) == pytest.approx(slope)


@dataclass(frozen=True)
class FakeWalk:
    """All but the last matrix take `fixed` bytes; the last takes 100 bytes an octave below price 1, and
    never less than 0.
    """

    base_price: float
    fixed: int
    last_price: float = 0.5
    last_weights: int = 800

    def at(self, price: float) -> Trial:
        return Trial(price, bytes(self.fixed + max(0, round(-100 * math.log2(price)))), {})

    def smallest(self) -> Trial:
        return Trial(self.last_price, bytes(self.fixed), {})


def landed(budget: int, fixed_of, walks: int = 3) -> tuple[Landing, list[float]]:
    asked: list[float] = []

    def walk_from(quick: Trial) -> FakeWalk:
        asked.append(quick.byte_price)
        return FakeWalk(quick.byte_price, fixed_of(quick.byte_price))

    def land(walk: FakeWalk, smallest: Trial) -> Landing:
        return land_on_cap(
            walk.at,
            start_price=walk.last_price,
            smallest=smallest,
            budget=budget,
            weights=800,
            finest_price=1e-9,
            tolerance=0.001,
            trials=20,
            progress=lambda done, total: None,
        )

    near = Landing(Trial(1.0, bytes(budget // 2), {}), ((1.0, budget // 2),), False)
    found = land_walks(
        walk_from,
        land,
        lambda price: Trial(price, b"", {}),
        near,
        budget=budget,
        tolerance=0.001,
        slope=1_000.0,
        walks=walks,
    )
    return found, asked


def test_one_walk_is_enough_when_the_last_matrix_closes_the_gap() -> None:
    found, asked = landed(10_000, lambda price: 9_920)
    assert asked == [1.0]
    assert 9_990 <= len(found.trial.data) <= 10_000
    assert found.trial.byte_price == 1.0
    assert found.tried == ((1.0, 5_000), (1.0, len(found.trial.data)))


@pytest.mark.parametrize("first", [10_400, 8_000])
def test_a_walk_far_from_the_budget_is_walked_again_at_another_price(first: int) -> None:
    found, asked = landed(10_000, lambda price: round(first - 1_000 * math.log2(price)))
    assert len(asked) == 2
    assert (asked[1] > 1) == (first > 10_000)
    assert 9_990 <= len(found.trial.data) <= 10_000


def test_the_quick_landing_is_kept_when_no_walk_fits() -> None:
    found, asked = landed(10_000, lambda price: 12_000)
    assert len(asked) == 3
    assert len(found.trial.data) == 5_000
    assert [size for _, size in found.tried] == [5_000, 12_100, 12_100, 12_100]
    assert np.all(np.diff(asked) > 0)
