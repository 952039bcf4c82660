"""Range coder: 32-bit range, bytewise renormalisation (spec/codecs.md).

Strategy: the state is an int64 array of three registers, passed from kernel to kernel: `low` (in a
decoder the code word relative to it), `range`, and the position in the payload. An interval [start,
start + size) of 2**bits narrows the range; a carry out of 32 bits runs back into bytes already written;
the end of a stream is all four bytes of `low`, so a decoder that has consumed exactly its payload holds
a code word of 0. Invariant between steps: 2**24 <= range < 2**32, low < 2**32.
"""

from __future__ import annotations

import numpy as np

from ..kernels import kernel

LOW, RANGE, POSITION = 0, 1, 2
RANGE_TOP = (1 << 32) - 1
RENORMALISE_BELOW = 1 << 24
LOW_MASK = (1 << 32) - 1


def new_coder(position: int) -> np.ndarray:
    """Registers at the start of a stream whose next byte is at `position`."""
    return np.array([0, RANGE_TOP, position], np.int64)


@kernel()
def write_range(payload, coder, start, size, total_bits):
    """Narrow the interval to [start, start + size) of 2**total_bits; carries run back into written bytes."""
    unit = coder[RANGE] >> total_bits
    coder[LOW] += unit * start
    coder[RANGE] = unit * size
    if coder[LOW] > LOW_MASK:
        coder[LOW] &= LOW_MASK
        back = coder[POSITION] - 1
        while payload[back] == 255:
            payload[back] = 0
            back -= 1
        payload[back] += 1
    while coder[RANGE] < RENORMALISE_BELOW:
        payload[coder[POSITION]] = coder[LOW] >> 24
        coder[POSITION] += 1
        coder[LOW] = (coder[LOW] << 8) & LOW_MASK
        coder[RANGE] <<= 8


@kernel()
def encode_bits(payload, coder, value, n_bits):
    while n_bits > 0:
        taken = min(n_bits, 16)
        write_range(payload, coder, (value >> (n_bits - taken)) & ((1 << taken) - 1), 1, taken)
        n_bits -= taken


@kernel()
def encode_escape(payload, coder, excess):
    """Exponential-Golomb code of order 0, one range-coder step a unary bit (as the decoder reads it)."""
    length = 0
    while (excess + 1) >> (length + 1):
        length += 1
        encode_bits(payload, coder, 1, 1)
    encode_bits(payload, coder, 0, 1)
    encode_bits(payload, coder, (excess + 1) & ((1 << length) - 1), length)


@kernel(inline="always")
def shift_in(low, bits, n_bits):
    """The code word with more bits of the payload.

    No writer makes a word that is not below the range; such a word stays so (every symbol is then the
    last of its row), and is kept from growing out of its 32 bits.
    """
    return min((low << n_bits) | bits, LOW_MASK)


@kernel(inline="always")
def renormalise(payload, coder):
    """Shift bytes in; returns False when the payload ends early."""
    while coder[RANGE] < RENORMALISE_BELOW:
        if coder[POSITION] >= payload.size:
            return False
        coder[LOW] = shift_in(coder[LOW], np.int64(payload[coder[POSITION]]), 8)
        coder[POSITION] += 1
        coder[RANGE] <<= 8
    return True


@kernel()
def decode_bits(payload, coder, n_bits):
    """Read n_bits raw bits; -1 when the payload ends early."""
    value = np.int64(0)
    while n_bits > 0:
        taken = min(n_bits, 16)
        coder[RANGE] >>= taken
        part = min(coder[LOW] // coder[RANGE], (1 << taken) - 1)
        coder[LOW] -= part * coder[RANGE]
        if not renormalise(payload, coder):
            return np.int64(-1)
        value = (value << taken) | part
        n_bits -= taken
    return value


@kernel()
def decode_escape(payload, coder):
    """Exponential-Golomb excess over the escape bin; negative: -1 payload ends early, -2 longer than any magnitude."""
    length = 0
    while True:
        bit = decode_bits(payload, coder, 1)
        if bit < 0:
            return np.int64(-1)
        if bit == 0:
            break
        length += 1
        if length > 24:
            return np.int64(-2)
    low = decode_bits(payload, coder, length)
    return np.int64(-1) if low < 0 else ((np.int64(1) << length) | low) - 1
