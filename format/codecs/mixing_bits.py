"""Binary decisions of the mixing coder: binary range coding, adaptive cells, logistic mixing (spec/codecs.md).

Strategy: the state of a coder is an int64 array of four registers: `low` (in a decoder the code word
relative to it), `span`, the position in the payload and its size. Functions that code take `decoding`,
which says whether the bit is given or found, so that the two directions cannot diverge. A decoder's
payload is padded with zeros: it may read as many as one integer takes beyond the end, and whoever
decodes integers compares position and size after each.

A cell is a probability of 22 bits that the answer is yes, and below it a count of 10 bits that sets its rate.
"""

from __future__ import annotations

import numpy as np

from ..kernels import kernel
from . import mixing_tables as tables
from .lanes import leading_zeros
from .range_coder import LOW_MASK, RENORMALISE_BELOW
from .scale_classes import N_KINDS

LOW, SPAN, POSITION, SIZE = 0, 1, 2, 3
PADDING = 64  # bytes; no integer takes as many
WHOLE_SPAN = 1 << 32
EVEN_CHANCE = 1 << 15
MAX_COUNT = 1023
MAX_EXCESS_BITS = 26
N_INPUTS = 4
INITIAL_WEIGHT = (1 << 16) // N_INPUTS
LEARNING_SHIFT = 18
LEARNING_HALF = 1 << (LEARNING_SHIFT - 1)
STRETCH_LIMIT = tables.STRETCH_LIMIT

# In 16 bits, so that the nearest cache holds them beside the cells.
SQUASH = tables.squash_table().astype(np.uint16)
STRETCH = tables.stretch_table().astype(np.int16)
SLOW_RATES = np.array([65536 // (n + 30) for n in range(MAX_COUNT + 1)], np.uint16)
FAST_RATES = np.array([655360 // (10 * min(n, 60) + 16) for n in range(MAX_COUNT + 1)], np.uint16)

REFILL_BELOW, REFILL_BITS, REFILL_BYTES = np.uint64(1 << 32), np.uint64(32), 4
HALF, BYTE = np.uint64(16), np.uint64(8)


def initial_weights() -> np.ndarray:
    """int64[kinds * decisions * inputs]: the plain mean of the predictions."""
    return np.full(N_KINDS * tables.N_DECISIONS * N_INPUTS, INITIAL_WEIGHT, np.int64)


def new_encoder(capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """Payload to write into and registers."""
    return np.empty(capacity, np.uint8), np.array([0, WHOLE_SPAN, 0, capacity], np.int64)


def new_decoder(payload: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Padded payload (of at least 4 bytes) and registers."""
    data = np.frombuffer(payload + bytes(PADDING), np.uint8).copy()  # writable: the type that the shared kernels know
    return data, np.array([int.from_bytes(payload[:4], "big"), WHOLE_SPAN, 4, len(payload)], np.int64)


@kernel()
def code_bit(decoding, bit, probability, payload, registers):
    """One decision whose yes has `probability` of 65,536: yes is the lower part of the range."""
    low, span, position = registers[LOW], registers[SPAN], registers[POSITION]
    bound = (span >> 16) * probability
    if decoding:
        bit = np.int64(low < bound)
    if bit:
        span = bound
    else:
        low += -bound if decoding else bound
        span -= bound
    if not decoding and low > LOW_MASK:
        low &= LOW_MASK
        back = position - 1
        while payload[back] == 255:
            payload[back] = 0
            back -= 1
        payload[back] += 1
    while span < RENORMALISE_BELOW:
        if decoding:
            low = (low << 8) | np.int64(payload[position])
        else:
            payload[position] = low >> 24
            low = (low << 8) & LOW_MASK
        position += 1
        span <<= 8
    registers[LOW], registers[SPAN], registers[POSITION] = low, span, position
    return bit


# The fast way of a decoder. `low` and `span` are kept with some bytes more behind them, as `window` and `span` of 64
# bits, so that shifting in bytes changes neither: how many bytes there are too many follows from the size of the span.
# Only where there are none the next four are fetched. A decision leaves at least 2**21 of a span of 2**32, so four are
# always enough.


@kernel(inline="always")
def behind(span):
    """Bits of a window that the plain decoder has not shifted in yet."""
    return (np.uint64(39) - leading_zeros(span)) & ~np.uint64(7)


@kernel(inline="always")
def refilled(window, span, position, payload):
    """(window, span, position) with four bytes more; zeros where the payload and its padding end."""
    if position + REFILL_BYTES > payload.size:
        return window << REFILL_BITS, span << REFILL_BITS, position + REFILL_BYTES
    k = np.uint64(position)
    upper = np.uint64(payload[k]) << BYTE | np.uint64(payload[k + np.uint64(1)])
    lower = np.uint64(payload[k + np.uint64(2)]) << BYTE | np.uint64(payload[k + np.uint64(3)])
    return (window << HALF | upper) << HALF | lower, span << REFILL_BITS, position + REFILL_BYTES


@kernel(inline="always")
def opened(registers, payload):
    """(window, span, position) of a decoder's registers."""
    window, span, position = np.uint64(registers[LOW]), np.uint64(registers[SPAN]), registers[POSITION]
    return refilled(window, span, position, payload) if span < REFILL_BELOW else (window, span, position)


@kernel(inline="always")
def close_window(registers, window, span, position):
    """The registers of a decoder that has decoded at least one decision since it was opened."""
    bits = behind(span)
    registers[LOW], registers[SPAN] = window >> bits, span >> bits
    registers[POSITION] = position - np.int64(bits >> np.uint64(3))


@kernel(inline="always")
def split(span, probability):
    """Where the range of a yes ends."""
    bits = behind(span)
    return ((span >> (bits + HALF)) * probability) << bits


@kernel(inline="always")
def sign_taken(window, span, is_signed):
    """(1 for yes, window, span) after an even chance where `is_signed` is 1, else 0 and nothing is taken.

    There is no branch, for it could not be predicted.
    """
    bits = behind(span)
    bound = ((span >> (bits + HALF)) << (bits + np.uint64(15))) & np.uint64(-is_signed)
    yes = np.int64(window < bound)
    no = np.uint64(yes - 1)
    rest = span - bound
    return yes, window - (bound & no), (bound & ~no) | (rest & no)


@kernel()
def code_raw(decoding, value, n_bits, payload, registers):
    """`n_bits` bits of a number, the highest first, each an even chance."""
    found = np.int64(0)
    for k in range(n_bits - 1, -1, -1):
        found = (found << 1) | code_bit(decoding, (value >> k) & 1, EVEN_CHANCE, payload, registers)
    return found


@kernel()
def code_excess(decoding, excess, payload, registers):
    """An exponential-Golomb number of order 0; -1 when it is longer than any magnitude's."""
    length = np.int64(0)
    while code_bit(decoding, np.int64((excess + 1) >> (length + 1) != 0), EVEN_CHANCE, payload, registers):
        length += 1
        if length > MAX_EXCESS_BITS:
            return np.int64(-1)
    return ((np.int64(1) << length) | code_raw(decoding, excess + 1, length, payload, registers)) - 1


@kernel(inline="always")
def adapted(cell, bit, rates):
    """A cell (int64) after an answer: the probability, which is above the count, and the count grow in one sum."""
    count = cell & MAX_COUNT
    step = (((bit << 22) - (cell >> 10)) * np.int64(rates[np.uint64(count)])) >> 16
    return np.uint32(cell + (step << 10) + np.int64(count < MAX_COUNT))


@kernel()
def code_alone(decoding, bit, payload, registers, cells, a):
    """One decision predicted by one cell that learns fast."""
    cell, floor = np.int64(cells[a]), tables.PROBABILITY_FLOOR
    bit = code_bit(decoding, bit, min(max(cell >> 16, floor), 65536 - floor), payload, registers)
    cells[a] = adapted(cell, bit, FAST_RATES)
    return bit


@kernel(inline="always")
def squashed(total):
    """Probability of 65,536 of a weighted sum of stretched ones (weights 16 bits after the point)."""
    return np.int64(SQUASH[np.uint64(min(max(total >> 16, -STRETCH_LIMIT), STRETCH_LIMIT) + STRETCH_LIMIT)])


@kernel(inline="always")
def learned(weight, error, stretched):
    """A weight after an answer that was `error` of 65,536 more than predicted."""
    return weight + ((error * stretched + LEARNING_HALF) >> LEARNING_SHIFT)
