"""What any integer codec must do: round trips of any matrices, and the reference decoder's answer to the same bytes.

Strategy: a check takes the codec as an argument and knows nothing of how it codes, so that a new codec is under all of
them as soon as it is in the table of codecs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import strategies as st
from reference import reference_decoder

from bytecap.errors import ArtifactError
from bytecap.format.codecs import ExpectedScales
from bytecap.format.codecs.scale_classes import MAX_MAGNITUDE
from bytecap.format.codecs.trellis import TRELLISES

WHERE = "codes / stream 1"
DEEPEST = 40 << 16  # the largest expected scale that the tests draw, in 1/65536 octave


def scales_of(matrix: np.ndarray, level: int = 0) -> ExpectedScales:
    """The same expected scale, in 1/65536 octave, for every integer of a matrix."""
    return ExpectedScales(np.full(matrix.shape[0], level, np.int64), np.zeros(matrix.shape[1], np.int64))


@st.composite
def matrices(draw) -> np.ndarray:
    """int32 [rows, columns], either at most 12, of small integers or of the largest that there are."""
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    top = draw(st.sampled_from([0, 1, 3, 20, 1000, MAX_MAGNITUDE]))
    values = draw(st.lists(st.integers(-top, top), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    return np.array(values, np.int32).reshape(shape)


@st.composite
def vectors(draw) -> np.ndarray:
    """One row of at most two lengths, so that vectors meet earlier ones; some repeat a large integer."""
    length = draw(st.sampled_from([1, 9]))
    top = draw(st.sampled_from([0, 2, 20, 300, MAX_MAGNITUDE]))
    integers = st.integers(-top, top)
    if draw(st.booleans()):
        integers |= st.just(draw(integers))
    return np.array([draw(st.lists(integers, min_size=length, max_size=length))], np.int32)


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


def round_trip(codec, items: Sequence[np.ndarray], scales: Sequence[ExpectedScales]) -> bytes:
    """The payload of these matrices, from which the codec decodes the same integers and says where each matrix ends."""
    payload = codec.encode(items, scales)
    decoded, ends = codec.decode(payload, scales, offset=0, where=WHERE)
    for matrix, again in zip(items, decoded, strict=True):
        assert matrix.dtype == again.dtype and np.array_equal(matrix, again)
    assert ends == sorted(ends) and (not ends or ends[-1] == len(payload))
    return payload


def by_reference(codec, payload: bytes, scales: Sequence[ExpectedScales]) -> list:
    """What the plain decoder beside the specification makes of a payload: nested lists, or `Refused`."""
    known = [(s.rows.tolist(), s.columns.tolist(), s.trellis_states) for s in scales]
    return reference_decoder.decode_stream(payload, known, codec.wire_id)


def assert_agrees_with_reference(codec, items: Sequence[np.ndarray], scales: Sequence[ExpectedScales]) -> None:
    """Round trip, and the reference decoder reads the same integers."""
    assert by_reference(codec, round_trip(codec, items, scales), scales) == [matrix.tolist() for matrix in items]


def assert_same_answer(codec, payload: bytes, scales: Sequence[ExpectedScales]) -> list[np.ndarray] | None:
    """Of any bytes: the codec and the reference decoder read the same integers, or refuse by the same rule."""
    try:
        expected = by_reference(codec, payload, scales)
    except reference_decoder.Refused as refused:
        if refused.rule == "R-STR-3":  # checked by whoever calls the codec
            return None
        with pytest.raises(ArtifactError) as caught:
            codec.decode(payload, scales, offset=0, where=WHERE)
        assert (caught.value.rule, caught.value.kind) == (refused.rule, refused.word)
        assert 0 <= caught.value.offset <= len(payload)
        return None
    found, _ = codec.decode(payload, scales, offset=0, where=WHERE)
    assert [matrix.tolist() for matrix in found] == expected
    return found
