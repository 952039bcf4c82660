"""One file of a compile's state: nested plain values and arrays, believed only when every byte of it is as written.

Strategy: 8 bytes of magic, the length of a JSON head, the head (the key of what was computed, and the values with a
number in place of each array), the arrays one after the other, and a SHA-256 of everything before it. The file is
written beside its place and takes its name when it is whole (files/output.py). A reader checks the digest before it
looks at anything else, so that a damaged or half-written file is only ever one thing: not there. Arrays are mapped,
not loaded. No code is in it, and none is run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from ...files.output import partial_output

MAGIC = b"BCAPWRK1"
ALIGNMENT = 64
PIECE = 1 << 24  # bytes that are hashed at once
ARRAY = "array"  # the key of a mapping that stands for an array, which no other mapping may have alone
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "float32", "float64")

State = Any  # None, bool, int, float, str, arrays, and lists and mappings by text of them


class Kept(Protocol):
    """An array that is elsewhere, such as a scratch file's."""

    def load(self) -> np.ndarray: ...


def write_state(path: Path, key: str, state: State) -> int:
    """Write a state under its key, whole or not at all, and return its bytes; OutputError when the disk is full."""
    arrays: list[np.ndarray | Kept] = []
    values = _without_arrays(state, arrays)
    places, end = [], 0
    for array in arrays:
        shape, dtype = array.shape, np.dtype(array.dtype)  # type: ignore[union-attr]
        end += -end % ALIGNMENT
        places.append([str(dtype), list(shape), end])
        end += int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    head = json.dumps({"key": key, "state": values, "arrays": places}).encode()
    head += b" " * (-(len(MAGIC) + 8 + len(head)) % ALIGNMENT)
    with partial_output(path, force=True) as partial, partial.open("wb") as file:
        digest = _Hashed(file)
        digest.write(MAGIC + len(head).to_bytes(8, "little") + head)
        end = 0
        for array in arrays:
            found = np.ascontiguousarray(array if isinstance(array, np.ndarray) else array.load())
            digest.write(bytes(-end % ALIGNMENT))
            end += -end % ALIGNMENT + found.nbytes
            digest.write(memoryview(found.reshape(-1).view(np.uint8)))
        file.write(digest.sha256.digest())
        return file.tell()


def read_state(path: Path, key: str) -> State:
    """The state in a file; ValueError, which says why, when it is damaged, half-written, of another key or no state.

    Arrays are read-only views of the file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            _check_digest(file, size)
            file.seek(len(MAGIC))
            length = int.from_bytes(file.read(8), "little")
            head = json.loads(file.read(length))
        if head["key"] != key:
            raise ValueError("it is of other inputs")
        start = len(MAGIC) + 8 + length
        return _with_arrays(head["state"], [_mapped(path, start, *place) for place in head["arrays"]])
    except (OSError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(f"it cannot be read ({error})") from error


class _Hashed:
    """A file that is hashed as it is written."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.sha256 = file, hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        self.file.write(data)
        self.sha256.update(data)


def _check_digest(file: BinaryIO, size: int) -> None:
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError("it is no state of a compile")
    digest, left = hashlib.sha256(MAGIC), size - len(MAGIC) - 32
    while left > 0:
        piece = file.read(min(PIECE, left))
        if not piece:
            raise ValueError("it ends early")
        digest.update(piece)
        left -= len(piece)
    if left < 0 or file.read() != digest.digest():
        raise ValueError("it is damaged or half-written")


def _mapped(path: Path, start: int, dtype: str, shape: Sequence[int], offset: int) -> np.ndarray:
    if dtype not in DTYPES:
        raise ValueError(f"it has an array of {dtype}")
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", start + offset, tuple(shape))


def _without_arrays(state: State, arrays: list[np.ndarray | Kept]) -> State:
    """The state with the number of each array in its place."""
    if isinstance(state, np.ndarray) or hasattr(state, "load"):
        arrays.append(state)
        return {ARRAY: len(arrays) - 1}
    if isinstance(state, Mapping):
        return {name: _without_arrays(value, arrays) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [_without_arrays(value, arrays) for value in state]
    return state.item() if isinstance(state, np.generic) else state


def _with_arrays(state: State, arrays: Sequence[np.ndarray]) -> State:
    if isinstance(state, dict):
        if set(state) == {ARRAY}:
            return arrays[state[ARRAY]]
        return {name: _with_arrays(value, arrays) for name, value in state.items()}
    return [_with_arrays(value, arrays) for value in state] if isinstance(state, list) else state
