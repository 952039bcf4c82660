"""Decisions between yes and no, and numbers made of even ones (spec/codecs.md, codec 2).

Strategy: `registers` holds what a decoder goes on with: the code word less the range's lower end, the range, and the
position in the payload, behind which there are zeros enough for one number; then where the next integer goes in
`codes`, and where the scales of the matrix at hand begin.
"""

from __future__ import annotations

CODE, RANGE, POSITION, AT, SIDE = 0, 1, 2, 3, 4
EVEN_CHANCE = 32768
COUNT_MASK = 1023  # a cell is a probability of 22 bits and, below it, a count of 10


def decide(payload, registers, chance):
    """A decision whose yes has `chance` of 65,536."""
    bound = (registers[RANGE] >> 16) * chance
    answer = 0
    if registers[CODE] < bound:
        registers[RANGE] = bound
        answer = 1
    else:
        registers[CODE] -= bound
        registers[RANGE] -= bound
    while registers[RANGE] < 1 << 24:
        registers[CODE] = registers[CODE] << 8 | payload[registers[POSITION]]
        registers[RANGE] <<= 8
        registers[POSITION] += 1
    return answer


def raw_bits(payload, registers, count):
    """A number of `count` bits, each an even chance, the highest first."""
    value = 0
    while count > 0:
        value = 2 * value + decide(payload, registers, EVEN_CHANCE)
        count -= 1
    return value


def golomb(payload, registers):
    """An exponential-Golomb number of order 0."""
    length = 0
    power = 1
    while decide(payload, registers, EVEN_CHANCE):
        length += 1
        power *= 2
    return power + raw_bits(payload, registers, length) - 1


def learn(cells, cell, answer, rates, first):
    """A cell after an answer, at the rate of its count; the rates begin at `first`."""
    count = cells[cell] & COUNT_MASK
    chance = cells[cell] >> 10
    chance += ((answer << 22) - chance) * rates[first + count] >> 16
    cells[cell] = chance << 10 | min(count + 1, COUNT_MASK)
    return 0
