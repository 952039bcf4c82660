"""What a test vector is, and containers and artifacts assembled by hand so that every field can be wrong on purpose.

Strategy: no writer of the package is used, so a vector can hold what a writer refuses, and its bytes do not change with
a compression library. Sections are stored plainly unless a vector gives compressed bytes literally.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from bytecap.errors import ArtifactError

MAGIC = b"\x89BCAP\r\n\x1a"
STORED, ZSTD, BROTLI = 0, 1, 2
PROGRAM, DIRECTORY, RAW, CODES, DIGEST, PROVENANCE, IDENTITY = 1, 2, 3, 4, 5, 128, 129


@dataclass(frozen=True)
class Vector:
    """One file: its name without suffix, the level at which a reader has to decide it, and what must come out.

    A good file has a `sha256`, another one `error` and `rule`, and the `offset` of the field at fault when one is.
    """

    name: str
    level: str
    data: bytes
    says: str
    sha256: str | None = None
    error: type[ArtifactError] | None = None
    rule: str | None = None
    offset: int | None = None


@dataclass(frozen=True)
class Row:
    """A section and its table entry; a length or checksum that is not given is the true one."""

    id: int
    content: bytes = b""
    codec: int = STORED
    stored_length: int | None = None
    decoded_length: int | None = None
    checksum: int | None = None

    def entry(self) -> bytes:
        stored = len(self.content) if self.stored_length is None else self.stored_length
        decoded = stored if self.decoded_length is None else self.decoded_length
        checksum = zlib.crc32(self.content) if self.checksum is None else self.checksum
        return struct.pack("<BBIII", self.id, self.codec, stored, decoded, checksum)


def container(
    rows: Sequence[Row],
    *,
    magic: bytes = MAGIC,
    version: tuple[int, int] = (1, 0),
    reserved: int = 0,
    checksum: int | None = None,
) -> bytes:
    """A file of the rows in their order; `checksum` replaces the true one of the header."""
    head = magic + bytes([*version, len(rows), reserved]) + b"".join(row.entry() for row in rows)
    checksum = zlib.crc32(head) if checksum is None else checksum
    return head + checksum.to_bytes(4, "little") + b"".join(row.content for row in rows)


def varint(value: int) -> bytes:
    head = []
    while value > 127:
        head.append(value & 127 | 128)
        value >>= 7
    return bytes([*head, value])


def zigzag(value: int) -> bytes:
    return varint(2 * value if value >= 0 else -2 * value - 1)


def text(value: str) -> bytes:
    return varint(len(value.encode())) + value.encode()


def real(value: float) -> bytes:
    return struct.pack("<f", value)


def entry(name: str, shape: Sequence[int], *terms: bytes, dtype: int = 0, dimensions: int | None = None) -> bytes:
    """A record of the directory."""
    count = len(shape) if dimensions is None else dimensions
    return text(name) + bytes([dtype, count]) + b"".join(map(varint, shape)) + bytes([len(terms)]) + b"".join(terms)


def directory(*entries: bytes) -> bytes:
    return varint(len(entries)) + b"".join(entries)


def codes(*payloads: bytes, codec: int = 1) -> bytes:
    """The CODES section."""
    return varint(len(payloads)) + b"".join(bytes([codec]) + varint(len(p)) for p in payloads) + b"".join(payloads)


def planes(values: Sequence[float]) -> bytes:
    """float32 values in byte planes, most significant first."""
    words = [struct.pack(">f", value) for value in values]
    return b"".join(bytes(word[plane] for word in words) for plane in range(4))


def digest(*tensors: tuple[str, Sequence[int], Sequence[float]]) -> bytes:
    """The DIGEST section of (name, shape, values) in directory order."""
    state = hashlib.sha256()
    for name, shape, values in tensors:
        head = (len(name.encode()), len(shape), shape)
        state.update(struct.pack("<I", head[0]) + name.encode() + struct.pack(f"<I{len(shape)}I", head[1], *shape))
        state.update(struct.pack(f"<{len(values)}f", *values))
    return state.digest()


def artifact(
    program: bytes,
    directory: bytes,
    raw: bytes = b"",
    codes: bytes = b"\0",
    digest: bytes = bytes(32),
    provenance: bytes | None = None,
    identity: bytes | None = None,
    minor_version: int = 0,
) -> bytes:
    """A file with these decoded sections, all stored plainly."""
    rows = [Row(PROGRAM, program), Row(DIRECTORY, directory), Row(RAW, raw), Row(CODES, codes), Row(DIGEST, digest)]
    if provenance is not None:
        rows.append(Row(PROVENANCE, provenance))
    if identity is not None:
        rows.append(Row(IDENTITY, identity))
    return container(rows, version=(1, minor_version))
