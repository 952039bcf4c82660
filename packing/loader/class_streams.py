"""Streams of codec 1, which other codecs hold, too (spec/codecs.md), and what every kernel is given."""

from __future__ import annotations

import numpy as np

from .class_tables import reciprocals, starting_distributions
from .kernel_ways import Call

PADDING = 64  # zeros behind a payload, more than one number takes


def decode_class_stream(call: Call, payload: bytes, layout: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Codec 1: the integers, one matrix behind the other."""
    arrays = start_of(payload, (1 << 32) - 1, layout, scales)
    known, cells, memory, codes = reciprocals(), starting_distributions().copy(), memory_of(layout), codes_of(layout)
    call("k1", [*arrays, known, cells, memory, codes], layout.size // 4)
    return codes


def start_of(payload: bytes, whole: int, layout: np.ndarray, scales: np.ndarray) -> list[np.ndarray]:
    """Payload, registers, layout and scales as a kernel takes them; `whole` is the first range."""
    data = np.frombuffer(payload + bytes(PADDING), np.uint8).astype(np.int64)
    return [data, np.array([int.from_bytes(payload[:4], "big"), whole, 4, 0, 0]), layout, scales]


def codes_of(layout: np.ndarray) -> np.ndarray:
    """Room for the integers of all matrices."""
    return np.zeros((layout[::4] * layout[1::4]).sum(), np.int64)


def memory_of(layout: np.ndarray) -> np.ndarray:
    """Room for what a kernel remembers of a matrix's columns."""
    return np.zeros(4 * max([8, *layout[1::4]]), np.int64)
