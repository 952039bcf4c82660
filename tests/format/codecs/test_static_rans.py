"""The static coder: its tables, sizes against the adaptive coder, and any damage to its streams."""

from __future__ import annotations

import numpy as np
import pytest
from codec_checks import (
    WHERE,
    assert_agrees_with_reference,
    assert_same_answer,
    by_reference,
    random_walk,
    round_trip,
    scales_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from bytecap.errors import TruncatedArtifact
from bytecap.format.codecs import ExpectedScales
from bytecap.format.codecs.scale_classes import MAX_MAGNITUDE, ScaleClasses, following_state
from bytecap.format.codecs.static_kernels import follow_trellis
from bytecap.format.codecs.static_rans import StaticRans
from bytecap.format.codecs.static_tables import (
    ESCAPE,
    FIRST_OCTAVE,
    HEADER,
    LARGEST_FREQUENCY,
    N_SYMBOLS,
    TOTAL,
    class_range,
    decode_side,
    expected_classes,
    fit_classes,
    fit_frequencies,
)
from bytecap.format.codecs.trellis import PARITY_CHECKS, TRELLISES

RANDOM_CODES = ((np.arange(48).reshape(6, 8) * 37) % 23 - 11).astype(np.int32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-6, 16), st.integers(1, 40), st.integers(1, 40))
def test_gaussians_of_any_scale_beside_a_trellis(seed: int, octave: float, rows: int, columns: int) -> None:
    """Low bits, escapes and both groups of tables in one stream."""
    random = np.random.default_rng(seed)
    scale = np.exp2(random.uniform(-2, 2, (rows, 1)) + octave)
    plain = np.rint(random.standard_normal((rows, columns)) * scale).astype(np.int32)
    walked = ExpectedScales(random.integers(-3, 4, rows) << 16, random.integers(-2, 3, columns) << 16, 8)
    items = [plain, random_walk(8, rows, columns, walked, seed), plain.T.copy()]
    items[1][0] += 8 * random.integers(-1000, 1000, columns).astype(np.int32)  # a multiple of 4 changes no state
    scales = [scales_of(plain, int(octave * 65536)), walked, scales_of(plain.T)]
    assert_agrees_with_reference(StaticRans, items, scales)


@pytest.mark.parametrize("n_states", sorted(TRELLISES))
def test_states_by_parity_checks_are_those_of_the_table(n_states: int) -> None:
    states = np.repeat(np.arange(n_states, dtype=np.int32), 8)
    codes = (np.tile(np.arange(-8, 8, 2), n_states) + (states & 1)).astype(np.int32)
    expected = [following_state(TRELLISES[n_states], 0, state, code) for state, code in zip(states, codes, strict=True)]
    resting, scales = states.copy(), np.zeros(states.size, np.int32)
    follow_trellis(PARITY_CHECKS[n_states], np.int32(0), scales, codes, states)
    follow_trellis(PARITY_CHECKS[n_states], np.int32(-(9 << 16)), scales, codes, resting)
    assert states.tolist() == expected
    assert np.array_equal(resting, np.repeat(np.arange(n_states), 8))


@pytest.mark.parametrize(
    ("value", "n_states"), [(MAX_MAGNITUDE, 0), (-MAX_MAGNITUDE, 0), (MAX_MAGNITUDE - 3, 8), (3 - MAX_MAGNITUDE, 8)]
)
def test_the_largest_integers_are_escapes(value: int, n_states: int) -> None:
    codes = np.zeros((40, 40), np.int32)
    codes[0] = value
    scales = [ExpectedScales(np.zeros(40, np.int64), np.full(40, -(3 << 16)), n_states)]
    payload = round_trip(StaticRans, [codes], scales)
    assert decode_side(payload, scales, offset=0, where="")[0].escapes.size == 40
    assert by_reference(StaticRans, payload, scales) == [codes.tolist()]


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0, 30.0])
def test_size_is_near_that_of_the_adaptive_coder(sigma: float) -> None:
    random = np.random.default_rng(1)
    rows = np.exp2(random.uniform(-1, 1, (600, 1)))
    codes = np.rint(random.standard_normal((600, 400)) * sigma * rows).astype(np.int32)
    scales = [scales_of(codes)]
    assert len(round_trip(StaticRans, [codes], scales)) < 1.03 * len(ScaleClasses.encode([codes], scales))


def test_zeros_respect_the_amplification_bound() -> None:
    codes = np.zeros((2000, 1000), np.int32)
    assert codes.size / 16384 < len(round_trip(StaticRans, [codes], [scales_of(codes)])) < 1500


def test_golden_bytes() -> None:
    """The stream of a fixed matrix may never become unreadable: old artifacts must decode for ever."""
    decoded, _ = StaticRans.decode(bytes.fromhex(GOLDEN), [scales_of(RANDOM_CODES)], offset=0, where=WHERE)
    assert np.array_equal(decoded[0], RANDOM_CODES)
    assert StaticRans.encode([RANDOM_CODES], [scales_of(RANDOM_CODES)]).hex() == GOLDEN


GOLDEN = (
    "28000000000000000300000019020000ffe8feeb14d0fb36dbae05022c4e4aa21e6f27d14fe14800740dee001787a77543ca"
    "7ae7000000006cd8241b3609d54f390076843900e2a62e0091fa370022c126006c8d1700eef4370035862e009028a4a79a7e"
    "0892c90abff8cc33d92f"
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 50) | st.integers(0, 10**9), min_size=N_SYMBOLS, max_size=N_SYMBOLS),
    st.booleans(),
    st.integers(0, 31),
)
def test_fitted_frequencies_are_a_distribution(counts: list[int], odd: bool, only: int) -> None:
    for values in (counts, [count * (k == only) for k, count in enumerate(counts)]):
        counted = np.array(values, np.int64)
        counted[ESCAPE - 1] *= not odd
        found = fit_frequencies(counted, odd)
        first = 0 if odd else 1
        pairs = found[first : first + 30].reshape(15, 2)
        assert found.sum() == TOTAL and found.min() >= 0 and found.max() <= LARGEST_FREQUENCY
        assert (pairs[:, 0] == pairs[:, 1]).all() and (found[counted > 0] > 0).all()


def test_classes_that_are_rare_have_no_table() -> None:
    histogram = np.array([3, 0, 500, 1000, 400, 1, 0, 2])
    assert class_range(histogram) == (2, 3)
    assert class_range(np.array([0, 1, 0])) == (1, 1)


@pytest.mark.parametrize("cut", [0, 3, 15, 16, 40, -33, -5, -2])
def test_reject_truncated(cut: int) -> None:
    scales = [scales_of(RANDOM_CODES)]
    payload = StaticRans.encode([RANDOM_CODES], scales)
    with pytest.raises(TruncatedArtifact) as caught:
        StaticRans.decode(payload[:cut], scales, offset=7, where=WHERE)
    assert caught.value.rule == "R-STR-4" and caught.value.where == WHERE


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_the_bytes(data) -> None:
    """Of damaged bytes the codec and the reference decoder read the same integers or refuse by the same rule."""
    n_states = data.draw(st.sampled_from([0, 8]))
    seed, octave = data.draw(st.integers(0, 5)), data.draw(st.sampled_from([-2, 1, 7]))
    known = ExpectedScales(np.zeros(9, np.int64), np.zeros(12, np.int64), n_states)
    plain = np.rint(np.random.default_rng(seed).standard_normal((9, 12)) * 2.0**octave).astype(np.int32)
    payload = bytearray(StaticRans.encode([random_walk(8, 9, 12, known, seed) if n_states else plain], [known]))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    payload = bytes(payload[: data.draw(st.integers(0, len(payload)) | st.just(len(payload)))])
    assert_same_answer(StaticRans, payload, [known])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120), st.integers(1, 9))
def test_whatever_follows_a_header(payload: bytes, rows: int) -> None:
    assert_same_answer(StaticRans, payload, [scales_of(np.zeros((rows, 5)))])
    assert_same_answer(
        StaticRans, HEADER.pack(4, 0, 0, 3, 1, 0, 0) + bytes(4) + payload, [scales_of(np.zeros((rows, 5)))]
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-8, 22), st.integers(1, 12), st.integers(1, 12), st.sampled_from([0, 8]))
def test_classes_that_a_writer_fits_with_integers_are_those_of_the_formula(
    seed: int, octave: float, rows: int, columns: int, states: int
) -> None:
    """Rows, and then columns, three times over, whose mean magnitude is nearest to what their class expects."""
    random = np.random.default_rng(seed)
    codes = np.clip(np.rint(random.standard_normal((rows, columns)) * 2**octave), -MAX_MAGNITUDE, MAX_MAGNITUDE).astype(
        np.int32
    )
    scales = ExpectedScales(
        random.integers(-(9 << 16), 9 << 16, rows), random.integers(-(9 << 16), 9 << 16, columns), states
    )
    first = FIRST_OCTAVE + 1 / 8 + bool(states)
    sides = [side.astype(float) for side in expected_classes(scales)]
    least = 1.0
    for turn in range(6):
        sums = np.maximum(np.abs(codes.astype(float)).sum(1 - turn % 2), 0.25)
        exact = 4 * (np.log2(sums) - first - np.log2(np.exp2(sides[1 - turn % 2] / 4).sum()))
        sides[turn % 2] = np.rint(exact)
        least = min(least, 0.5 - np.abs(exact - np.rint(exact)).max())
    if least > 1e-6:  # no tie
        for found, side in zip(fit_classes(codes, scales), sides, strict=True):
            assert found.dtype == np.int64 and np.array_equal(found, side)


def test_columns_are_fitted_where_the_row_is_right_at_first() -> None:
    """A mean of 10 / 9 is what class 0 + 16 expects; of the columns three have more, which then changes the row."""
    scales = ExpectedScales(np.zeros(1, np.int64), np.zeros(9, np.int64))
    rows, columns = fit_classes(np.array([[8, 0, 0, 0, 1, 0, 0, 1, 0]], np.int32), scales)
    assert (rows.tolist(), columns.tolist()) == ([-2], [29, 9, 9, 9, 17, 9, 9, 17, 9])
