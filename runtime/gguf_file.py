"""The head of a GGUF file: its metadata, and where each tensor stands. No tensor is decoded here.

Strategy: one pass over the head, every count held against the bytes that are left before anything is
made of it, so that a short file cannot ask for much. It lives in the runtime since a tokenizer may come
out of such a file, too. Source: ggml-org/ggml, docs/gguf.md, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BytecapError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
HEAD = struct.Struct("<4sIQQ")
NUMBERS = {0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 10: "<u8", 11: "<i8", 12: "<f8"}
FLOAT32, BOOL, STRING, ARRAY = 6, 7, 8, 9
DIMENSIONS = 4  # what ggml has
ARRAY_DEPTH = 4
ALIGNMENT_KEY, ALIGNMENT = "general.alignment", 32
MOST_ALIGNMENT = 1 << 20


class GgufDamaged(BytecapError):
    """The bytes are not those of a whole GGUF file; the message says what is wrong, and the caller names the file."""


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """Where a tensor stands.

    shape : tuple    as numpy has it, the longest stride first: GGUF's own order reversed
    kind : int       ggml's number of the type
    offset : int     of its first byte in the file
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class GgufFile:
    """A file opened.

    data : buffer of the whole file, mapped; `metadata` has numbers, bools and strings, and of arrays a numpy array of
    numbers or a list of strings
    """

    version: int
    metadata: Mapping[str, object]
    tensors: tuple[GgufTensor, ...]
    data: memoryview


def is_gguf(path: Path) -> bool:
    """Whether the first bytes of a file are those of GGUF."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_gguf(path: Path) -> GgufFile:
    """Map a file and read its head. GgufDamaged for what is not whole, OSError for what cannot be opened."""
    with path.open("rb") as file:
        if not file.read(1):
            raise GgufDamaged("it is empty")
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return parse_gguf(data)


def parse_gguf(data: memoryview) -> GgufFile:
    """The head of the bytes of a whole file."""
    reader = _Reader(data)
    magic, version, tensors, pairs = HEAD.unpack(reader.take(HEAD.size))
    if magic != MAGIC:
        raise GgufDamaged("it does not begin with GGUF")
    if version not in VERSIONS:
        turned = int.from_bytes(version.to_bytes(4, "little"), "big")
        how = " in big-endian order" if turned in VERSIONS else ""
        raise GgufDamaged(f"it is of version {turned if how else version}{how}; known are 2 and 3, little-endian")
    reader.expect(pairs, 13, "metadata")
    metadata = {}
    for _ in range(pairs):
        name = reader.string()
        metadata[name] = reader.value(reader.number("<u4"))
    reader.expect(tensors, 24, "tensors")
    directory = [reader.tensor() for _ in range(tensors)]
    alignment = metadata.get(ALIGNMENT_KEY, ALIGNMENT)
    if not isinstance(alignment, int) or not 1 <= alignment <= MOST_ALIGNMENT:
        raise GgufDamaged(f"its alignment is {alignment!r}")
    start = -(-reader.at // alignment) * alignment
    if len({tensor.name for tensor in directory}) != len(directory):
        raise GgufDamaged("two of its tensors have the same name")
    placed = (GgufTensor(t.name, t.shape, t.kind, t.offset + start) for t in directory)
    return GgufFile(version, metadata, tuple(placed), data)


class _Reader:
    """A place in the bytes; every read is checked against what is left."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> memoryview:
        if count > len(self.data) - self.at:
            raise GgufDamaged(f"it ends early, in its head: {count:,} bytes are needed at {self.at:,}")
        taken = self.data[self.at : self.at + count]
        self.at += count
        return taken

    def expect(self, count: int, least: int, what: str) -> None:
        """Refuse a count of things of at least so many bytes that the file cannot hold."""
        if count > (len(self.data) - self.at) // least:
            raise GgufDamaged(f"it counts {count:,} {what}, more than its {len(self.data):,} bytes can hold")

    def number(self, kind: str) -> int:
        return int(np.frombuffer(self.take(int(kind[2])), kind)[0])

    def string(self) -> str:
        count = self.number("<u8")
        self.expect(count, 1, "bytes of a text")
        try:
            return bytes(self.take(count)).decode("utf-8", "surrogateescape")
        except UnicodeDecodeError as error:
            raise GgufDamaged(f"a text at {self.at:,} is not UTF-8") from error

    def value(self, kind: int, depth: int = 0) -> object:
        if kind in NUMBERS:
            number = np.frombuffer(self.take(int(NUMBERS[kind][2])), NUMBERS[kind])[0]
            return float(str(number)) if kind == FLOAT32 else number.item()  # 1e-05, as the one who wrote it meant
        if kind == BOOL:
            return bool(self.number("<u1"))
        if kind == STRING:
            return self.string()
        if kind == ARRAY and depth < ARRAY_DEPTH:
            return self.array(depth + 1)
        raise GgufDamaged(f"a value at {self.at:,} is of the unknown kind {kind}")

    def array(self, depth: int) -> object:
        kind, count = self.number("<u4"), self.number("<u8")
        if kind in NUMBERS or kind == BOOL:
            dtype = np.dtype(NUMBERS.get(kind, "<u1"))
            self.expect(count, dtype.itemsize, "numbers")
            return np.frombuffer(self.take(count * dtype.itemsize), dtype).copy()
        self.expect(count, 8, "values")
        return [self.value(kind, depth) for _ in range(count)]

    def tensor(self) -> GgufTensor:
        """One entry of the directory; its offset counts from the start of the tensors."""
        name, dimensions = self.string(), self.number("<u4")
        if not 1 <= dimensions <= DIMENSIONS:
            raise GgufDamaged(f"{name!r} has {dimensions} dimensions; ggml has at most {DIMENSIONS}")
        shape = tuple(self.number("<u8") for _ in range(dimensions))[::-1]
        return GgufTensor(name, shape, self.number("<u4"), self.number("<u8"))
