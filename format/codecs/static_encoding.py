"""The encoding loops of the static coder (static_rans.py): tables and symbols of every integer, then the words.

Strategy: the first walk follows the trellis and needs no frequencies, so these can be fitted to what it counts; the
second one runs backwards, for a coder of this kind returns what it was given last.
"""

from __future__ import annotations

import numpy as np

from ..kernels import kernel
from .outcomes import OFF_TRELLIS, OK
from .scale_classes import following_state
from .static_kernels import LANES, STATE_START, WORD_BITS, is_odd, table_of
from .static_tables import BINS, ESCAPE, TOTAL_BITS


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
