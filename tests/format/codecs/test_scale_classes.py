"""The scale-class coder: round trips, agreement with the reference decoder, size against the entropy, hostile bytes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import reference_decoder

from bytecap.errors import ArtifactError, MalformedArtifact, TruncatedArtifact
from bytecap.format.codecs import INTEGER_CODECS, ExpectedScales
from bytecap.format.codecs.registry import register_integer_codec
from bytecap.format.codecs.scale_classes import MAX_MAGNITUDE, ScaleClasses, initial_model
from bytecap.format.codecs.trellis import TRELLISES


def scales_of(matrix: np.ndarray, level: int = 0) -> ExpectedScales:
    return ExpectedScales(np.full(matrix.shape[0], level, np.int64), np.zeros(matrix.shape[1], np.int64))


def known_to_reference(scales: list[ExpectedScales]) -> list:
    return [(s.rows.tolist(), s.columns.tolist(), s.trellis_states) for s in scales]


def round_trip(matrices: list[np.ndarray], scales: list[ExpectedScales]) -> bytes:
    payload = ScaleClasses.encode(matrices, scales)
    decoded, ends = ScaleClasses.decode(payload, scales, offset=0, where="test")
    for matrix, again in zip(matrices, decoded, strict=True):
        assert np.array_equal(matrix, again)
    assert ends == sorted(ends) and (not ends or ends[-1] == len(payload))
    return payload


@st.composite
def matrices(draw) -> np.ndarray:
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    top = draw(st.sampled_from([0, 1, 3, 20, 1000, MAX_MAGNITUDE]))
    values = draw(st.lists(st.integers(-top, top), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    return np.array(values, np.int32).reshape(shape)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(matrices(), st.integers(-(40 << 16), 40 << 16)), min_size=0, max_size=3))
def test_round_trip_and_reference_decoder_agree(drawn) -> None:
    items = [matrix for matrix, _ in drawn]
    scales = [scales_of(matrix, level) for matrix, level in drawn]
    payload = round_trip(items, scales)
    assert reference_decoder.decode_stream(payload, known_to_reference(scales)) == [m.tolist() for m in items]


def test_reference_decoder_agrees_on_gaussian_rows_of_different_scale() -> None:
    random = np.random.default_rng(3)
    scale = np.exp2(random.uniform(-6, 8, (60, 1))) * np.exp2(random.uniform(-1, 1, (1, 90)))
    codes = np.rint(random.standard_normal((60, 90)) * scale).astype(np.int32)
    expected = scales_of(codes)
    payload = round_trip([codes], [expected])
    assert reference_decoder.decode_stream(payload, known_to_reference([expected])) == [codes.tolist()]


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0, 30.0, 3000.0])
def test_size_is_near_the_entropy(sigma: float) -> None:
    codes = np.rint(np.random.default_rng(1).standard_normal((400, 400)) * sigma).astype(np.int32)
    payload = round_trip([codes], [scales_of(codes, int(math.log2(sigma) * 65536))])
    _, counts = np.unique(codes, return_counts=True)
    share = counts / codes.size
    entropy = (
        float(-(share * np.log2(share)).sum()) if sigma < 100 else math.log2(sigma * math.sqrt(2 * math.pi * math.e))
    )
    assert len(payload) * 8 / codes.size < entropy + 0.03


def random_walk(n_states: int, rows: int, columns: int, scales: ExpectedScales, seed: int) -> np.ndarray:
    """Codes that follow a trellis, by taking a random coset and a random integer of it at every step."""
    random, codes = np.random.default_rng(seed), np.zeros((rows, columns), np.int64)
    for j in range(columns):
        state = 0
        for i in range(rows):
            if scales.rows[i] + scales.columns[j] < -5 << 14:
                codes[i, j] = 2 * random.integers(-2, 3)
                continue
            u = random.integers(2)
            codes[i, j] = 4 * random.integers(-3, 3) + 2 * u + (state & 1)
            state = TRELLISES[n_states][state, u]
    return codes.astype(np.int32)


@pytest.mark.parametrize("n_states", sorted(TRELLISES))
@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 20), columns=st.integers(1, 8), seed=st.integers(0, 1000))
def test_trellis_round_trip_and_reference_decoder_agree(n_states: int, rows: int, columns: int, seed: int) -> None:
    levels = np.random.default_rng(seed).integers(-3, 4, rows).astype(np.int64) << 16
    scales = ExpectedScales(levels, np.zeros(columns, np.int64), n_states)
    codes = random_walk(n_states, rows, columns, scales, seed)
    payload = round_trip([codes], [scales])
    assert reference_decoder.decode_stream(payload, known_to_reference([scales])) == [codes.tolist()]
    assert (abs(codes[0]) % 2 == 0).all()  # every column starts in state 0: an even integer


@pytest.mark.parametrize("n_states", sorted(TRELLISES))
def test_trellis_states_are_a_permutation_code(n_states: int) -> None:
    """Every state has two ways out and two ways in, and the reference decoder has the same table."""
    table = TRELLISES[n_states]
    assert np.array_equal(np.bincount(table.ravel(), minlength=n_states), np.full(n_states, 2))
    assert table.tolist() == [[reference_decoder.next_state(n_states, s, u) for u in range(2)] for s in range(n_states)]


def test_codes_off_their_trellis_are_refused() -> None:
    codes = np.ones((1, 1), np.int32)
    with pytest.raises(ValueError, match="do not follow"):
        ScaleClasses.encode([codes], [ExpectedScales(np.zeros(1, np.int64), np.zeros(1, np.int64), 8)])


def test_known_steps_are_worth_bits() -> None:
    """Rows whose steps differ by octaves cost less when the coder is told so."""
    octaves = np.random.default_rng(2).integers(-3, 4, (300, 1))
    codes = np.rint(np.random.default_rng(3).standard_normal((300, 8)) * np.exp2(octaves + 1)).astype(np.int32)
    told = ExpectedScales((octaves[:, 0].astype(np.int64) + 1) << 16, np.zeros(8, np.int64))
    assert len(round_trip([codes], [told])) < 0.9 * len(round_trip([codes], [scales_of(codes, 1 << 16)]))


def test_zeros_cost_almost_nothing_and_respect_the_amplification_bound() -> None:
    codes = np.zeros((2000, 1000), np.int32)
    payload = round_trip([codes], [scales_of(codes)])
    assert codes.size / 16384 < len(payload) < 400


def test_golden_bytes() -> None:
    """The stream of a fixed matrix may never change: old artifacts must decode for ever."""
    codes = ((np.arange(48).reshape(6, 8) * 37) % 23 - 11).astype(np.int32)
    assert ScaleClasses.encode([codes], [scales_of(codes)]).hex() == GOLDEN


GOLDEN = "ffeeb814912c30d7eb76ba4c371408e167fe4809518bc785de7f72ade5cc67859e181e0873e60934086741a600"


def test_distributions_start_normalized() -> None:
    cumulative, counts = initial_model()
    assert (cumulative[:, -1] == 1 << 30).all() and (np.diff(cumulative >> 14, axis=1) >= 1).all() and not counts.any()


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 10])
def test_reject_truncated(cut: int) -> None:
    codes = np.arange(-50, 50, dtype=np.int32).reshape(10, 10)
    payload = ScaleClasses.encode([codes], [scales_of(codes)])
    with pytest.raises(TruncatedArtifact) as caught:
        ScaleClasses.decode(payload[:cut], [scales_of(codes)], offset=7, where="codes / stream 1")
    assert caught.value.rule == "R-STR-4" and caught.value.where == "codes / stream 1"


def test_reject_trailing_byte() -> None:
    codes = np.arange(-50, 50, dtype=np.int32).reshape(10, 10)
    payload = ScaleClasses.encode([codes], [scales_of(codes)])
    with pytest.raises(MalformedArtifact) as caught:
        ScaleClasses.decode(payload + b"\0", [scales_of(codes)], offset=0, where="test")
    assert caught.value.rule == "R-STR-5"


def test_reject_magnitude_beyond_the_limit() -> None:
    with pytest.raises(MalformedArtifact) as caught:
        ScaleClasses.decode(b"\xff" * 40, [scales_of(np.zeros((1, 1)))], offset=0, where="test")
    assert caught.value.rule == "R-STR-6"
    with pytest.raises(ValueError, match="2\\*\\*24"):
        ScaleClasses.encode([np.array([[1 << 24]])], [scales_of(np.zeros((1, 1)))])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 30), st.integers(1, 30))
def test_whatever_the_bytes(payload: bytes, rows: int, columns: int) -> None:
    scales = [scales_of(np.zeros((rows, columns)))]
    try:
        matrices, _ = ScaleClasses.decode(payload, scales, offset=0, where="test")
    except ArtifactError as error:
        with pytest.raises(reference_decoder.Refused) as caught:
            reference_decoder.decode_stream(payload, known_to_reference(scales))
        assert caught.value.rule == error.rule or caught.value.rule == "R-STR-3"
    else:
        assert ScaleClasses.encode(matrices, scales) == payload


def test_duplicate_codec_is_refused() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        register_integer_codec(ScaleClasses)
    assert INTEGER_CODECS[1] is ScaleClasses
