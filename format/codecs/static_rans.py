"""Static coder: fixed tables and interleaved asymmetric numeral systems (spec/codecs.md).

Strategy: nothing that a decoded integer decides is needed to decode the next one, so a processor works on
several at a time. The class of every integer, hence its table, is known beforehand (static_tables.py); on a
trellis grid the state of its column, which the row above left behind, chooses between the tables of even and
odd integers. Columns take turns among LANES independent coders (rANS, Duda 2013, with 32-bit states and
16-bit renormalisation), whose words are interleaved in the order in which the decoder asks for them; the
encoder therefore runs backwards. Signs are part of the symbols. What is rare (low bits of large magnitudes,
escapes) lies apart from the words. A row is decoded in passes of which only one, over the coders, cannot be a
loop over vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import MalformedArtifact, TruncatedArtifact
from .integer_codec import ExpectedScales
from .outcomes import OFF_TRELLIS, OK, check_magnitudes, stream_error
from .scale_classes import transitions_of
from .static_encoding import count_symbols, encode_matrix, trace_matrix
from .static_kernels import LANES, STATE_START, WORD_BITS, decode_matrices, decoding_tables
from .static_tables import (
    N_CLASSES,
    N_SYMBOLS,
    PLAIN,
    TRELLIS,
    SideInformation,
    class_range,
    decode_side,
    encode_side,
    fit_classes,
    fit_frequencies,
    joined_sides,
    low_bits,
    settle_classes,
)
from .trellis import PARITY_CHECKS

WIDEST_SIDE = 1 << 29


def group_of(expected: ExpectedScales) -> int:
    return TRELLIS if expected.trellis_states else PLAIN


def _group(group: int, lowest: tuple[int, int], classes: tuple[int, int]) -> tuple[int, int, int]:
    """Lowest class, number of classes and first table of a group."""
    return lowest[group], classes[group], classes[PLAIN] * group


def _choose_classes(matrices, scales):
    """Row and column classes of every matrix, and lowest class and number of classes of each group."""
    fitted = [fit_classes(codes, expected) for codes, expected in zip(matrices, scales, strict=True)]
    histograms = np.zeros((2, N_CLASSES), np.int64)
    for (rows, columns), expected in zip(fitted, scales, strict=True):
        classes = np.clip(rows[:, None] + columns[None, :], 0, N_CLASSES - 1)
        histograms[group_of(expected)] += np.bincount(classes.ravel(), minlength=N_CLASSES)
    ranges = [class_range(histogram) if histogram.any() else (0, 0) for histogram in histograms]
    lowest, classes = tuple(first for first, _ in ranges), tuple(count for _, count in ranges)
    settled = [
        settle_classes(*pair, *_group(group_of(e), lowest, classes)[:2], e)
        for pair, e in zip(fitted, scales, strict=True)
    ]
    return [rows for rows, _ in settled], [columns for _, columns in settled], lowest, classes


class StaticRans:
    """Integer codec 3, `static-rans`: see the top of this file and spec/codecs.md."""

    wire_id = 3
    name = "static-rans"

    @staticmethod
    def encode(matrices: Sequence[np.ndarray], scales: Sequence[ExpectedScales]) -> bytes:
        """Code int32[rows, columns] matrices into one stream; |code| < 2**24 (OverflowError otherwise). Exact."""
        for codes in matrices:
            check_magnitudes(codes)
        matrices = [np.ascontiguousarray(codes, np.int32) for codes in matrices]
        rows, columns, lowest, classes = _choose_classes(matrices, scales)
        shifts, odd_from, total = low_bits(lowest, classes), sum(classes), sum(codes.size for codes in matrices)
        counts, traces, place = np.zeros((shifts.size, N_SYMBOLS), np.int64), [], np.zeros(3, np.int64)
        low_words, escapes = np.zeros(total + 2, np.uint16), np.empty(total, np.int32)
        for codes, expected, *sides in zip(matrices, scales, rows, columns, strict=True):
            tables, symbols = np.empty(codes.shape, np.uint16), np.empty(codes.shape, np.uint8)
            group, known = _group(group_of(expected), lowest, classes), (*sides, expected.rows, expected.columns)
            how = group, shifts, known, transitions_of(expected)
            if trace_matrix(codes, *how, tables, symbols, low_words, escapes, place) == OFF_TRELLIS:
                raise ValueError("codes do not follow their trellis")
            count_symbols(tables.ravel(), symbols.ravel(), counts)
            traces.append((tables, symbols))
        fitted = [fit_frequencies(row, t >= odd_from) for t, row in enumerate(counts)]
        frequencies = np.array(fitted, np.int32).reshape(-1, N_SYMBOLS)
        in_turn = (side for pair in zip(rows, columns, strict=True) for side in pair)
        joined = np.concatenate([np.zeros(0, np.int64), *in_turn])
        found = low_words[: -(-place[1] // WORD_BITS)], escapes[: place[2]]
        side = encode_side(SideInformation(lowest, classes, joined, frequencies, *found), scales)
        return side + _encode_words(traces, frequencies)

    @staticmethod
    def decode(
        payload: bytes, scales: Sequence[ExpectedScales], *, offset: int, where: str
    ) -> tuple[list[np.ndarray], list[int]]:
        """Inverse of `encode`: the matrices, and the payload position at which each was complete.

        Raises TruncatedArtifact [R-STR-4] or MalformedArtifact [R-STR-5, R-STR-6, R-STR-8]; never reads past
        the payload.
        """
        side, start = decode_side(payload, scales, offset=offset, where=where)
        first_word = start + 4 * LANES
        if len(payload) < first_word:
            raise TruncatedArtifact(
                f"a stream holds {LANES} states", rule="R-STR-4", offset=offset + start, where=where
            )
        lanes = np.frombuffer(payload[start:first_word], "<u4").astype(np.uint64)
        padding = max((expected.columns.size for expected in scales), default=0)
        words = padded_words(memoryview(payload)[first_word : len(payload) - (len(payload) - first_word) % 2], padding)
        low_words, place = padded_words(side.low_words.tobytes(), padding), np.zeros(3, np.int64)
        n_words = np.array([(len(payload) - first_word) // 2, WORD_BITS * side.low_words.size, side.escapes.size])
        shifts = low_bits(side.lowest, side.classes)
        tables = decoding_tables(side.frequencies, side.classes[PLAIN], sum(side.classes), shifts)
        groups = np.array([_group(group, side.lowest, side.classes) for group in (PLAIN, TRELLIS)])
        layout, word_ends = _layout(scales), np.empty(len(scales), np.int64)
        codes = np.empty(sum(expected.symbols for expected in scales), np.int32)
        stream, sides = (words, low_words, side.escapes), (_narrow(side.sides), _narrow(joined_sides(scales)))
        known = tables, shifts, groups, layout, sides
        status = decode_matrices(stream, n_words, lanes, place, *known, codes, word_ends)
        if status != OK:
            raise stream_error(status, offset + min(first_word + 2 * int(place[0]), len(payload)), where)
        _check_end(payload, first_word + 2 * int(place[0]), lanes, place, side, offset, where)
        ends = (first_word + 2 * word_ends).tolist()
        return _cut(codes, scales), ends


def _narrow(sides: np.ndarray) -> np.ndarray:
    """int32[n]: classes or expected scales, so wide that clamping changes no sum of two that could occur."""
    return np.clip(sides, -WIDEST_SIDE, WIDEST_SIDE).astype(np.int32)


def _layout(scales: Sequence[ExpectedScales]) -> np.ndarray:
    """int64[matrices, 5]: rows, columns, group and parity checks of every matrix."""
    rows = [(s.rows.size, s.columns.size, group_of(s), *PARITY_CHECKS.get(s.trellis_states, (0, 0))) for s in scales]
    return np.array(rows, np.int64).reshape(-1, 5)


def _cut(codes: np.ndarray, scales: Sequence[ExpectedScales]) -> list[np.ndarray]:
    """The matrices that stand one behind the other."""
    matrices, end = [], 0
    for s in scales:
        start, end = end, end + s.symbols
        matrices.append(codes[start:end].reshape(s.rows.size, s.columns.size))
    return matrices


def padded_words(data: bytes | memoryview, padding: int) -> np.ndarray:
    """uint16 words of little-endian bytes, then as many zeros as a row can take.

    So a row is compared with the end once.
    """
    words = np.zeros(len(data) // 2 + padding + 2, "<u2")
    words.view(np.uint8)[: len(data)] = np.frombuffer(data, np.uint8)
    return words.astype(np.uint16, copy=False)


def _check_end(payload, end, lanes, place, side: SideInformation, offset, where) -> None:
    """Everything is used, and all states are where the encoder started (R-STR-5)."""
    bit, escapes = int(place[1]), side.escapes.size - int(place[2])
    words = side.low_words.size - -(-bit // WORD_BITS)
    rest = int(side.low_words[-1]) >> (bit % WORD_BITS) if bit % WORD_BITS and not words else 0
    if end != len(payload) or (lanes != STATE_START).any() or words or rest or escapes:
        message = (
            f"{len(payload) - end} bytes, {words} words of low bits, {escapes} escapes left; states {lanes.tolist()}"
        )
        raise MalformedArtifact(message, rule="R-STR-5", offset=offset + end, where=where)


def _encode_words(traces, frequencies) -> bytes:
    """States and words of traced matrices."""
    starts = np.cumsum(frequencies, axis=1) - frequencies
    words = np.empty(sum(tables.size for tables, _ in traces), np.uint16)  # at most one a symbol
    lanes, position = np.full(LANES, STATE_START, np.int64), words.size
    for tables, symbols in reversed(traces):
        position = encode_matrix(words, lanes, position, frequencies, starts, tables, symbols)
    return lanes.astype("<u4").tobytes() + words[position:].astype("<u2").tobytes()
