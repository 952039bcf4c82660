"""Drawing: the kept tokens against a slow twin, shares against probabilities, and the same tokens for a seed."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytecap.errors import DataError
from bytecap.runtime.sampling import Sampler, SamplingSettings, kept_tokens

LOGITS = st.lists(st.integers(-6, 6), min_size=1, max_size=9).map(lambda values: np.array(values, np.float64))


def naive_kept(logits, temperature, top_k, top_p) -> dict[int, float]:
    """Probability of each kept token, after keeping."""
    weights = {token: math.exp(logit / temperature) for token, logit in enumerate(logits)}
    likeliest = sorted(weights, key=lambda token: (-logits[token], token))[:top_k]
    total, kept, reached = sum(weights[token] for token in likeliest), {}, 0.0
    for token in likeliest:
        kept[token] = weights[token] / total
        reached += kept[token]
        if top_p < 1 and reached >= top_p:
            break
    return {token: kept[token] / sum(kept.values()) for token in sorted(kept)}


@given(LOGITS, st.sampled_from([0.3, 1.0, 2.5]), st.sampled_from([None, 1, 3, 100]), st.sampled_from([1.0, 0.93, 0.41]))
def test_kept_tokens_are_the_slow_twins(logits, temperature, top_k, top_p):
    tokens, sums = kept_tokens(logits, SamplingSettings(temperature, top_k, top_p))
    expected = naive_kept(logits, temperature, top_k, top_p)
    assert (list(range(logits.size)) if tokens is None else tokens.tolist()) == list(expected)
    np.testing.assert_allclose(np.diff(sums, prepend=0.0) / sums[-1], list(expected.values()), atol=1e-12)


def test_tokens_are_drawn_as_often_as_they_are_likely():
    logits, sampler = np.array([1.0, 0.0, 3.0, -2.0], np.float32), Sampler(SamplingSettings(1.5, seed=3))
    drawn = np.bincount([sampler.draw(logits) for _ in range(20_000)], minlength=4) / 20_000
    expected = np.exp(logits / 1.5) / np.exp(logits / 1.5).sum()
    np.testing.assert_allclose(drawn, expected, atol=4 * 0.5 / math.sqrt(20_000))


def test_a_seed_draws_the_same_tokens_and_another_seed_others():
    logits = np.random.default_rng(0).standard_normal((40, 30)).astype(np.float32)

    def drawn(seed: int) -> list[int]:
        sampler = Sampler(SamplingSettings(1.0, seed=seed))
        return [sampler.draw(row) for row in logits]

    assert drawn(1) == drawn(1) != drawn(2)
    # The stream is part of the interface: PCG64's uniform numbers, one a token.
    uniform = np.random.Generator(np.random.PCG64(1)).random(40)
    for row, number, token in zip(logits.astype(np.float64), uniform, drawn(1), strict=True):
        assert token == np.flatnonzero(np.cumsum(np.exp(row) / np.exp(row).sum()) > number)[0]


def test_no_temperature_takes_the_first_greatest():
    assert Sampler(SamplingSettings(0)).draw(np.array([1, 5, 5, 2], np.float32)) == 1


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"temperature": -0.1}, "a temperature of -0.1"),
        ({"temperature": math.nan}, "a temperature of nan"),
        ({"temperature": math.inf}, "a temperature of inf"),
        ({"top_k": 0}, "at least 1"),
        ({"top_p": 0.0}, "above 0, at most 1"),
        ({"top_p": 1.5}, "above 0, at most 1"),
        ({"seed": -1}, "not negative"),
    ],
)
def test_what_is_no_way_to_draw_is_refused(options, what):
    with pytest.raises(DataError, match=what):
        SamplingSettings(**options)


def test_next_to_no_temperature_takes_the_greatest_without_a_warning():
    logits = np.array([1.0, 3.0, -2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Sampler(SamplingSettings(temperature=1e-320, seed=3)).draw(logits) == 1
