"""Landing on the cap: synthetic sizes as functions of the byte price, smooth, noisy and flat."""

from __future__ import annotations

import math

import pytest
from artifact_sizes import NEVER_TRIED, TOLERANCE, TRIALS, Sizes
from hypothesis import given, settings
from hypothesis import strategies as st

from bytecap.compiler.rate_control.landing import Landing, Trial
from bytecap.errors import CapError, CompileError


def assert_consistent(landing: Landing, sizes: Sizes, budget: int) -> None:
    """The chosen trial is the largest that fits among those tried, and the record is complete."""
    assert len(landing.trial.data) <= budget
    assert landing.tried == tuple((price, sizes.size(price)) for price in sizes.asked)
    assert len(landing.trial.data) == max(size for _, size in landing.tried if size <= budget)
    assert (landing.trial.byte_price, len(landing.trial.data)) in landing.tried


@settings(max_examples=80)
@given(
    weights=st.integers(20_000, 3_000_000),
    overhead=st.integers(100, 20_000),
    bits=st.floats(1, 14),
    knee=st.floats(1e-4, 10),
    start=st.floats(1e-6, 1.0),
    noise=st.sampled_from([0.0, 0.0, TOLERANCE / 5]),
)
def test_lands_within_tolerance_and_never_above(weights, overhead, bits, knee, start, noise) -> None:
    sizes = Sizes(overhead, weights, knee, noise)
    budget = overhead + round(weights * bits / 8)
    landing = sizes.land(budget, start_price=start)
    assert_consistent(landing, sizes, budget)
    assert not landing.at_finest and len(landing.trial.data) >= budget * (1 - TOLERANCE)
    assert len(landing.tried) < TRIALS


@pytest.mark.parametrize("start", [1e-9, 1e-3, 1e6])
def test_few_trials_are_enough(start: float) -> None:
    """A compile is expensive: near the answer, and far from it on the slope, interpolation needs a handful."""
    sizes = Sizes(5_000, 1_000_000, 0.05)
    landing = sizes.land(400_000, start_price=start)
    assert len(landing.tried) <= 14
    again = Sizes(5_000, 1_000_000, 0.05)
    assert len(again.land(400_000, start_price=landing.trial.byte_price).tried) == 1


@settings(max_examples=60)
@given(noise=st.floats(0.001, 0.05), budget=st.integers(30_000, 900_000), knee=st.floats(1e-3, 1.0))
def test_however_noisy_the_sizes_nothing_above_the_cap_is_kept(noise, budget, knee) -> None:
    sizes = Sizes(2_000, 500_000, knee, noise)
    landing = sizes.land(budget)
    assert_consistent(landing, sizes, budget)
    assert len(landing.trial.data) >= budget * (1 - TOLERANCE) or len(landing.tried) == TRIALS


def test_a_smaller_artifact_never_takes_the_place_of_a_larger_one() -> None:
    """Real sizes are not quite monotone: a price inside the bracket may give a smaller artifact than its coarse end."""
    sizes = Sizes(100, 10_000, 1.0)
    order = iter([900, 1_100, 800, 700])
    sizes.compile_at = lambda byte_price: Trial(byte_price, bytes(next(order)), {})
    landing = sizes.land(1_000, trials=4)
    assert [size for _, size in landing.tried] == [900, 1_100, 800, 700]
    assert len(landing.trial.data) == 900


def test_the_smallest_artifact_is_kept_when_no_trial_fits() -> None:
    """A real search cannot raise the price for ever: at the smallest size only the artifact of zeros fits."""
    sizes = Sizes(2_000, 500_000, 1.0)
    sizes.size = lambda byte_price: 2_001
    landing = sizes.land(2_000)
    assert landing.trial == Trial(NEVER_TRIED, bytes(2_000), {}) and not landing.at_finest
    assert len(landing.tried) == TRIALS


@pytest.mark.parametrize("budget", [200_000, 10**9])
def test_at_the_finest_steps_bytes_are_left(budget: int) -> None:
    sizes = Sizes(1_000, 100_000, 1e-3)
    finest = sizes.size(1e-6)
    assert finest < 200_000
    landing = sizes.land(budget, finest_price=1e-6)
    assert landing.at_finest and len(landing.trial.data) == finest
    assert landing.trial.byte_price == pytest.approx(1e-6)
    assert min(sizes.asked) >= 1e-6 * (1 - 1e-9)


def test_the_finest_steps_leave_nothing_where_their_size_is_within_tolerance() -> None:
    sizes = Sizes(1_000, 100_000, 1e-3)
    finest = sizes.size(1e-6)
    landing = sizes.land(finest, start_price=1e-6, finest_price=1e-6)
    assert len(landing.trial.data) == finest and not landing.at_finest


def test_the_search_aims_at_the_middle_of_the_tolerance() -> None:
    sizes = Sizes(5_000, 1_000_000, 0.05)
    sizes.land(300_000, start_price=1e-3)
    octaves = 8 * (sizes.size(1e-3) - 300_000 * (1 - TOLERANCE / 2)) / sizes.weights * 1.1
    assert math.log2(sizes.asked[1] / 1e-3) == pytest.approx(octaves, rel=1e-9)


def test_a_start_below_the_finest_price_starts_at_it() -> None:
    sizes = Sizes(1_000, 100_000, 1e-3)
    assert sizes.land(10**6, start_price=1e-12, finest_price=1e-6).at_finest
    assert sizes.asked == [pytest.approx(1e-6)]


def test_a_budget_just_below_the_finest_size_is_used() -> None:
    sizes = Sizes(1_000, 100_000, 1e-3)
    budget = sizes.size(1e-6) - 100
    landing = sizes.land(budget, finest_price=1e-6)
    assert_consistent(landing, sizes, budget)
    assert not landing.at_finest and len(landing.trial.data) >= budget * (1 - TOLERANCE)


@pytest.mark.parametrize("budget", [0, 1, 4_999])
def test_a_cap_below_the_smallest_size_is_refused_with_that_size(budget: int) -> None:
    sizes = Sizes(5_000, 100_000, 1e-3)
    with pytest.raises(CapError) as caught:
        sizes.land(budget)
    assert isinstance(caught.value, CompileError)
    message = str(caught.value)
    assert (
        "5000 bytes" in message
        and f"raise the cap by at least {5_000 - budget}" in message
        and f"{budget} bytes are left" in message
    )
    assert sizes.asked == []


def test_progress_counts_trials_and_never_passes_the_end() -> None:
    seen: list[tuple[int, int]] = []
    sizes = Sizes(5_000, 1_000_000, 0.05)
    landing = sizes.land(300_000, progress=lambda done, total: seen.append((done, total)))
    assert [total for _, total in seen] == [TRIALS] * len(seen) and len(seen) >= len(landing.tried)
    counts = [done for done, _ in seen]
    assert counts == sorted(counts) and counts[0] == 1 and counts[-1] <= TRIALS
    seen.clear()
    sizes.land(300_000, trials=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (1, 2), (2, 2)]  # the last is told when the search has ended


def test_an_error_in_a_trial_comes_out() -> None:
    def fail(byte_price: float) -> Trial:
        raise KeyboardInterrupt

    sizes = Sizes(100, 1000, 1.0)
    sizes.compile_at = fail
    with pytest.raises(KeyboardInterrupt):
        sizes.land(1000)
