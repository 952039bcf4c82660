"""Codec 2: matrices of one row, by candidates (spec/codecs.md)."""

from __future__ import annotations

from .decisions import AT, decide, golomb, learn, raw_bits

# Places in `known` and `cells`, as in mixing.py.
FAST_RATES = 4095 + 4096 + 1024
CHANGE_CELLS = 124416
SIGN_CELLS = CHANGE_CELLS + 240
MORE_CELLS = SIGN_CELLS + 9
REPEAT_CELLS = MORE_CELLS + 800
REPEAT_CHANCE = 1258291 << 10

# Places in `memory`.
ERRORS, CANDIDATES, EARLIER = 0, 8, 16


def decode_vector(payload, registers, layout, known, cells, memory, codes, m, scale):
    """Matrix number `m` of a stream, a row whose first number is expected to be of this log2 magnitude."""
    columns = layout[4 * m + 1]
    candidates = find_earlier(layout, memory, m, registers[AT])
    expected = 768
    expected = expected << 4 + min(max(scale >> 16, -4), 20) >> 4
    for k in range(candidates):
        memory[ERRORS + k] = expected + k * (expected >> 3)
    cells[REPEAT_CELLS] = REPEAT_CHANCE
    cells[REPEAT_CELLS + 1] = REPEAT_CHANCE
    remembered = 0  # nothing: what is remembered is at least 16
    memory[CANDIDATES] = 0
    memory[CANDIDATES + 1] = 0
    for j in range(columns):
        for k in range(candidates - 2):
            memory[CANDIDATES + 2 + k] = codes[memory[EARLIER + k] + j]
        best = 0
        for k in range(candidates):
            if memory[ERRORS + k] < memory[ERRORS + best]:
                best = k
        other = 1 - min(best, 1)
        for k in range(candidates):
            if k != best and memory[ERRORS + k] < memory[ERRORS + other]:
                other = k
        candidate = memory[CANDIDATES + best]
        repeated = 0
        if remembered:
            repeated = decide_alone(payload, registers, known, cells, REPEAT_CELLS + (remembered == candidate))
        value = remembered
        if repeated == 0:
            gap = memory[CANDIDATES + other] - candidate
            value = candidate + decode_difference(
                payload, registers, known, cells, gap, memory[ERRORS + best] + 8, remembered, remembered - candidate
            )
        codes[registers[AT]] = value
        registers[AT] += 1
        if abs(value) > 15:
            remembered = value
        for k in range(candidates):
            if repeated == 0 or k > 1:
                memory[ERRORS + k] += 256 * abs(value - memory[CANDIDATES + k]) - memory[ERRORS + k] >> 4
        memory[CANDIDATES + 1] = value
    return 0


def find_earlier(layout, memory, m, at):
    """Where the six latest vectors of the same length as matrix m are, the latest first; how many candidates it has."""
    candidates = 2
    for k in range(m):
        before = m - 1 - k
        at -= layout[4 * before] * layout[4 * before + 1]
        same = layout[4 * before] == 1 and layout[4 * before + 1] == layout[4 * m + 1]
        if same and layout[4 * before + 2] == 0 and candidates < 8:
            memory[EARLIER + candidates - 2] = at
            candidates += 1
    return candidates


def decode_difference(payload, registers, known, cells, gap, error, remembered, barred):
    """An integer less its candidate; what is remembered is `barred` from it, and none of them."""
    length = 0
    while error >> length:
        length += 1
    scale = 2 * length + (error >> length - 2 & 1)
    low = max(0, length - 12)
    spread = min(abs(gap), 1) + min(abs(gap) // 3, 1)
    if remembered == 0 or barred:
        if decide_alone(payload, registers, known, cells, CHANGE_CELLS + 3 * scale + spread) == 0:
            return 0
    cell = SIGN_CELLS + 3 * (min(max(gap, -1), 1) + 1) + spread
    sign = 2 * decide_alone(payload, registers, known, cells, cell) - 1
    found = 0
    while found < 19 and decide_alone(payload, registers, known, cells, MORE_CELLS + 10 * scale + min(found, 9)):
        found += 1
    if found == 19:
        found += golomb(payload, registers)
    magnitude = (found << low) + raw_bits(payload, registers, low) + 1
    if remembered and barred * sign > 0 and magnitude >= barred * sign:
        magnitude += 1
    return magnitude * sign


def decide_alone(payload, registers, known, cells, cell):
    """A decision predicted by one cell that learns fast."""
    answer = decide(payload, registers, min(max(cells[cell] >> 16, 32), 65504))
    learn(cells, cell, answer, known, FAST_RATES)
    return answer
