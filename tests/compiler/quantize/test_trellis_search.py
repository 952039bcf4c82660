"""The trellis search: exact against brute force, and as near the rate-distortion bound as theory promises."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytecap.compiler.quantize.trellis_search import BIT_COSTS, search_path, trellis_sources
from bytecap.format.codecs import ExpectedScales
from bytecap.format.codecs.scale_classes import ScaleClasses
from bytecap.format.codecs.trellis import TRELLISES


def naive_bits(k: int, scale: int) -> float:
    """Bits of an integer by the coder's initial distributions, written out again."""
    scale = min(max(scale - 65536, -4 * 65536), 20 * 65536 - 1)
    scale_class = (scale + 4 * 65536) >> 14
    shift = max(0, (scale_class >> 2) - 5)
    number, odd = abs(k) // 2, k % 2
    if odd:
        number_bin = number >> shift
    else:
        number_bin = 0 if number == 0 else ((number - 1) >> shift) + 1
    return BIT_COSTS[odd, scale_class, min(number_bin, 15)]


def naive_search(targets, scales, n_states: int, rate_weight: float) -> float:
    """Least cost over every path and every integer within reach."""
    best = math.inf
    for cosets in itertools.product(range(2), repeat=len(targets)):
        state, total = 0, 0.0
        for target, scale, u in zip(targets, scales, cosets, strict=True):
            residue = 2 * u + state % 2
            candidates = [k for k in range(math.floor(target) - 12, math.floor(target) + 13) if k % 4 == residue]
            total += min((target - k) ** 2 + (rate_weight and rate_weight * naive_bits(k, scale)) for k in candidates)
            state = int(TRELLISES[n_states][state, u])
        best = min(best, total)
    return best


@pytest.mark.parametrize("n_states", sorted(TRELLISES))
@settings(max_examples=30, deadline=None)
@given(
    targets=st.lists(st.floats(-9, 9), min_size=1, max_size=7),
    level=st.floats(-1, 3),
    rate_weight=st.sampled_from([0.0, 0.1, 0.4]),
)
def test_search_finds_the_cheapest_path(n_states: int, targets: list[float], level: float, rate_weight: float) -> None:
    scales = np.full(len(targets), int(level * 65536), np.int64)
    codes = np.empty(len(targets), np.int64)
    search_path(np.array(targets), scales, trellis_sources(TRELLISES[n_states]), rate_weight, BIT_COSTS, codes)
    state, total = 0, 0.0
    for target, scale, k in zip(targets, scales, codes.tolist(), strict=True):
        assert k % 2 == state % 2
        total += (target - k) ** 2 + (rate_weight and rate_weight * naive_bits(k, scale))
        state = int(TRELLISES[n_states][state, (k % 4 - state % 2) // 2])
    assert total == pytest.approx(naive_search(targets, scales.tolist(), n_states, rate_weight), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("n_states", "step", "limit"), [(8, 0.15, 0.09), (64, 0.15, 0.06), (8, 0.3, 0.10), (64, 0.3, 0.07)]
)
def test_gaussian_data_through_the_real_coder_is_near_the_bound(n_states: int, step: float, limit: float) -> None:
    """Bits per sample minus the rate-distortion function 1/2 log2(1 / D); entropy-coded uniform steps lose 0.25."""
    samples = np.random.default_rng(0).standard_normal(120_000)
    scales = np.full(samples.size, int(65536 * math.log2(0.8 / step)), np.int64)
    codes = np.empty(samples.size, np.int64)
    search_path(samples / step, scales, trellis_sources(TRELLISES[n_states]), 0.1, BIT_COSTS, codes)
    payload = ScaleClasses.encode([codes.reshape(-1, 1)], [ExpectedScales(scales, np.zeros(1, np.int64), n_states)])
    distortion = float(np.mean(np.square(samples - codes * step)))
    assert len(payload) * 8 / samples.size + 0.5 * math.log2(distortion) < limit
