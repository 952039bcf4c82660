"""The loops of the static coder (static_rans.py): tables for decoding, rows of a matrix, and the words of an encoder.

Strategy: a row is decoded in passes of which only one, over the coders, cannot be a loop over vectors: first
the table of every integer, then the symbols, then the codes, then what is rare.
"""

from __future__ import annotations

import numpy as np

from ..kernels import kernel
from .lanes import count_short_not_above
from .outcomes import ENDS_EARLY, MAGNITUDE_TOO_LARGE, MAX_MAGNITUDE, OFF_TRELLIS, OK
from .scale_classes import TRELLIS_THRESHOLD, following_state
from .static_tables import BINS, ESCAPE, N_SYMBOLS, TOTAL, TOTAL_BITS

LANES = 8
WORD_BITS = 16
STATE_START = 1 << 16  # states are kept in [2**16, 2**32)


# An entry is what decoding a symbol needs: the code nearest to zero that it stands for, whether it is an escape, the
# number of low bits that follow, its frequency and its start, in 32, 2, 4, 13 and 13 bits.
CODE_SHIFT, LOW_SHIFT, FREQUENCY_SHIFT = 32, 26, 13
LOW_FIELD, FIELD = (1 << 4) - 1, (1 << 13) - 1
ESCAPED = 1 << 30
UNFINISHED = ESCAPED | LOW_FIELD << LOW_SHIFT


@kernel()
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


@kernel(inline="always")
def table_of(static_class, group, odd):
    """Table of an integer: its class clamped to those of the group, odd ones behind the even ones.

    group : lowest class, number of classes, first table
    """
    lowest, classes, base = group
    return base + min(max(static_class - lowest, 0), classes - 1) + classes * odd


@kernel(inline="always")
def is_odd(static_scale, state):
    return state & np.int64(static_scale >= TRELLIS_THRESHOLD)


@kernel()
def place_tables(row_class, columns, group, row_scale, column_scales, states, tables):
    """Where the table of every integer of a row starts."""
    for j in range(columns.size):
        tables[j] = N_SYMBOLS * table_of(row_class + columns[j], group, is_odd(row_scale + column_scales[j], states[j]))


@kernel()
def follow_trellis(parity_checks, row_scale, column_scales, codes, states):
    """States of the columns after a row: the step of following_state by its parity checks instead of a table."""
    h0, h1 = parity_checks[0] >> 1, parity_checks[1] >> 1
    for j in range(states.size):
        state = states[j]
        u = (codes[j] - (state & 1)) >> 1 & 1
        following = state >> 1 ^ (-(state & 1) & h0) ^ (-u & h1)
        states[j] = following if row_scale + column_scales[j] >= TRELLIS_THRESHOLD else state


@kernel()
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


@kernel()
def plain_codes(found, codes):
    """Codes of a row's entries; returns whether some are escapes or have low bits."""
    unfinished = np.int64(0)
    for j in range(found.size):
        codes[j] = found[j] >> CODE_SHIFT
        unfinished |= found[j] & UNFINISHED
    return unfinished != 0


@kernel()
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


@kernel()
def decode_matrix(stream, ends, lanes, place, tables, group, sides, parity_checks, codes):
    """All integers of a matrix; returns a status.

    stream : words (behind them the padding of a row), words of low bits, escapes; ends : how many there are of each
    lanes : int64[LANES], the states; place : int64[3], positions in words, low bits and escapes; both go on
    tables : starts and entries of `decoding_tables`; group : lowest class, number of classes, first table
    sides : classes of rows and columns, expected scales of rows and columns
    parity_checks : of the trellis, (0, 0) for none; codes : int32[rows, columns], written
    """
    words, low_words, escapes = stream
    starts, entries = tables
    rows, columns, row_scales, column_scales = sides
    halved = np.int64(parity_checks[0] > 0)
    odd_from = N_SYMBOLS * (group[2] + group[1])
    states = np.zeros(columns.size, np.int64)
    chosen, found = np.empty(columns.size, np.int64), np.empty(columns.size, np.int64)
    for i in range(rows.size):
        place_tables(rows[i], columns, group, row_scales[i], column_scales, states, chosen)
        place[0] = decode_row(words, place[0], lanes, starts, entries, chosen, found)
        fits = True
        if plain_codes(found, codes[i]):
            fits = finish_codes(found, low_words, escapes, place, halved, chosen, odd_from, codes[i])
        if place[0] > ends[0] or place[1] > ends[1] or place[2] > ends[2]:
            return ENDS_EARLY
        if not fits:
            return MAGNITUDE_TOO_LARGE
        if halved:
            follow_trellis(parity_checks, row_scales[i], column_scales, codes[i], states)
    return OK


@kernel()
def decode_matrices(stream, ends, lanes, place, tables, groups, layout, sides, codes, word_ends):
    """All matrices of a stream, so that what a call costs is paid once; returns a status.

    The first five parameters are those of `decode_matrix`.
    groups : int64[2, 3], plain and on a trellis; layout : int64[matrices, 5], rows, columns, group and parity
        checks
    sides : classes and expected scales, those of the rows and of the columns of every matrix in turn
    codes : int32[n], written, one matrix behind the other; word_ends : int64[matrices], written, where the
        words of each end
    """
    classes, scales = sides
    side, first = np.int64(0), np.int64(0)
    for m in range(layout.shape[0]):
        n_rows, n_columns, g, h0, h1 = layout[m]
        middle, last, end = side + n_rows, side + n_rows + n_columns, first + n_rows * n_columns
        known = classes[side:middle], classes[middle:last], scales[side:middle], scales[middle:last]
        group = groups[g, 0], groups[g, 1], groups[g, 2]
        matrix = codes[first:end].reshape((n_rows, n_columns))
        status = decode_matrix(stream, ends, lanes, place, tables, group, known, (h0, h1), matrix)
        if status != OK:
            return status
        word_ends[m], side, first = place[0], last, end
    return OK


@kernel()
def trace_matrix(codes, group, shifts, sides, transitions, tables, symbols, low_words, escapes, place):
    """Table and symbol of every code, uint16 and uint8 of the shape of `codes`, written; OK or OFF_TRELLIS.

    group, sides : as in `decode_matrix`; shifts : low bits by table; transitions : of the trellis
    low_words, escapes : go on behind the low bits and escapes that `place` counts
    """
    rows, columns, row_scales, column_scales = sides
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


@kernel()
def count_symbols(tables, symbols, counts):
    for k in range(tables.size):
        counts[tables[k], symbols[k]] += 1


@kernel()
def encode_matrix(words, lanes, position, frequencies, starts, tables, symbols):
    """Code a traced matrix, last integer first, words from the end to the front.

    Returns the position of the last word written.
    """
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
