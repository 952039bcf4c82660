"""Codec 2: matrices (spec/codecs.md).

Strategy: one call decodes a stream, so that plain Python changes arrays to lists once. `layout` has four numbers a
matrix: rows, columns and the parity checks of its trellis shifted right by one, or zeros; `scales` has the expected
scales of the rows, then of the columns, of every matrix in turn. `known` is all tables one behind the other, as
loader/mixing_tables.py makes them; `cells` is all cells, those of vectors last, and then the weights.
"""

from __future__ import annotations

from .decisions import AT, EVEN_CHANCE, SIDE, decide, golomb, learn, raw_bits
from .trellis import follow_trellis
from .vectors import decode_vector

# Places in `known`.
STRETCH = 4095  # behind the squash of -2047..2047
SLOW_RATES = STRETCH + 4096
RECIPROCALS = SLOW_RATES + 2048  # behind the fast rates
LEVELS = RECIPROCALS + 16
SCORES = LEVELS + 128  # 9 numbers a class, 24 classes, two kinds
INFORMATION = SCORES + 2 * 24 * 9
CELLS = INFORMATION + 2 * 24  # what the cells of matrices start with

# Places in `cells`: 16 decisions (the last unused) a context, for three kinds.
LEFT_CELLS = 3 * 384 * 16
ABOVE_CELLS = LEFT_CELLS + 3 * 96 * 11 * 16
MATRIX_CELLS = ABOVE_CELLS + 3 * 96 * 11 * 16
VECTOR_CELLS = MATRIX_CELLS + 3 * 96 * 16
WEIGHTS = VECTOR_CELLS + 240 + 9 + 800 + 2  # four for every kind and decision

DECISIONS = 15
TYPICAL = 205
VARIANCE = (1 << 24) // 80
OCTAVE = 65536
LOWEST, HIGHEST = -4 * OCTAVE, 20 * OCTAVE - 1
THRESHOLD = -5 * 16384  # below it a trellis does not run


def decode_mixing(payload, registers, layout, scales, known, cells, memory, codes, matrices):
    """All matrices of a stream, one behind the other in `codes`."""
    for m in range(matrices):
        rows = layout[4 * m]
        columns = layout[4 * m + 1]
        if rows == 1 and layout[4 * m + 2] == 0:
            scale = scales[registers[SIDE]] + scales[registers[SIDE] + 1]
            decode_vector(payload, registers, layout, known, cells, memory, codes, m, scale)
        else:
            for k in range(columns):
                memory[k] = 0
                memory[columns + k] = VARIANCE
                memory[2 * columns + k] = TYPICAL
                memory[3 * columns + k] = 0
            for k in range(VECTOR_CELLS - MATRIX_CELLS):
                cells[MATRIX_CELLS + k] = known[CELLS + MATRIX_CELLS + k]
            for i in range(rows):
                decode_row(payload, registers, layout, scales, known, cells, memory, codes, m, i)
        registers[SIDE] += rows + columns
    return 0


def decode_row(payload, registers, layout, scales, known, cells, memory, codes, m, i):
    """Row i of matrix m; `memory` holds corrections, variances, sizes above and trellis states of the columns."""
    side = registers[SIDE]
    columns = layout[4 * m + 1]
    first_check = layout[4 * m + 2]
    second_check = layout[4 * m + 3]
    correction = 0
    variance = VARIANCE
    left = TYPICAL
    second = TYPICAL
    third = TYPICAL
    for j in range(columns):
        static = scales[side + i] + scales[side + layout[4 * m] + j]
        kind = 0
        if first_check:
            kind = 1
            if static >= THRESHOLD:
                kind += memory[3 * columns + j] & 1
        scale = static + 20480 + correction + memory[j] - OCTAVE * min(kind, 1)
        scale = min(max(scale, LOWEST), HIGHEST)
        fine = scale - LOWEST >> 12
        before = 2 * left + second + third >> 6
        above = memory[2 * columns + j] >> 4
        number = decode_number(payload, registers, known, cells, kind, fine, before, above)
        odd = kind >> 1
        low = max(0, (scale >> 16) - 1)
        code = 0
        if number >= 1 - odd:
            number = (number + odd - 1 << low) + raw_bits(payload, registers, low) + 1 - odd
            code = decide(payload, registers, EVEN_CHANCE)
        ratio = min((2 * number + odd) * known[RECIPROCALS + (scale >> 12 & 15)] >> (scale >> 16) + 8, 2047)
        score = min((ratio * ratio - 65536) * 369 >> 16, 2216)
        information = 512
        if fine < 96:
            score = known[SCORES + (24 * odd + (fine >> 2)) * 9 + min(number, 8)]
            information = known[INFORMATION + 24 * odd + (fine >> 2)]
        if kind:
            number = 2 * number + odd
        code = number - 2 * number * code
        codes[registers[AT]] = code
        registers[AT] += 1
        third = second
        second = left
        left = ratio
        correction += variance * score >> 16
        variance -= (information * variance >> 8) * variance >> 24
        memory[j] += memory[columns + j] * score >> 16
        memory[columns + j] -= (information * memory[columns + j] >> 8) * memory[columns + j] >> 24
        memory[2 * columns + j] += ratio - memory[2 * columns + j] >> 3
        if first_check and static >= THRESHOLD:
            follow_trellis(memory, 3 * columns + j, code, first_check, second_check)
    return 0


def decode_number(payload, registers, known, cells, kind, fine, left, above):
    """The bin of a number: how many decisions say "more", and what follows when all do."""
    quarter = 96 * kind + (fine >> 2)
    a = (384 * kind + fine) * 16
    b = LEFT_CELLS + (quarter * 11 + known[LEVELS + left]) * 16
    c = ABOVE_CELLS + (quarter * 11 + known[LEVELS + above]) * 16
    d = MATRIX_CELLS + quarter * 16
    w = WEIGHTS + kind * DECISIONS * 4
    found = 0
    while found < DECISIONS and decide_mixed(
        payload, registers, known, cells, a + found, b + found, c + found, d + found, w + 4 * found
    ):
        found += 1
    if found == DECISIONS:
        found += golomb(payload, registers)
    return found


def decide_mixed(payload, registers, known, cells, a, b, c, d, w):
    """A decision predicted by four cells and their weights, all of which learn from it."""
    e = known[STRETCH + (cells[a] >> 20)]
    f = known[STRETCH + (cells[b] >> 20)]
    g = known[STRETCH + (cells[c] >> 20)]
    h = known[STRETCH + (cells[d] >> 20)]
    total = cells[w] * e + cells[w + 1] * f + cells[w + 2] * g + cells[w + 3] * h >> 16
    chance = known[min(max(total, -2047), 2047) + 2047]
    answer = decide(payload, registers, chance)
    error = (answer << 16) - chance
    cells[w] += error * e + 131072 >> 18
    cells[w + 1] += error * f + 131072 >> 18
    cells[w + 2] += error * g + 131072 >> 18
    cells[w + 3] += error * h + 131072 >> 18
    learn(cells, a, answer, known, SLOW_RATES)
    learn(cells, b, answer, known, SLOW_RATES)
    learn(cells, c, answer, known, SLOW_RATES)
    learn(cells, d, answer, known, SLOW_RATES)
    return answer
