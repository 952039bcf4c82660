"""Codec 1 (spec/codecs.md).

Strategy: one call decodes a stream, with the parameters of mixing.py. `known` is the reciprocals; `cells` has 17
cumulative numbers for every kind and class, then how often each has been used.
"""

from __future__ import annotations

from .trellis import follow_trellis

CODE, RANGE, POSITION, AT, SIDE = 0, 1, 2, 3, 4  # as in decisions.py
COUNTS = 3 * 96 * 17  # place in `cells`
ESCAPE = 15
OCTAVE = 65536
LOWEST, HIGHEST = -4 * OCTAVE, 20 * OCTAVE - 1
THRESHOLD = -5 * 16384  # below it a trellis does not run
WHOLE = 1 << 30
STEP = 1 << 15
LAST_COUNT = 1 << 20


def decode_scale_classes(payload, registers, layout, scales, known, cells, memory, codes, matrices):
    """All matrices of a stream, one behind the other in `codes`."""
    for m in range(matrices):
        rows = layout[4 * m]
        columns = layout[4 * m + 1]
        for k in range(2 * columns):
            memory[k] = 0
        for i in range(rows):
            decode_class_row(payload, registers, layout, scales, known, cells, memory, codes, m, i)
        registers[SIDE] += rows + columns
    return 0


def decode_class_row(payload, registers, layout, scales, known, cells, memory, codes, m, i):
    """Row i of matrix m; `memory` holds corrections and trellis states of the columns."""
    side = registers[SIDE]
    columns = layout[4 * m + 1]
    first_check = layout[4 * m + 2]
    second_check = layout[4 * m + 3]
    correction = 0
    for j in range(columns):
        static = scales[side + i] + scales[side + layout[4 * m] + j]
        kind = 0
        if first_check:
            kind = 1
            if static >= THRESHOLD:
                kind += memory[columns + j] & 1
        scale = min(max(static + correction + memory[j], LOWEST), HIGHEST)
        number = min(max(scale - OCTAVE * min(kind, 1), LOWEST), HIGHEST) - LOWEST >> 14
        low = max(0, (number >> 2) - 5)
        number = decode_symbol(payload, registers, cells, 96 * kind + number)
        odd = kind >> 1
        code = 0
        if number >= 1 - odd:
            code = range_bits(payload, registers, low + 1)
            number = (number + odd - 1 << low) + 1 - odd
            number += code - (code >> low << low)
            code = code >> low
        if kind:
            number = 2 * number + odd
        code = number - 2 * number * code
        codes[registers[AT]] = code
        registers[AT] += 1
        surprise = min((number * known[scale >> 12 & 15] >> (scale >> 16) + 7) - 256, 1024)
        if scale == LOWEST:
            surprise = max(surprise, 0)
        if scale == HIGHEST:
            surprise = min(surprise, 0)
        correction += surprise * max(196, 32768 // (j + 3)) >> 8
        memory[j] += surprise * max(196, 32768 // (i + 3)) >> 8
        if first_check and static >= THRESHOLD:
            follow_trellis(memory, columns + j, code, first_check, second_check)
    return 0


def decode_symbol(payload, registers, cells, which):
    """The bin of a number by the distribution of its kind and class, which learns; with what follows an escape."""
    first = 17 * which
    unit = registers[RANGE] >> 16
    target = min(registers[CODE] // unit, 65535)
    symbol = ESCAPE
    while cells[first + symbol] >> 14 > target:
        symbol -= 1
    start = cells[first + symbol] >> 14
    take_range(payload, registers, unit, start, (cells[first + symbol + 1] >> 14) - start)
    count = cells[COUNTS + which]
    shift = 4
    while shift < 10 and count + 16 >> shift:
        shift += 1
    cells[COUNTS + which] = min(count + 1, LAST_COUNT)
    for k in range(16):
        goal = STEP * k
        if k > symbol:
            goal = WHOLE - STEP * (16 - k)
        cells[first + k] += goal - cells[first + k] >> shift
    if symbol == ESCAPE:
        length = 0
        power = 1
        while range_bits(payload, registers, 1):
            length += 1
            power *= 2
        symbol += power + range_bits(payload, registers, length) - 1
    return symbol


def take_range(payload, registers, unit, start, size):
    """Narrow the range to `size` units from `start` on."""
    registers[CODE] -= unit * start
    registers[RANGE] = unit * size
    while registers[RANGE] < 1 << 24:
        registers[CODE] = registers[CODE] << 8 | payload[registers[POSITION]]
        registers[RANGE] <<= 8
        registers[POSITION] += 1
    return 0


def range_bits(payload, registers, count):
    """A number of `count` bits, 16 at most at a time, the highest first."""
    value = 0
    while count > 0:
        taken = min(count, 16)
        unit = registers[RANGE] >> taken
        part = registers[CODE] // unit
        take_range(payload, registers, unit, part, 1)
        value = (value << taken) + part
        count -= taken
    return value
