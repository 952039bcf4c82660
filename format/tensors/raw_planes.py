"""Raw values in byte planes (spec/tensors.md).

Strategy: sign and exponent bytes of similar values repeat and mantissa bytes do not, so all values of one storage are
laid out plane by plane, most significant first, and the section's general compressor sees each kind by itself.
Order: float32 tensors, then float16, then bfloat16; within a storage in directory order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InvalidArtifact, MalformedArtifact

STORAGES = ("float32", "float16", "bfloat16")
ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True)
class PlaneSlice:
    """The bytes of one plane (0: most significant) that belong to value list `index`: `length` bytes from `start`."""

    index: int
    plane: int
    start: int
    length: int


def plane_slices(wanted: Sequence[tuple[int, str]]) -> Iterator[PlaneSlice]:
    """Where the planes of (elements, storage) pairs in directory order stand, in the order of the section."""
    start = 0
    for storage in STORAGES:
        indexes = [i for i, (_, kind) in enumerate(wanted) if kind == storage]
        for plane in range(ITEM_BYTES[storage]):
            for i in indexes:
                yield PlaneSlice(i, plane, start, wanted[i][0])
                start += wanted[i][0]


def to_storage(values: np.ndarray, storage: str) -> np.ndarray:
    """Unsigned words of float32 values rounded (half to even) to a storage: uint32 for float32, else uint16."""
    values = np.ascontiguousarray(values, np.float32).ravel()
    if storage == "float32":
        return values.view(np.uint32)
    if storage == "float16":
        return values.astype(np.float16).view(np.uint16)
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_storage(words: np.ndarray, storage: str) -> np.ndarray:
    """float32 values of storage words; exact inverse of the rounded values."""
    if storage == "float32":
        return words.astype(np.uint32).view(np.float32)
    if storage == "float16":
        return words.astype(np.uint16).view(np.float16).astype(np.float32)
    return (words.astype(np.uint32) << 16).view(np.float32)


def encode_raw_planes(arrays: Sequence[tuple[np.ndarray, str]]) -> bytes:
    """Content of the RAW section for (values, storage) pairs in directory order."""
    parts = []
    for storage in STORAGES:
        words = [to_storage(values, kind) for values, kind in arrays if kind == storage]
        if words:
            joined = np.concatenate(words)
            parts += [
                (joined >> (8 * plane)).astype(np.uint8).tobytes() for plane in reversed(range(ITEM_BYTES[storage]))
            ]
    return b"".join(parts)


def decode_raw_planes(data: bytes, wanted: Sequence[tuple[int, str]]) -> list[np.ndarray]:
    """float32 vectors for (elements, storage) pairs in directory order.

    Raises MalformedArtifact [R-RAW-2] when the section's size is not exactly theirs, InvalidArtifact [R-RAW-3] for a
    value that is not finite.
    """
    expected = sum(elements * ITEM_BYTES[storage] for elements, storage in wanted)
    if len(data) != expected:
        raise MalformedArtifact(
            f"{len(data)} bytes, the directory needs {expected}", rule="R-RAW-2", offset=0, where="raw"
        )
    results: list[np.ndarray] = [np.empty(0, np.float32)] * len(wanted)
    planes, position = np.frombuffer(data, np.uint8), 0
    for storage in STORAGES:
        indexes, item = [i for i, (_, kind) in enumerate(wanted) if kind == storage], ITEM_BYTES[storage]
        total, first = sum(wanted[i][0] for i in indexes), position
        for i in indexes:
            elements = wanted[i][0]
            words = np.empty((elements, item), np.uint8)  # little-endian
            for plane in range(item):
                start = first + plane * total
                words[:, item - 1 - plane] = planes[start : start + elements]
            results[i] = from_storage(words.reshape(-1).view(f"<u{item}"), storage)
            if not np.isfinite(results[i]).all():
                raise InvalidArtifact(f"a {storage} value that is not finite", rule="R-RAW-3", where="raw")
            first += elements
        position += item * total
    return results
