"""Codec 3 (spec/codecs.md), but for its side stream, which is one of codec 1.

Strategy: `payload` is the words behind the states, `cells` the classes of rows and columns in the order of `scales`,
and `registers` the positions among words, low bits and escapes, then as in decisions.py, then the states of the eight
coders. `known` has the lowest class and the number of classes of both groups, where in it the low words, the escapes
and the symbols by table and slot are, and for each table 32 frequencies and 32 starts (loader/static_tables.py).
"""

from __future__ import annotations

from .trellis import follow_trellis

WORDS, BITS, ESCAPES, AT, SIDE, STATES = 0, 1, 2, 3, 4, 5  # places in `registers`
LOW_FROM, ESCAPES_FROM, SYMBOLS_FROM, TABLES = 4, 5, 6, 7  # places in `known`
ESCAPED = 31
THRESHOLD = -5 * 16384  # below it a trellis does not run


def decode_static(payload, registers, layout, scales, known, cells, memory, codes, matrices):
    """All matrices of a stream, one behind the other in `codes`."""
    for m in range(matrices):
        for k in range(layout[4 * m + 1]):
            memory[k] = 0
        for i in range(layout[4 * m]):
            decode_static_row(payload, registers, layout, scales, known, cells, memory, codes, m, i)
        registers[SIDE] += layout[4 * m] + layout[4 * m + 1]
    return 0


def decode_static_row(payload, registers, layout, scales, known, cells, memory, codes, m, i):
    """Row i of matrix m; `memory` holds the trellis states of the columns."""
    row = registers[SIDE] + i
    columns = registers[SIDE] + layout[4 * m]
    first_check = layout[4 * m + 2]
    second_check = layout[4 * m + 3]
    group = min(first_check, 1)
    for j in range(layout[4 * m + 1]):
        static = scales[row] + scales[columns + j]
        odd = 0
        if first_check and static >= THRESHOLD:
            odd = memory[j] & 1
        place = min(max(cells[row] + cells[columns + j] - known[2 * group], 0), known[2 * group + 1] - 1)
        symbol = take_symbol(payload, registers, known, place + group * known[1] + odd * known[3], STATES + (j & 7))
        code = 0
        if symbol == ESCAPED:
            code = known[known[ESCAPES_FROM] + registers[ESCAPES]]
            registers[ESCAPES] += 1
            if group:
                code = 2 * code + odd
        if symbol < ESCAPED and symbol + odd > 0:
            low = max(0, (known[2 * group] + place >> 2) - 5)
            code = (symbol + odd - 1 >> 1 << low) + low_bits(registers, known, low) + 1 - odd
            if group:
                code = 2 * code + odd
            if symbol + odd - 1 & 1:
                code = -code
        codes[registers[AT]] = code
        registers[AT] += 1
        if first_check and static >= THRESHOLD:
            follow_trellis(memory, j, code, first_check, second_check)
    return 0


def take_symbol(payload, registers, known, table, coder):
    """The next symbol of a coder by a table."""
    slot = registers[coder] & 4095
    symbol = known[known[SYMBOLS_FROM] + 4096 * table + slot]
    place = TABLES + 64 * table + symbol
    state = known[place] * (registers[coder] >> 12) + slot - known[place + 32]
    if state < 65536:
        state = (state << 16) + payload[registers[WORDS]]
        registers[WORDS] += 1
    registers[coder] = state
    return symbol


def low_bits(registers, known, count):
    """The next low bits."""
    word = known[LOW_FROM] + (registers[BITS] >> 4)
    window = known[word] + (known[word + 1] << 16) >> (registers[BITS] & 15)
    registers[BITS] += count
    return window - (window >> count << count)
