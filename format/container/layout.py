"""The fixed-size records of an artifact: header, section entry, header checksum (spec/container.md, chapters 1 and 2).

Strategy: each record is declared once, with `construct`; reading, writing and the annotated map all come from these
declarations, so they cannot disagree. Only fixed-size fields are declared here: numbers of variable length come from
cursor.py and compressed bytes from bytes_codecs.py, which are bounded; construct's own are not. A record is parsed from
exactly as many bytes as it has, and every bit pattern is a value of its fields, so parsing cannot fail.
"""

from __future__ import annotations

from construct import Bytes, Construct, Int8ul, Int32ul, Struct

MAGIC = b"\x89BCAP\r\n\x1a"  # not ASCII, not UTF-8, broken by newline translation and by text-mode end of file
MAJOR_VERSION, MINOR_VERSION = 1, 3  # the newest minor version; older ones of the same major version are read

HEADER = Struct(
    "magic" / Bytes(len(MAGIC)) * "89 42 43 41 50 0d 0a 1a, what tells an artifact from any other file",
    "major_version" / Int8ul * "format version, major part",
    "minor_version" / Int8ul * "format version, minor part",
    "section_count" / Int8ul * "entries in the section table",
    "reserved" / Int8ul * "always zero",
)

SECTION_ENTRY = Struct(
    "id" / Int8ul * "which section; 128 and above are ancillary",
    "codec" / Int8ul * "0 stored, 1 zstd, 2 brotli",
    "stored_length" / Int32ul * "bytes in the file",
    "decoded_length" / Int32ul * "bytes after decompression",
    "checksum" / Int32ul * "CRC-32 of the stored bytes",
)

HEADER_CHECKSUM = Struct("header_checksum" / Int32ul * "CRC-32 of everything before it")

HEADER_BYTES = HEADER.sizeof()
SECTION_ENTRY_BYTES = SECTION_ENTRY.sizeof()
CHECKSUM_BYTES = HEADER_CHECKSUM.sizeof()


def table_end(section_count: int) -> int:
    """Offset at which the first section starts: just after header, entries and their checksum."""
    return HEADER_BYTES + section_count * SECTION_ENTRY_BYTES + CHECKSUM_BYTES


def field_offset(record: Construct, name: str) -> int:
    """Offset in bytes of a field from the start of its record."""
    offset = 0
    for field in record.subcons:
        if field.name == name:
            return offset
        offset += field.sizeof()
    raise KeyError(name)
