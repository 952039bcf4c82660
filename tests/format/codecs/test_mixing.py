"""The mixing coder: round trips, agreement with the reference decoder, size against the entropy, hostile bytes."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import reference_decoder
from source_tree import ROOT
from test_scale_classes import known_to_reference, matrices, random_walk, scales_of

from bytecap.errors import ArtifactError, MalformedArtifact, TruncatedArtifact
from bytecap.format.codecs import INTEGER_CODECS, ExpectedScales, mixing_tables
from bytecap.format.codecs.mixing import MAX_MAGNITUDE, Mixing, initial_cells
from bytecap.format.codecs.mixing_bits import SQUASH, STRETCH
from bytecap.format.codecs.scale_classes import ScaleClasses
from bytecap.format.codecs.trellis import TRELLISES


def round_trip(items: list[np.ndarray], scales: list[ExpectedScales]) -> bytes:
    payload = Mixing.encode(items, scales)
    decoded, ends = Mixing.decode(payload, scales, offset=0, where="test")
    for matrix, again in zip(items, decoded, strict=True):
        assert np.array_equal(matrix, again)
    assert ends == sorted(ends) and (not ends or ends[-1] == len(payload))
    return payload


def by_reference(payload: bytes, scales: list[ExpectedScales]) -> list:
    return reference_decoder.decode_stream(payload, known_to_reference(scales), 2)


@st.composite
def vectors(draw) -> np.ndarray:
    """One row of at most two lengths, so that vectors meet earlier ones; some repeat a large integer."""
    length = draw(st.sampled_from([1, 9]))
    top = draw(st.sampled_from([0, 2, 20, 300, MAX_MAGNITUDE]))
    integers = st.integers(-top, top)
    if draw(st.booleans()):
        integers |= st.just(draw(integers))
    return np.array([draw(st.lists(integers, min_size=length, max_size=length))], np.int32)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(matrices() | vectors(), st.integers(-(40 << 16), 40 << 16)), max_size=5))
def test_round_trip_and_reference_decoder_agree(drawn) -> None:
    items = [matrix for matrix, _ in drawn]
    scales = [scales_of(matrix, level) for matrix, level in drawn]
    payload = round_trip(items, scales)
    assert by_reference(payload, scales) == [m.tolist() for m in items]


def test_reference_decoder_agrees_on_gaussian_rows_of_different_scale() -> None:
    random = np.random.default_rng(3)
    scale = np.exp2(random.uniform(-6, 8, (30, 1))) * np.exp2(random.uniform(-1, 1, (1, 60)))
    codes = np.rint(random.standard_normal((30, 60)) * scale).astype(np.int32)
    scales = [scales_of(codes), scales_of(codes, 2 << 16)]
    payload = round_trip([codes, codes[:, ::-1]], scales)
    assert by_reference(payload, scales) == [codes.tolist(), codes[:, ::-1].tolist()]


@pytest.mark.parametrize("n_states", sorted(TRELLISES))
@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 20), columns=st.integers(1, 8), seed=st.integers(0, 1000))
def test_trellis_round_trip_and_reference_decoder_agree(n_states: int, rows: int, columns: int, seed: int) -> None:
    levels = np.random.default_rng(seed).integers(-3, 4, rows).astype(np.int64) << 16
    scales = ExpectedScales(levels, np.zeros(columns, np.int64), n_states)
    codes = random_walk(n_states, rows, columns, scales, seed)
    payload = round_trip([codes], [scales])
    assert by_reference(payload, [scales]) == [codes.tolist()]


def test_codes_off_their_trellis_are_refused() -> None:
    codes = np.ones((1, 1), np.int32)
    with pytest.raises(ValueError, match="do not follow"):
        Mixing.encode([codes], [ExpectedScales(np.zeros(1, np.int64), np.zeros(1, np.int64), 8)])


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0, 30.0, 3000.0])
def test_size_is_near_the_entropy(sigma: float) -> None:
    codes = np.rint(np.random.default_rng(1).standard_normal((400, 400)) * sigma).astype(np.int32)
    payload = round_trip([codes], [scales_of(codes, int(math.log2(sigma) * 65536))])
    _, counts = np.unique(codes, return_counts=True)
    share = counts / codes.size
    entropy = (
        float(-(share * np.log2(share)).sum()) if sigma < 100 else math.log2(sigma * math.sqrt(2 * math.pi * math.e))
    )
    assert len(payload) * 8 / codes.size < entropy + 0.02


def test_smaller_than_codec_1_on_products_of_scales() -> None:
    """Rows and columns of unknown scale: what the running variances are for."""
    random = np.random.default_rng(5)
    scale = 3 * np.exp2(random.normal(0, 0.3, (300, 1)) + random.normal(0, 0.3, (1, 200)))
    codes = np.rint(random.standard_normal((300, 200)) * scale).astype(np.int32)
    scales = [scales_of(codes, 1 << 16)]
    assert len(round_trip([codes], scales)) < 0.998 * len(ScaleClasses.encode([codes], scales))


def test_vectors_that_repeat_cost_little() -> None:
    random = np.random.default_rng(6)
    first, other = (np.rint(random.normal(0, 6, (1, 500))).astype(np.int32) for _ in range(2))
    once = len(round_trip([first, other], [scales_of(first)] * 2))
    assert len(round_trip([first, other, first, other], [scales_of(first)] * 4)) < 1.15 * once


def test_a_vector_of_two_values_costs_about_a_bit() -> None:
    choice = np.random.default_rng(7).integers(0, 2, 1000)
    values = np.where(choice, 37, choice).astype(np.int32)[None]
    assert len(round_trip([values], [scales_of(values)])) < 160


def test_zeros_cost_almost_nothing_and_respect_the_amplification_bound() -> None:
    for codes in (np.zeros((2000, 500), np.int32), np.zeros((1, 200_000), np.int32)):
        assert codes.size / 16384 < len(round_trip([codes], [scales_of(codes)])) < 300


def test_what_cannot_be_predicted_stays_within_the_buffer() -> None:
    """Every integer the largest there is where almost zero is expected, and its opposite: the longest codes."""
    for shape in ((40, 25), (1, 1000)):
        codes = np.where(np.arange(1000) % 2, MAX_MAGNITUDE, -MAX_MAGNITUDE).astype(np.int32).reshape(shape)
        assert len(round_trip([codes], [scales_of(codes, -(40 << 16))])) < 40_000


def test_golden_bytes() -> None:
    """The stream of a fixed matrix and two vectors may never change: old artifacts must decode for ever."""
    codes = ((np.arange(48).reshape(6, 8) * 37) % 23 - 11).astype(np.int32)
    items = [codes, codes[:1], codes[:1] + 1]
    assert Mixing.encode(items, [scales_of(item) for item in items]).hex() == GOLDEN


GOLDEN = "00007e769354882e9a18e64ab74dfd0435b7a56d567fadef6ab058ce22e5b6dd99908ec846ded98fd373f0cedb00648a565e42c7b0224cc5542cd930a6c7db4a036c9c9580"


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 10])
@pytest.mark.parametrize("shape", [(10, 10), (1, 100)])
def test_reject_truncated(cut: int, shape: tuple[int, int]) -> None:
    codes = np.arange(-50, 50, dtype=np.int32).reshape(shape)
    payload = Mixing.encode([codes], [scales_of(codes)])
    with pytest.raises(TruncatedArtifact) as caught:
        Mixing.decode(payload[:cut], [scales_of(codes)], offset=7, where="codes / stream 1")
    assert (caught.value.rule, caught.value.where) == ("R-STR-4", "codes / stream 1")
    assert caught.value.offset == (7 if cut < 4 else 7 + cut)


def test_reject_trailing_byte() -> None:
    codes = np.arange(-50, 50, dtype=np.int32).reshape(10, 10)
    payload = Mixing.encode([codes], [scales_of(codes)])
    with pytest.raises(MalformedArtifact) as caught:
        Mixing.decode(payload + b"\0", [scales_of(codes)], offset=0, where="test")
    assert caught.value.rule == "R-STR-5"


@pytest.mark.parametrize("shape", [(2, 1), (1, 1)])
def test_reject_magnitude_beyond_the_limit(shape: tuple[int, int]) -> None:
    with pytest.raises(MalformedArtifact) as caught:
        Mixing.decode(bytes(60), [scales_of(np.zeros(shape))], offset=0, where="test")
    assert caught.value.rule == "R-STR-6"
    with pytest.raises(ValueError, match="2\\*\\*24"):
        Mixing.encode([np.array([[1 << 24]])], [scales_of(np.zeros((1, 1)))])


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=100),
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4),
    st.sampled_from([0, 8]),
)
def test_whatever_the_bytes(payload: bytes, shapes: list[tuple[int, int]], n_states: int) -> None:
    scales = [
        ExpectedScales(np.zeros(rows, np.int64), np.zeros(columns, np.int64), n_states) for rows, columns in shapes
    ]
    try:
        found, _ = Mixing.decode(payload, scales, offset=0, where="test")
    except ArtifactError as error:
        with pytest.raises(reference_decoder.Refused) as caught:
            by_reference(payload, scales)
        assert caught.value.rule == error.rule or caught.value.rule == "R-STR-3"
    else:
        assert Mixing.encode(found, scales) == payload


def test_tables_are_those_of_the_specification() -> None:
    """The page, the package and the reference decoder hold the same numbers."""
    page = (ROOT / "spec" / "codecs.md").read_text(encoding="utf-8").split("## Codec 2")[1]
    after = {
        title: [tuple(map(int, line.split())) for line in block.splitlines()]
        for title, block in re.findall(
            r"^(Knots|INITIAL\[\d\]|SCORE\[\d\]|INFORMATION)[^\n]*:\n\n```\n(.*?)```", page, re.M | re.S
        )
    }
    assert sum(after["Knots"], ()) == mixing_tables.SQUASH_KNOTS == reference_decoder.KNOTS
    for h in range(2):
        assert tuple(after[f"INITIAL[{h}]"]) == mixing_tables.INITIAL_PROBABILITIES[h] == reference_decoder.INITIAL[h]
        assert tuple(after[f"SCORE[{h}]"]) == mixing_tables.SCORES[h] == reference_decoder.SCORE[h]
    assert tuple(after["INFORMATION"]) == mixing_tables.INFORMATION == reference_decoder.INFORMATION


def test_tables_make_sense() -> None:
    assert SQUASH.tolist() == reference_decoder.SQUASHED and STRETCH.tolist() == reference_decoder.STRETCHED
    assert (np.diff(SQUASH) >= 0).all() and SQUASH[0] == 32 and SQUASH[2047] == 1 << 15 and SQUASH[-1] == 65504
    assert (np.diff(STRETCH) >= 0).all() and (
        abs(SQUASH[STRETCH[8:-8] + 2047] - (16 * np.arange(8, 4088) + 8)) < 80
    ).all()
    assert (initial_cells() & 1023 == 0).all()


def test_codec_is_registered() -> None:
    assert INTEGER_CODECS[2] is Mixing
