"""What a stream of codec 3 says before its integers (spec/codecs.md), as packing/kernels/static.py takes it.

Strategy: the side stream is one of codec 1, so its kernel decodes it; numpy makes tables of the numbers.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from .class_streams import decode_class_stream
from .kernel_ways import Call

HEADER, FIXED = "<3I4B", 7  # bytes of the side stream, escapes, low words, groups; places of `known` before its tables


def static_arrays(call: Call, payload: bytes, layout: np.ndarray, scales: np.ndarray) -> list[np.ndarray]:
    """Words, registers, layout, scales, `known` and classes."""
    side, escapes, low, *groups = struct.unpack_from(HEADER, payload)
    tables, start = groups[1] + 2 * groups[3], 16 + side + 2 * low
    expected = np.zeros(scales.size + tables + 18 + escapes, np.int64)
    steps = np.arange(10, 0, -1) << 16
    expected[1 + scales.size + tables :][:10] = steps
    asked = np.array([1, scales.size, 0, 0, tables, 16, 0, 0, 1, escapes, 0, 0])
    told = decode_class_stream(call, payload[16 : start - 2 * low], asked, expected)
    classes, halves = (scales >> 14) + told[: scales.size], told[scales.size :][: 16 * tables].reshape(tables, 16)
    at = 0
    for rows, columns, check, _ in layout.reshape(-1, 4):
        at += rows + columns
        classes[at - columns : at] += 12 if check else 16
    frequencies = whole_tables(halves, groups[1] + groups[3])
    starts = frequencies.cumsum(1) - frequencies
    symbols = np.repeat(np.arange(32 * tables) & 31, frequencies.ravel())
    low_words = words_of(payload[16 + side : start])
    places = FIXED + 64 * tables + np.cumsum([0, low_words.size, escapes])
    known = [groups, places, np.hstack([frequencies, starts]).ravel(), low_words, told[told.size - escapes :], symbols]
    registers = [0, 0, 0, 0, 0, *struct.unpack_from("<8I", payload, start)]
    return [words_of(payload[start + 32 :]), np.array(registers), layout, scales, np.concatenate(known), classes]


def words_of(data: bytes) -> np.ndarray:
    """int64 of little-endian words of 16 bits, and a few zeros behind them."""
    return np.frombuffer(data + bytes(16), "<u2").astype(np.int64)


def whole_tables(halves: np.ndarray, odd_from: int) -> Any:
    """int64[tables, 32] frequencies of those of the positive bins and of the escape."""
    signed, escape = np.repeat(halves[:, :15], 2, 1), halves[:, 15:]
    rest = 4096 - signed.sum(1, keepdims=True) - escape
    even = np.arange(len(halves))[:, None] < odd_from
    return np.where(even, np.hstack([rest, signed, escape]), np.hstack([signed, rest, escape]))
