"""Reads safetensors files: a header in JSON, then the tensors' bytes one after the other.

Strategy: every number of the header is held against the file's length before anything is made of it, and tensors are
decoded one at a time. Source: huggingface/safetensors, README, "Format".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ...errors import CheckpointError
from ...files.nested_text import parse_json
from .stored import MOST_DIMENSIONS, Stored, stored_bytes

MOST_HEADER_BYTES = 100_000_000
MOST_NUMBERS = 1 << 59  # that numpy can name, with sides of 0 counted as 1
TYPES = {  # bits of one number, and torch's name
    "F32": (32, "float32"),
    "F16": (16, "float16"),
    "BF16": (16, "bfloat16"),
    "F64": (64, "float64"),
    "F8_E4M3": (8, "float8_e4m3fn"),
    "F8_E5M2": (8, "float8_e5m2"),
    "BOOL": (8, "bool"),
    "U8": (8, "uint8"),
    "I8": (8, "int8"),
    "U16": (16, "uint16"),
    "I16": (16, "int16"),
    "U32": (32, "uint32"),
    "I32": (32, "int32"),
    "U64": (64, "uint64"),
    "I64": (64, "int64"),
}


def is_safetensors(data: bytes | memoryview) -> bool:
    """Whether the first bytes are a length and the start of a header."""
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= MOST_HEADER_BYTES


def read_safetensors(data: bytes | memoryview, path: Path) -> dict[str, Stored]:
    """The tensors of a file, by name in alphabetical order. CheckpointError when it is cut or damaged."""
    return {
        name: stored_bytes(content, dtype, shape) for name, dtype, shape, content in safetensors_entries(data, path)
    }


def safetensors_entries(data: bytes | memoryview, path: Path) -> Iterator[tuple[str, str, tuple[int, ...], memoryview]]:
    """(name, torch's name of the type or the file's own, shape, bytes) of every tensor; nothing is decoded.

    The whole header is checked before the first one is given. CheckpointError as above.
    """
    length = int.from_bytes(data[:8], "little")
    content = memoryview(data)[8 + length :]
    try:
        header = parse_json(bytes(data[8 : 8 + length]))
    except ValueError as error:
        raise _damaged(path, f"its header is no JSON ({error})") from error
    header.pop("__metadata__", None)
    found, places = [], []
    for name in sorted(header):
        kind, shape, start, end = _entry(header[name], name, path)
        bits, dtype = TYPES.get(kind, (0, kind))
        if not 0 <= start <= end <= len(content) or (bits and (end - start) * 8 != math.prod(shape) * bits):
            raise _damaged(path, f"{name!r} is not where its {len(content):,} bytes of tensors are")
        found.append((name, dtype, shape, content[start:end]))
        places.append((start, end))
    _check_places(places, len(content), path)
    yield from found


def safetensors_metadata(data: bytes | memoryview, path: Path) -> Mapping[str, object]:
    """What the header says beside the tensors; empty for nothing. CheckpointError for a header that is no JSON."""
    length = int.from_bytes(data[:8], "little")
    try:
        found = parse_json(bytes(data[8 : 8 + length])).get("__metadata__")
    except ValueError as error:
        raise _damaged(path, f"its header is no JSON ({error})") from error
    return found if isinstance(found, Mapping) else {}


def _check_places(places: Sequence[tuple[int, int]], length: int, path: Path) -> None:
    """Tensors stand one right behind the other, as the format says: none overlap, and no bytes are without a tensor."""
    reached = 0
    for start, end in sorted(places):
        if start != reached:
            how = "overlap" if start < reached else f"leave {start - reached:,} bytes between them"
            raise _damaged(path, f"two of its tensors {how}")
        reached = end
    if reached != length:
        raise _damaged(path, f"{length - reached:,} bytes behind the last tensor")


def _entry(entry: object, name: str, path: Path) -> tuple[str, tuple[int, ...], int, int]:
    """(type, shape, start, end) of one line of the header."""
    try:
        if not isinstance(entry, Mapping):
            raise TypeError
        kind, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        if not isinstance(kind, str) or any(type(n) is not int or n < 0 for n in (*shape, start, end)):
            raise TypeError
        if len(shape) > MOST_DIMENSIONS or math.prod(n or 1 for n in shape) > MOST_NUMBERS:
            raise _damaged(path, f"{name!r} has {len(shape):,} dimensions, or too large ones")
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"{name!r} has no type, shape and place") from error
    return kind, shape, start, end


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(f"{path} is not a whole safetensors file: {what}; copy or write it again")
