"""Bytes of an artifact: sections with their checksums, and the fields inside them (spec/container.md).

Strategy: a section is read through an iterator over its bytes, from which every field takes what it needs. Sections are
stored as they are: the packer writes them so, since the libraries that other codecs need may not be there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import islice

HEADER_BYTES, ENTRY_BYTES, CHECKSUM_BYTES = 12, 14, 4
FIRST_ANCILLARY = 128


def read_sections(data: bytes) -> dict[int, bytes]:
    """Section id -> content. ValueError for bytes that are not what their checksum says, or compressed."""
    end = HEADER_BYTES + ENTRY_BYTES * data[10]
    check_bytes(data[:end], *struct.unpack_from("<I", data, end))
    start, sections = end + CHECKSUM_BYTES, {}
    for number, codec, stored, _, checksum in struct.iter_unpack("<BBIII", data[HEADER_BYTES:end]):
        sections[number] = data[start : start + stored]
        check_bytes(sections[number], checksum)
        if codec and number < FIRST_ANCILLARY:
            raise ValueError("the artifact has compressed sections: pack it first")
        start += stored
    return sections


def check_bytes(data: bytes, checksum: int) -> None:
    """ValueError unless the CRC-32 is this one."""
    if zlib.crc32(data) != checksum:
        raise ValueError("damaged artifact")


def take_bytes(fields: Iterator[int], count: int) -> bytes:
    """The next bytes."""
    return bytes(islice(fields, count))


def take_varint(fields: Iterator[int]) -> int:
    """Seven bits a byte, least significant first."""
    digit = next(fields)
    return digit if digit < 128 else digit - 128 + 128 * take_varint(fields)


def take_signed(fields: Iterator[int]) -> int:
    """A zigzag varint."""
    value = take_varint(fields)
    return value >> 1 ^ -(value & 1)


def take_float(fields: Iterator[int]) -> float:
    """A binary32 number."""
    return struct.unpack("<f", take_bytes(fields, 4))[0]
