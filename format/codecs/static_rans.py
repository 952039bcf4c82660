"""Static coder: fixed tables and interleaved asymmetric numeral systems (spec/codecs.md).

Strategy: nothing that a decoded integer decides is needed to decode the next one, so a processor works on several at a
time. The class of every integer, hence its table, is known beforehand (static_tables.py); on a trellis grid the state of
its column, which the row above left behind, chooses between the tables of even and odd integers. Columns take turns
among LANES independent coders (rANS, Duda 2013, with 32-bit states and 16-bit renormalisation), whose words are interleaved
in the order in which the decoder asks for them; the encoder therefore runs backwards. Signs are part of the symbols, and a
symbol is found by comparing all 32 starts of its table at once. What is rare (low bits of large magnitudes, escapes) lies
apart from the words. A row is decoded in passes of which only one, over the coders, cannot be a loop over vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from ...errors import MalformedArtifact, TruncatedArtifact
from .integer_codec import ExpectedScales
from .lanes import count_short_not_above
from .outcomes import ENDS_EARLY, MAGNITUDE_TOO_LARGE, MAX_MAGNITUDE, OFF_TRELLIS, OK, check_magnitudes, stream_error
from .scale_classes import TRELLIS_THRESHOLD, following_state, transitions_of
from .static_tables import (  # fmt: skip
    BINS,
    ESCAPE,
    N_CLASSES,
    N_SYMBOLS,
    PLAIN,
    TOTAL,
    TOTAL_BITS,
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

LANES = 8
WORD_BITS = 16
STATE_START = 1 << 16  # states are kept in [2**16, 2**32)


# An entry is what decoding a symbol needs: the code nearest to zero that it stands for, whether it is an escape, the number
# of low bits that follow, its frequency and its start, in 32, 2, 4, 13 and 13 bits.
CODE_SHIFT, LOW_SHIFT, FREQUENCY_SHIFT = 32, 26, 13
LOW_FIELD, FIELD = (1 << 4) - 1, (1 << 13) - 1
ESCAPED = 1 << 30
UNFINISHED = ESCAPED | LOW_FIELD << LOW_SHIFT


@njit(cache=True, nogil=True)
def decoding_tables(frequencies, plain, odd_from, shifts):
    """Starts uint16[tables * 32] and entries int64[tables * 32] of frequencies int32[tables, 32]."""
    starts, entries = np.empty(frequencies.size, np.uint16), np.empty(frequencies.size, np.int64)
    for t in range(frequencies.shape[0]):
        first, start = 1 if t < odd_from else 0, np.int64(0)
        for symbol in range(N_SYMBOLS):
            code, low, pair = np.int64(0), np.int64(0), symbol - first
            if 0 <= pair < 2 * BINS:
                low, number = shifts[t], np.int64(pair >> 1) << shifts[t]
                magnitude = number + 1 if t < plain else 2 * (number + first) + 1 - first
                code = -magnitude if pair & 1 else magnitude
            escaped = ESCAPED if symbol == ESCAPE else 0
            frequency, k = np.int64(frequencies[t, symbol]), N_SYMBOLS * t + symbol
            starts[k] = start
            entries[k] = code << CODE_SHIFT | escaped | low << LOW_SHIFT | frequency << FREQUENCY_SHIFT | start
            start += frequency
    return starts, entries


@njit(cache=True, nogil=True, inline="always")
def table_of(static_class, group, odd):
    """Table of an integer: its class clamped to the group's (lowest, number, first table), odd ones behind the even ones."""
    lowest, classes, base = group
    return base + min(max(static_class - lowest, 0), classes - 1) + classes * odd


@njit(cache=True, nogil=True, inline="always")
def is_odd(static_scale, state):
    return state & np.int64(static_scale >= TRELLIS_THRESHOLD)


@njit(cache=True, nogil=True)
def place_tables(row_class, columns, group, row_scale, column_scales, states, tables):
    """Where the table of every integer of a row starts."""
    for j in range(columns.size):
        tables[j] = N_SYMBOLS * table_of(row_class + columns[j], group, is_odd(row_scale + column_scales[j], states[j]))


@njit(cache=True, nogil=True)
def follow_trellis(parity_checks, row_scale, column_scales, codes, states):
    """States of the columns after a row: the step of following_state by its parity checks instead of a table."""
    h0, h1 = parity_checks[0] >> 1, parity_checks[1] >> 1
    for j in range(states.size):
        state = states[j]
        u = (codes[j] - (state & 1)) >> 1 & 1
        following = state >> 1 ^ (-(state & 1) & h0) ^ (-u & h1)
        states[j] = following if row_scale + column_scales[j] >= TRELLIS_THRESHOLD else state


@njit(cache=True, nogil=True)
def decode_row(words, position, lanes, starts, entries, tables, found):
    """Entries of a row's symbols; returns the position behind the words taken. Columns take turns among the lanes."""
    for j in range(tables.size):
        x, table = lanes[j % LANES], tables[j]
        slot = x & (TOTAL - 1)
        entry = entries[np.uint64(table + count_short_not_above(starts, table, slot) - 1)]
        x = (entry >> FREQUENCY_SHIFT & FIELD) * (x >> TOTAL_BITS) + slot - (entry & FIELD)
        low = x < STATE_START
        refilled = x << WORD_BITS | np.int64(words[np.uint64(position)])
        lanes[j % LANES] = refilled if low else x
        position += np.int64(low)
        found[j] = entry
    return position


@njit(cache=True, nogil=True)
def plain_codes(found, codes):
    """Codes of a row's entries; returns whether some are escapes or have low bits."""
    unfinished = np.int64(0)
    for j in range(found.size):
        codes[j] = found[j] >> CODE_SHIFT
        unfinished |= found[j] & UNFINISHED
    return unfinished != 0


@njit(cache=True, nogil=True)
def finish_codes(found, low_words, escapes, place, halved, tables, odd_from, codes):
    """Add a row's low bits and put its escapes in; returns whether all integers are below 2**24 in magnitude."""
    bit, used, fits = place[1], place[2], True
    for j in range(found.size):
        entry = found[j]
        if entry & UNFINISHED == 0:
            continue
        n_bits, sign, word = entry >> LOW_SHIFT & LOW_FIELD, entry >> 63, np.uint64(bit >> 4)
        window = np.int64(low_words[word]) | np.int64(low_words[word + np.uint64(1)]) << WORD_BITS
        low = (window >> (bit & 15) & ((1 << n_bits) - 1)) << halved
        bit += n_bits
        codes[j] = (entry >> CODE_SHIFT) + ((low ^ sign) - sign)
        if entry & ESCAPED:
            number = np.int64(escapes[min(used, escapes.size - 1)]) if escapes.size else np.int64(0)
            used += 1
            code = number << halved | np.int64(halved and tables[j] >= odd_from)
            fits &= abs(code) <= MAX_MAGNITUDE
            codes[j] = code
    place[1], place[2] = bit, used
    return fits


@njit(cache=True, nogil=True)
def decode_matrix(
    words,
    low_words,
    ends,
    lanes,
    place,
    starts,
    entries,
    escapes,
    group,
    rows,
    columns,
    row_scales,
    column_scales,
    parity_checks,
    codes,
):
    """`lanes` holds the states, `place` positions in words, low bits and escapes, `ends` their numbers; words have a row's padding."""
    halved = np.int64(parity_checks[0] > 0)
    odd_from = N_SYMBOLS * (group[2] + group[1])
    states, tables, found = (
        np.zeros(columns.size, np.int64),
        np.empty(columns.size, np.int64),
        np.empty(columns.size, np.int64),
    )
    for i in range(rows.size):
        place_tables(rows[i], columns, group, row_scales[i], column_scales, states, tables)
        place[0] = decode_row(words, place[0], lanes, starts, entries, tables, found)
        fits = True
        if plain_codes(found, codes[i]):
            fits = finish_codes(found, low_words, escapes, place, halved, tables, odd_from, codes[i])
        if place[0] > ends[0] or place[1] > ends[1] or place[2] > ends[2]:
            return ENDS_EARLY
        if not fits:
            return MAGNITUDE_TOO_LARGE
        if halved:
            follow_trellis(parity_checks, row_scales[i], column_scales, codes[i], states)
    return OK


@njit(cache=True, nogil=True)
def decode_matrices(
    words, low_words, ends, lanes, place, starts, entries, escapes, groups, layout, classes, scales, codes, word_ends
):
    """All matrices of a stream, one behind the other in `codes`, and where the words of each end: what a call costs is paid once.

    layout : int64[matrices, 5], rows, columns, group and parity checks; groups : int64[2, 3]; classes, scales : sides in turn
    """
    side, first = np.int64(0), np.int64(0)
    for m in range(layout.shape[0]):
        n_rows, n_columns, g, h0, h1 = layout[m]
        middle, last, end = side + n_rows, side + n_rows + n_columns, first + n_rows * n_columns
        known = classes[side:middle], classes[middle:last], scales[side:middle], scales[middle:last]
        group = groups[g, 0], groups[g, 1], groups[g, 2]
        matrix = codes[first:end].reshape((n_rows, n_columns))
        status = decode_matrix(
            words, low_words, ends, lanes, place, starts, entries, escapes, group, *known, (h0, h1), matrix
        )
        if status != OK:
            return status
        word_ends[m], side, first = place[0], last, end
    return OK


@njit(cache=True, nogil=True)
def trace_matrix(
    codes,
    group,
    shifts,
    rows,
    columns,
    row_scales,
    column_scales,
    transitions,
    tables,
    symbols,
    low_words,
    escapes,
    place,
):
    """Table and symbol of every code; low bits and escapes behind those that `place` counts. OK or OFF_TRELLIS."""
    bit, used = place[1], place[2]
    halved = transitions.shape[0] > 0
    states = np.zeros(columns.size, np.int64)
    for i in range(rows.size):
        for j in range(columns.size):
            code, static_scale = np.int64(codes[i, j]), row_scales[i] + column_scales[j]
            odd = is_odd(static_scale, states[j]) if halved else np.int64(0)
            if halved and (code & 1) != odd:
                return OFF_TRELLIS
            table = table_of(rows[i] + columns[j], group, odd)
            first = 1 - odd
            number = abs(code) >> 1 if halved else abs(code)
            shift, symbol = shifts[table], np.int64(0)
            if number - first >= BINS << shift:
                symbol = np.int64(ESCAPE)
                escapes[used] = (code - odd) >> 1 if halved else code
                used += 1
            elif number >= first:
                symbol = ((number - first) >> shift << 1) + first + (1 if code < 0 else 0)
                low = ((number - first) & ((1 << shift) - 1)) << (bit & 15)
                low_words[bit >> 4] |= low & (STATE_START - 1)
                low_words[(bit >> 4) + 1] |= low >> WORD_BITS
                bit += shift
            tables[i, j], symbols[i, j] = table, symbol
            if halved:
                states[j] = following_state(transitions, static_scale, states[j], code)
    place[1], place[2] = bit, used
    return OK


@njit(cache=True, nogil=True)
def count_symbols(tables, symbols, counts):
    for k in range(tables.size):
        counts[tables[k], symbols[k]] += 1


@njit(cache=True, nogil=True)
def encode_matrix(words, lanes, position, frequencies, starts, tables, symbols):
    """Code a traced matrix, last integer first, words from the end to the front; returns the position of the last one written."""
    for i in range(tables.shape[0] - 1, -1, -1):
        for j in range(tables.shape[1] - 1, -1, -1):
            table, symbol, x = tables[i, j], symbols[i, j], lanes[j % LANES]
            frequency = np.int64(frequencies[table, symbol])
            if x >= frequency << (32 - TOTAL_BITS):
                position -= 1
                words[position] = x & (STATE_START - 1)
                x >>= WORD_BITS
            lanes[j % LANES] = (x // frequency << TOTAL_BITS) + x % frequency + np.int64(starts[table, symbol])
    return position


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
        """Code int32[rows, columns] matrices into one stream; |code| < 2**24 (ValueError otherwise). Exact."""
        for codes in matrices:
            check_magnitudes(codes)
        matrices = [np.ascontiguousarray(codes, np.int32) for codes in matrices]
        rows, columns, lowest, classes = _choose_classes(matrices, scales)
        shifts, odd_from, total = low_bits(lowest, classes), sum(classes), sum(codes.size for codes in matrices)
        counts, traces, place = np.zeros((shifts.size, N_SYMBOLS), np.int64), [], np.zeros(3, np.int64)
        low_words, escapes = np.zeros(total + 2, np.uint16), np.empty(total, np.int32)
        for codes, expected, *sides in zip(matrices, scales, rows, columns, strict=True):
            tables, symbols = np.empty(codes.shape, np.uint16), np.empty(codes.shape, np.uint8)
            known = (
                _group(group_of(expected), lowest, classes),
                shifts,
                *sides,
                expected.rows,
                expected.columns,
                transitions_of(expected),
            )
            if trace_matrix(codes, *known, tables, symbols, low_words, escapes, place) == OFF_TRELLIS:
                raise ValueError("codes do not follow their trellis")
            count_symbols(tables.ravel(), symbols.ravel(), counts)
            traces.append((tables, symbols))
        frequencies = np.array([fit_frequencies(row, t >= odd_from) for t, row in enumerate(counts)], np.int32).reshape(
            -1, N_SYMBOLS
        )
        sides = np.concatenate(
            [np.zeros(0, np.int64), *(side for pair in zip(rows, columns, strict=True) for side in pair)]
        )
        found = low_words[: -(-place[1] // WORD_BITS)], escapes[: place[2]]
        return encode_side(SideInformation(lowest, classes, sides, frequencies, *found), scales) + _encode_words(
            traces, frequencies
        )

    @staticmethod
    def decode(
        payload: bytes, scales: Sequence[ExpectedScales], *, offset: int, where: str
    ) -> tuple[list[np.ndarray], list[int]]:
        """Inverse of `encode`: the matrices, and the payload position at which each was complete.

        Raises TruncatedArtifact [R-STR-4] or MalformedArtifact [R-STR-5, R-STR-6, R-STR-8]; never reads past the payload.
        """
        side, start = decode_side(payload, scales, offset=offset, where=where)
        first_word = start + 4 * LANES
        if len(payload) < first_word:
            raise TruncatedArtifact(
                f"a stream holds {LANES} states", rule="R-STR-4", offset=offset + start, where=where
            )
        lanes = np.frombuffer(payload[start:first_word], "<u4").astype(np.int64)
        padding = max((expected.columns.size for expected in scales), default=0)
        words = padded_words(payload[first_word : len(payload) - (len(payload) - first_word) % 2], padding)
        low_words, place = padded_words(side.low_words.tobytes(), padding), np.zeros(3, np.int64)
        n_words = np.array([(len(payload) - first_word) // 2, WORD_BITS * side.low_words.size, side.escapes.size])
        tables = decoding_tables(
            side.frequencies, side.classes[PLAIN], sum(side.classes), low_bits(side.lowest, side.classes)
        )
        groups = np.array([_group(group, side.lowest, side.classes) for group in (PLAIN, TRELLIS)])
        layout, word_ends = _layout(scales), np.empty(len(scales), np.int64)
        codes = np.empty(sum(expected.symbols for expected in scales), np.int32)
        known = groups, layout, side.sides, joined_sides(scales)
        status = decode_matrices(
            words, low_words, n_words, lanes, place, *tables, side.escapes, *known, codes, word_ends
        )
        if status != OK:
            raise stream_error(status, offset + min(first_word + 2 * int(place[0]), len(payload)), where)
        _check_end(payload, first_word + 2 * int(place[0]), lanes, place, side, offset, where)
        ends = (first_word + 2 * word_ends).tolist()
        return _cut(codes, scales), ends


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


def padded_words(data: bytes, padding: int) -> np.ndarray:
    """uint16 words of little-endian bytes, then as many zeros as a row can take, so that it is compared with the end once."""
    return np.frombuffer(data + bytes(2 * padding + 4), "<u2").astype(np.uint16)


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
