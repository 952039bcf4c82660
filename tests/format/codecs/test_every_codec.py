"""Every integer codec: round trips, agreement with the reference decoder, refusals, and any bytes at all."""

from __future__ import annotations

import math

import numpy as np
import pytest
from codec_checks import (
    DEEPEST,
    WHERE,
    assert_agrees_with_reference,
    assert_same_answer,
    matrices,
    random_walk,
    round_trip,
    scales_of,
    vectors,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from bytecap.errors import MalformedArtifact, TruncatedArtifact
from bytecap.format.codecs import INTEGER_CODECS, ExpectedScales
from bytecap.format.codecs.trellis import TRELLISES

ONE_VALID_STREAM = {"scale-classes", "mixing"}  # whoever writes with them has no choice
EXCESS = {"scale-classes": 0.03, "mixing": 0.02, "static-rans": 0.03}  # bits an integer over the entropy
CODES = np.arange(-50, 50, dtype=np.int32)
every_codec = pytest.mark.parametrize("codec", INTEGER_CODECS.values(), ids=lambda codec: codec.name)


@every_codec
@settings(max_examples=120, deadline=None)
@given(drawn=st.lists(st.tuples(matrices() | vectors(), st.integers(-DEEPEST, DEEPEST)), max_size=4))
def test_round_trip_and_reference_decoder_agree(codec, drawn) -> None:
    items = [matrix for matrix, _ in drawn]
    assert_agrees_with_reference(codec, items, [scales_of(matrix, level) for matrix, level in drawn])


@every_codec
def test_gaussian_rows_of_different_scale(codec) -> None:
    random = np.random.default_rng(3)
    scale = np.exp2(random.uniform(-6, 8, (30, 1))) * np.exp2(random.uniform(-1, 1, (1, 60)))
    codes = np.rint(random.standard_normal((30, 60)) * scale).astype(np.int32)
    assert_agrees_with_reference(codec, [codes, codes[:, ::-1].copy()], [scales_of(codes), scales_of(codes, 2 << 16)])


@every_codec
@pytest.mark.parametrize("n_states", sorted(TRELLISES))
@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 20), columns=st.integers(1, 12), seed=st.integers(0, 1000))
def test_codes_that_follow_a_trellis(codec, n_states: int, rows: int, columns: int, seed: int) -> None:
    levels = np.random.default_rng(seed).integers(-3, 4, rows).astype(np.int64) << 16
    scales = ExpectedScales(levels, np.zeros(columns, np.int64), n_states)
    codes = random_walk(n_states, rows, columns, scales, seed)
    assert_agrees_with_reference(codec, [codes], [scales])
    assert (abs(codes[0]) % 2 == 0).all()  # every column starts in state 0: an even integer


@every_codec
def test_codes_off_their_trellis_are_refused(codec) -> None:
    with pytest.raises(ValueError, match="do not follow"):
        codec.encode([np.ones((1, 1), np.int32)], [ExpectedScales(np.zeros(1, np.int64), np.zeros(1, np.int64), 8)])


@every_codec
def test_a_magnitude_beyond_the_limit_is_not_encoded(codec) -> None:
    with pytest.raises(OverflowError, match="2\\*\\*24"):
        codec.encode([np.array([[1 << 24]])], [scales_of(np.zeros((1, 1)))])


@every_codec
@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0, 30.0, 3000.0])
def test_size_is_near_the_entropy(codec, sigma: float) -> None:
    codes = np.rint(np.random.default_rng(1).standard_normal((400, 400)) * sigma).astype(np.int32)
    payload = round_trip(codec, [codes], [scales_of(codes, int(math.log2(sigma) * 65536))])
    _, counts = np.unique(codes, return_counts=True)
    share = counts / codes.size
    entropy = -(share * np.log2(share)).sum() if sigma < 100 else math.log2(sigma * math.sqrt(2 * math.pi * math.e))
    assert len(payload) * 8 / codes.size < entropy + EXCESS[codec.name]


@every_codec
@pytest.mark.parametrize("cut", [0, 1, 3, 4, 10, -5, -2])
@pytest.mark.parametrize("shape", [(10, 10), (1, 100)])
def test_a_truncated_stream_is_refused(codec, cut: int, shape: tuple[int, int]) -> None:
    codes = CODES.reshape(shape)
    payload = codec.encode([codes], [scales_of(codes)])
    with pytest.raises(TruncatedArtifact) as caught:
        codec.decode(payload[:cut], [scales_of(codes)], offset=7, where=WHERE)
    assert (caught.value.rule, caught.value.where) == ("R-STR-4", WHERE)
    assert 7 <= caught.value.offset <= 7 + len(payload[:cut])


@every_codec
@pytest.mark.parametrize("more", [b"\0", b"\0\0", bytes(7)])
def test_trailing_bytes_are_refused(codec, more: bytes) -> None:
    codes = CODES.reshape(10, 10)
    with pytest.raises(MalformedArtifact) as caught:
        codec.decode(codec.encode([codes], [scales_of(codes)]) + more, [scales_of(codes)], offset=0, where=WHERE)
    assert caught.value.rule == "R-STR-5"


@every_codec
@settings(max_examples=200, deadline=None)
@given(
    payload=st.binary(max_size=200),
    shapes=st.lists(st.tuples(st.integers(1, 16), st.integers(1, 16)), min_size=1, max_size=3),
    n_states=st.sampled_from([0, 8]),
)
def test_whatever_the_bytes(codec, payload: bytes, shapes: list[tuple[int, int]], n_states: int) -> None:
    scales = [ExpectedScales(np.zeros(r, np.int64), np.zeros(c, np.int64), n_states) for r, c in shapes]
    found = assert_same_answer(codec, payload, scales)
    if found is not None and codec.name in ONE_VALID_STREAM:
        assert codec.encode(found, scales) == payload


def test_the_table_holds_each_codec_under_its_number() -> None:
    assert {number: codec.name for number, codec in INTEGER_CODECS.items()} == NAMES
    assert all(codec.wire_id == number for number, codec in INTEGER_CODECS.items())


NAMES = {1: "scale-classes", 2: "mixing", 3: "static-rans"}
