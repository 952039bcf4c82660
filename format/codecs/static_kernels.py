"""The decoding loops of the static coder (static_rans.py): tables, rows of a matrix, all matrices of a stream.

Strategy: a row is decoded in passes of which only one, over the coders, cannot be a loop over vectors: first
the table of every integer, then the symbols, then the codes, then what is rare. What limits the coders is how
many steps a processor looks ahead while each waits for its tables: so a symbol is looked up by its slot in a
table that is small enough to stay in the nearest caches, as many states stay in registers as there is room for,
and no step branches. The loops over vectors keep to 32 bits, which numba does where it is told so. Low bits are
looked for in the columns that can have some, and escapes in the rows that hold one.
"""

from __future__ import annotations

import numpy as np

from ..kernels import kernel
from .outcomes import ENDS_EARLY, MAGNITUDE_TOO_LARGE, MAX_MAGNITUDE, OK
from .scale_classes import TRELLIS_THRESHOLD
from .static_tables import BINS, ESCAPE, N_SYMBOLS, TOTAL, TOTAL_BITS

LANES = 8
WORD_BITS = 16
STATE_START = 1 << 16  # states are kept in [2**16, 2**32)


# An entry is what decoding a symbol needs: its frequency, the code that it stands for (of an unfinished one, which is
# an escape or has low bits, the symbol), whether it is unfinished, and its start, in 12, 7, 1 and 12 bits. An escape's
# symbol has the sign bit, too, which makes it less than any code.
FREQUENCY_SHIFT, CODE_SHIFT, SYMBOL_BITS = 20, 13, 5
UNFINISHED, START_FIELD = 1 << 12, (1 << 12) - 1
CODE_TO_TOP, CODE_FROM_TOP, NONE = np.int32(32 - FREQUENCY_SHIFT), np.int32(25), np.int32(0)
SIGN_BIT, LEAST_CODE = 1 << 6, np.int32(-2 * BINS)
KEPT_CLASSES, NO_CLASS = 16, np.int32(-(1 << 31))
# Unsigned: numba then spares the test for indices that count from the end.
ZERO, ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT = (np.uint64(k) for k in range(LANES + 1))
SLOT, START, FULL = np.uint64(TOTAL - 1), np.uint64(START_FIELD), np.uint64(STATE_START)
WIDTH, WORD, TO_FREQUENCY = np.uint64(TOTAL_BITS), np.uint64(WORD_BITS), np.uint64(FREQUENCY_SHIFT)
TO_ENTRIES = np.uint64(TOTAL_BITS - SYMBOL_BITS)


@kernel()
def decoding_tables(frequencies, plain, odd_from, shifts):
    """Symbols uint8[tables * TOTAL] by slot (what a state leaves modulo TOTAL), and entries uint32[tables * 32], of
    frequencies int32[tables, 32] with sums of TOTAL; shifts : low bits by table.
    """
    slots, entries = np.empty(frequencies.shape[0] * TOTAL, np.uint8), np.empty(frequencies.size, np.uint32)
    for t in range(frequencies.shape[0]):
        first, start = 1 if t < odd_from else 0, np.int64(0)
        for symbol in range(N_SYMBOLS):
            pair, frequency = symbol - first, np.int64(frequencies[t, symbol])
            code, unfinished = np.int64(symbol), symbol == ESCAPE or (pair >= 0 and shifts[t] > 0)
            if not unfinished:
                code = smallest_code(pair, first, 0, t >= plain) if 0 <= pair < 2 * BINS else np.int64(0)
            elif symbol == ESCAPE:
                code |= SIGN_BIT
            known = frequency << FREQUENCY_SHIFT | (code & 127) << CODE_SHIFT | (UNFINISHED if unfinished else 0)
            entries[N_SYMBOLS * t + symbol] = known | start & START_FIELD
            slots[TOTAL * t + start : TOTAL * t + start + frequency] = symbol
            start += frequency
    return slots, entries


@kernel(inline="always")
def smallest_code(pair, first, shift, halved):
    """The code nearest to zero of bin `pair >> 1`; negative where `pair` is odd."""
    number = (np.int64(pair >> 1) << shift) + first
    magnitude = 2 * number + 1 - first if halved else number
    return -magnitude if pair & 1 else magnitude


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
def place_tables(row_class, columns, group, row):
    """Where the slots of every integer of a row start, of even ones on a trellis: uint32, written."""
    lowest, last, base = np.int32(row_class - group[0]), np.int32(group[1] - 1), group[2]
    for j in range(columns.size):
        row[j] = (base + min(max(np.int32(lowest + columns[j]), NONE), last)) << TOTAL_BITS


@kernel()
def place_tables_by_state(row_class, columns, group, row_scale, column_scales, states, row):
    """`place_tables` on a trellis: the tables of odd integers are behind the even ones."""
    lowest, last, base = np.int32(row_class - group[0]), np.int32(group[1] - 1), group[2]
    least, behind = np.int32(TRELLIS_THRESHOLD - row_scale), np.int32(group[1])
    for j in range(columns.size):
        odd = behind if states[j] & 1 else NONE
        odd = odd if column_scales[j] >= least else NONE
        row[j] = (base + min(max(np.int32(lowest + columns[j]), NONE), last) + odd) << TOTAL_BITS


@kernel()
def follow_trellis(parity_checks, row_scale, column_scales, codes, states):
    """States of the columns after a row: the step of following_state by its parity checks instead of a table."""
    h0, h1 = np.int32(parity_checks[0] >> 1), np.int32(parity_checks[1] >> 1)
    least = np.int32(TRELLIS_THRESHOLD - row_scale)
    for j in range(states.size):
        state = states[j]
        following = np.int32(state >> 1) ^ (h0 if state & 1 else NONE) ^ (h1 if codes[j] & 2 else NONE)
        states[j] = following if column_scales[j] >= least else state


@kernel(inline="always")
def take(words, position, x, slots, entries, table):
    """(entry, state, position) after a symbol, all unsigned."""
    table, slot = np.uint64(table), x & SLOT
    entry = np.uint64(entries[(table >> TO_ENTRIES) + np.uint64(slots[table + slot])])
    x = (entry >> TO_FREQUENCY) * (x >> WIDTH) + slot - (entry & START)
    refilled = x << WORD | np.uint64(words[position])  # outside the choice, which must not become a branch
    return np.uint32(entry), refilled if x < FULL else x, position + np.uint64(x < FULL)


@kernel()
def decode_row(words, position, lanes, slots, entries, row):
    """Entries of a row's symbols in place of their tables; returns the position behind the words taken.

    Columns take turns among the lanes. Every second lane stays in a register; there are too few for all of them.
    """
    b, d, f, h = lanes[ONE], lanes[THREE], lanes[FIVE], lanes[SEVEN]
    size = np.uint64(row.size)
    whole, k = size - size % EIGHT, np.uint64(0)
    while k < whole:
        row[k], lanes[ZERO], position = take(words, position, lanes[ZERO], slots, entries, row[k])
        row[k + ONE], b, position = take(words, position, b, slots, entries, row[k + ONE])
        row[k + TWO], lanes[TWO], position = take(words, position, lanes[TWO], slots, entries, row[k + TWO])
        row[k + THREE], d, position = take(words, position, d, slots, entries, row[k + THREE])
        row[k + FOUR], lanes[FOUR], position = take(words, position, lanes[FOUR], slots, entries, row[k + FOUR])
        row[k + FIVE], f, position = take(words, position, f, slots, entries, row[k + FIVE])
        row[k + SIX], lanes[SIX], position = take(words, position, lanes[SIX], slots, entries, row[k + SIX])
        row[k + SEVEN], h, position = take(words, position, h, slots, entries, row[k + SEVEN])
        k += EIGHT
    lanes[ONE], lanes[THREE], lanes[FIVE], lanes[SEVEN] = b, d, f, h
    for j in range(whole, size):
        row[j], lanes[j - whole], position = take(words, position, lanes[j - whole], slots, entries, row[j])
    return position


@kernel()
def plain_codes(found, codes):
    """Codes of a row's entries; returns whether there is an escape among them."""
    least = np.int32(0)
    for j in range(found.size):
        codes[j] = np.int32(np.uint32(found[j] << CODE_TO_TOP)) >> CODE_FROM_TOP
        least = min(least, codes[j])
    return least < LEAST_CODE


@kernel()
def columns_with_low_bits(row_class, columns, shifts, group, kept):
    """int32[n]: the columns in which an integer of a row of this class can have low bits. They are few.

    kept : int32[classes, columns + 2], written: what was found for the latest classes, behind the class and the number
    """
    found = kept[row_class % kept.shape[0]]
    if found[0] != row_class:
        n = 0
        for j in range(columns.size):
            found[2 + n] = j
            n += shifts[table_of(row_class + columns[j], group, 0)] > 0
        found[0], found[1] = row_class, n
    return found[2 : 2 + found[1]]


@kernel()
def finish_codes(chosen, found, low_words, escapes, place, shifts, group, known, codes):
    """Codes of a row's unfinished entries, all of them in the chosen columns: their low bits, or an escape.

    Returns whether all integers are below 2**24 in magnitude.
    shifts : low bits by table; known : class and expected scale of the row, those of the columns, states of the columns
        and whether there is a trellis
    """
    row_class, columns, row_scale, column_scales, states, halved = known
    bit, used, fits = place[1], place[2], True
    for column in chosen:
        j = np.uint64(column)
        if found[j] & UNFINISHED == 0:
            continue
        odd = is_odd(row_scale + column_scales[j], states[j]) if halved else 0
        symbol, first = np.int64(found[j]) >> CODE_SHIFT & (N_SYMBOLS - 1), 1 - odd
        if symbol == ESCAPE:
            number = np.int64(escapes[min(used, escapes.size - 1)]) if escapes.size else np.int64(0)
            used += 1
            code = 2 * number + odd if halved else number
            fits &= abs(code) <= MAX_MAGNITUDE
            codes[j] = code
            continue
        n_bits, word, pair = shifts[table_of(row_class + columns[j], group, odd)], np.uint64(bit >> 4), symbol - first
        window = np.int64(low_words[word]) | np.int64(low_words[word + ONE]) << WORD_BITS
        low = window >> (bit & 15) & ((1 << n_bits) - 1)
        bit += n_bits
        code = smallest_code(pair, first, n_bits, halved) + (-low if pair & 1 else low) * (2 if halved else 1)
        codes[j] = code
    place[1], place[2] = bit, used
    return fits


@kernel()
def decode_matrix(stream, ends, lanes, place, tables, shifts, group, sides, parity_checks, codes):
    """All integers of a matrix; returns a status.

    stream : words (behind them the padding of a row), words of low bits, escapes; ends : how many there are of each
    lanes : uint64[LANES], the states; place : int64[3], positions in words, low bits and escapes; both go on
    tables : slots and entries of `decoding_tables`; shifts : low bits by table
    group : lowest class, number of classes, first table
    sides : int32, classes of rows and columns, expected scales of rows and columns
    parity_checks : of the trellis, (0, 0) for none; codes : int32[rows, columns], written
    """
    words, low_words, escapes = stream
    slots, entries = tables
    rows, columns, row_scales, column_scales = sides
    halved = parity_checks[0] > 0
    states = np.zeros(columns.size, np.int32)
    row = np.empty(columns.size, np.uint32)
    all_columns = np.arange(columns.size).astype(np.int32)
    kept = np.full((min(KEPT_CLASSES, rows.size), columns.size + 2), NO_CLASS)
    position = np.uint64(place[0])
    for i in range(rows.size):
        if halved:
            place_tables_by_state(rows[i], columns, group, row_scales[i], column_scales, states, row)
        else:
            place_tables(rows[i], columns, group, row)
        position = decode_row(words, position, lanes, slots, entries, row)
        place[0] = position
        escapes_here = plain_codes(row, codes[i])
        chosen = all_columns if escapes_here else columns_with_low_bits(rows[i], columns, shifts, group, kept)
        known = rows[i], columns, row_scales[i], column_scales, states, halved
        fits = finish_codes(chosen, row, low_words, escapes, place, shifts, group, known, codes[i])
        if place[0] > ends[0] or place[1] > ends[1] or place[2] > ends[2]:
            return ENDS_EARLY
        if not fits:
            return MAGNITUDE_TOO_LARGE
        if halved:
            follow_trellis(parity_checks, row_scales[i], column_scales, codes[i], states)
    return OK


@kernel()
def decode_matrices(stream, ends, lanes, place, tables, shifts, groups, layout, sides, codes, word_ends):
    """All matrices of a stream, so that what a call costs is paid once; returns a status.

    stream, ends, lanes, place, tables, shifts : see `decode_matrix`
    groups : int64[2, 3], plain and on a trellis; layout : int64[matrices, 5], rows, columns, group and parity
        checks
    sides : int32, classes and expected scales, those of the rows and of the columns of every matrix in turn
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
        status = decode_matrix(stream, ends, lanes, place, tables, shifts, group, known, (h0, h1), matrix)
        if status != OK:
            return status
        word_ends[m], side, first = place[0], last, end
    return OK
