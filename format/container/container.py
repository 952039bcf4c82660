"""The container: magic, version, section table, checksums, sections (spec/container.md).

Strategy: `read_container` makes its checks in the order of the specification and finishes all that need no
decompression (sizes, codecs, limits, checksums, the end of the file) before anything is decompressed. A section keeps
its stored bytes, so that writing what was read gives the same file, byte for byte.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...errors import (
    ArtifactError,
    ChecksumMismatch,
    LimitExceeded,
    MalformedArtifact,
    NotAnArtifact,
    TruncatedArtifact,
    UnsupportedArtifact,
)
from .bytes_codecs import BYTES_CODECS, Stored, decode_bytes, encode_best
from .layout import (
    CHECKSUM_BYTES,
    HEADER,
    HEADER_BYTES,
    HEADER_CHECKSUM,
    MAGIC,
    MAJOR_VERSION,
    MINOR_VERSION,
    SECTION_ENTRY,
    SECTION_ENTRY_BYTES,
    field_offset,
    table_end,
)
from .limits import DEFAULT_LIMITS, Limits

PROGRAM, DIRECTORY, RAW, CODES, DIGEST = 1, 2, 3, 4, 5
FIRST_ANCILLARY = 128
PROVENANCE, IDENTITY = 128, 129

SECTION_NAMES = {
    PROGRAM: "program",
    DIRECTORY: "directory",
    RAW: "raw",
    CODES: "codes",
    DIGEST: "digest",
    PROVENANCE: "provenance",
    IDENTITY: "identity",
}
REQUIRED_SECTIONS = (PROGRAM, DIRECTORY, RAW, CODES, DIGEST)
UNCOMPRESSED_SECTIONS = frozenset({CODES, DIGEST})
DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Section:
    """One section: `id`, wire id of its bytes codec, the bytes in the file and what they decompress to."""

    id: int
    codec: int
    stored: bytes = field(repr=False)
    decoded: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SectionEntry:
    """One row of the section table and where things are: `offset` of the row, `start` of the section's bytes."""

    id: int
    codec: int
    stored_length: int
    decoded_length: int
    checksum: int
    offset: int
    start: int

    @property
    def where(self) -> str:
        return f"section {section_name(self.id)}"

    def fail(self, kind: type[ArtifactError], field: str, message: str, rule: str) -> ArtifactError:
        """An error at one field of the row."""
        return kind(message, rule=rule, offset=self.offset + field_offset(SECTION_ENTRY, field), where=self.where)


def section_name(section_id: int) -> str:
    """Name of a section as tools print it; the number when this version knows no name."""
    return SECTION_NAMES.get(section_id, str(section_id))


def make_section(section_id: int, decoded: bytes, *, compress: bool = True) -> Section:
    """A section with its stored bytes: the best codec, or plainly stored without `compress`.

    CODES and DIGEST are always stored (R-SEC-4). Deterministic for one version of the compression libraries.
    """
    if compress and section_id not in UNCOMPRESSED_SECTIONS:
        return Section(section_id, *encode_best(decoded), decoded)
    return Section(section_id, Stored.wire_id, decoded, decoded)


def write_container(sections: Sequence[Section], minor_version: int = 0) -> bytes:
    """The file of sections in the given order; inverse of `read_container`, bit-exact.

    It writes what it is given: that ids ascend, all required sections are there and the minor version is the one that
    the program needs is checked when the file is read.
    """
    fields = {
        "magic": MAGIC,
        "major_version": MAJOR_VERSION,
        "minor_version": minor_version,
        "section_count": len(sections),
        "reserved": 0,
    }
    head = HEADER.build(fields) + b"".join(map(_build_entry, sections))
    checksum = HEADER_CHECKSUM.build({"header_checksum": zlib.crc32(head)})
    return b"".join([head, checksum, *(section.stored for section in sections)])


def _build_entry(section: Section) -> bytes:
    return SECTION_ENTRY.build(
        {
            "id": section.id,
            "codec": section.codec,
            "stored_length": len(section.stored),
            "decoded_length": len(section.decoded),
            "checksum": zlib.crc32(section.stored),
        }
    )


def read_container(data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS) -> tuple[Section, ...]:
    """The sections of an artifact, decompressed.

    Whatever the bytes, returns sections that obey every R-HDR, R-SEC and R-BYT rule or raises ArtifactError with the
    rule and the offset in the file. Memory: the file again, plus at most about the decoded lengths that `limits`
    allow (`section_bytes` for RAW, `metadata_bytes` for each other compressible section), plus brotli's 16 MiB window.
    """
    data = memoryview(data).cast("B")
    return tuple(_read_section(data, entry) for entry in checked_section_table(data, limits))


def read_minor_version(data: bytes | memoryview) -> int:
    """The minor version that the header of a file names which `read_container` accepts."""
    return HEADER.parse(memoryview(data).cast("B")[:HEADER_BYTES]).minor_version


def checked_section_table(data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS) -> tuple[SectionEntry, ...]:
    """The section table of a file in which every checksum is right; nothing is decompressed.

    Raises ArtifactError for what `read_container` raises it for before it decompresses.
    """
    data = memoryview(data).cast("B")
    entries = read_section_table(data, limits)
    for entry in entries:
        if zlib.crc32(_stored(data, entry)) != entry.checksum:
            message = f"CRC-32 of its {entry.stored_length} bytes is not the stored {entry.checksum:08x}"
            raise ChecksumMismatch(message, rule="R-SEC-10", offset=entry.start, where=entry.where)
    return entries


def _stored(data: memoryview, entry: SectionEntry) -> memoryview:
    return data[entry.start : entry.start + entry.stored_length]


def _read_section(data: memoryview, entry: SectionEntry) -> Section:
    stored = bytes(_stored(data, entry))
    decoded = decode_bytes(entry.codec, stored, entry.decoded_length, entry.where, entry.start)
    return Section(entry.id, entry.codec, stored, decoded)


def read_section_table(data: memoryview, limits: Limits) -> tuple[SectionEntry, ...]:
    """Header and section table, checked against each other, the limits and the file's length; nothing
    is decompressed.
    """
    entries = _section_entries(data, limits)
    _check_end(entries, _end(entries), len(data))
    return entries


def declared_length(head: bytes | memoryview, limits: Limits = DEFAULT_LIMITS) -> int:
    """Bytes that a file has which begins with `head`, its header and section table at least.

    Raises ArtifactError for what `read_container` raises it for before it looks behind the table.
    """
    return _end(_section_entries(memoryview(head).cast("B"), limits))


def _end(entries: Sequence[SectionEntry]) -> int:
    return entries[-1].start + entries[-1].stored_length


def _section_entries(data: memoryview, limits: Limits) -> tuple[SectionEntry, ...]:
    """Header and section table, checked against each other and the limits."""
    count = _read_header(data, limits)
    entries: list[SectionEntry] = []
    start = table_end(count)
    for index in range(count):
        offset = HEADER_BYTES + index * SECTION_ENTRY_BYTES
        fields = SECTION_ENTRY.parse(data[offset : offset + SECTION_ENTRY_BYTES])
        entry = SectionEntry(
            fields.id, fields.codec, fields.stored_length, fields.decoded_length, fields.checksum, offset, start
        )
        _check_kind(entry, entries[-1].id if entries else None)
        _check_lengths(entry, limits)
        entries.append(entry)
        start += entry.stored_length
    _check_required(entries, offset=table_end(count) - CHECKSUM_BYTES)
    return tuple(entries)


def _read_header(data: memoryview, limits: Limits) -> int:
    """The number of sections, after R-HDR-1 to R-HDR-6."""
    found = bytes(data[: len(MAGIC)])
    if found != MAGIC[: len(found)]:
        raise NotAnArtifact(
            f"begins with {found.hex(' ')}, expected {MAGIC.hex(' ')}", rule="R-HDR-1", offset=0, where="header"
        )
    _require(data, HEADER_BYTES, "the header")
    header = HEADER.parse(data[:HEADER_BYTES])
    if header.major_version != MAJOR_VERSION or header.minor_version > MINOR_VERSION:
        known = f"{MAJOR_VERSION}.0 to {MAJOR_VERSION}.{MINOR_VERSION}"
        message = f"format version {header.major_version}.{header.minor_version}, this reader knows {known}"
        raise UnsupportedArtifact(message, rule="R-HDR-3", offset=field_offset(HEADER, "major_version"), where="header")
    count, end = header.section_count, table_end(header.section_count)
    _require(data, end, f"the header and a table of {count} sections")
    checksum_offset = end - CHECKSUM_BYTES
    stored = HEADER_CHECKSUM.parse(data[checksum_offset:end]).header_checksum
    if zlib.crc32(data[:checksum_offset]) != stored:
        message = f"CRC-32 of header and section table is not the stored {stored:08x}"
        raise ChecksumMismatch(message, rule="R-HDR-4", offset=checksum_offset, where="header")
    if header.reserved != 0:
        message = f"reserved byte is {header.reserved}, expected 0"
        raise MalformedArtifact(message, rule="R-HDR-5", offset=field_offset(HEADER, "reserved"), where="header")
    if count > limits.sections:
        message = f"{count} sections, the limit is {limits.sections}"
        raise LimitExceeded(message, rule="R-HDR-6", offset=field_offset(HEADER, "section_count"), where="header")
    return count


def _require(data: memoryview, length: int, what: str) -> None:
    """[R-HDR-2]"""
    if len(data) < length:
        message = f"the file ends after {len(data)} bytes, {what} takes {length}"
        raise TruncatedArtifact(message, rule="R-HDR-2", offset=len(data), where="header")


def _check_kind(entry: SectionEntry, previous: int | None) -> None:
    """R-SEC-1 to R-SEC-4: id and codec."""
    if previous is not None and entry.id <= previous:
        message = f"section id {entry.id} after {previous}, ids must ascend"
        raise entry.fail(MalformedArtifact, "id", message, "R-SEC-1")
    if entry.id < FIRST_ANCILLARY and entry.id not in REQUIRED_SECTIONS:
        message = f"critical section {entry.id}, this reader knows {REQUIRED_SECTIONS[0]} to {REQUIRED_SECTIONS[-1]}"
        raise entry.fail(UnsupportedArtifact, "id", message, "R-SEC-2")
    if entry.codec not in BYTES_CODECS:
        message = f"codec {entry.codec}, this reader knows {sorted(BYTES_CODECS)}"
        raise entry.fail(UnsupportedArtifact, "codec", message, "R-SEC-3")
    if entry.id in UNCOMPRESSED_SECTIONS and entry.codec != Stored.wire_id:
        raise entry.fail(MalformedArtifact, "codec", f"codec {entry.codec} where bytes are stored plainly", "R-SEC-4")


def _check_lengths(entry: SectionEntry, limits: Limits) -> None:
    """R-SEC-5, R-SEC-6 and R-DIG-2: stored and decoded length."""
    stored, decoded = entry.stored_length, entry.decoded_length
    if entry.codec == Stored.wire_id and stored != decoded:
        message = f"{stored} bytes stored plainly, {decoded} declared"
        raise entry.fail(MalformedArtifact, "decoded_length", message, "R-SEC-5")
    if entry.codec != Stored.wire_id and stored >= decoded:
        message = f"{decoded} bytes take {stored} compressed, which must be fewer"
        raise entry.fail(MalformedArtifact, "decoded_length", message, "R-SEC-5")
    limit = limits.section_bytes if entry.id in (RAW, CODES) else limits.metadata_bytes
    if decoded > limit:
        message = f"{decoded} bytes, the limit is {limit}"
        raise entry.fail(LimitExceeded, "decoded_length", message, "R-SEC-6")
    if entry.id == DIGEST and decoded != DIGEST_BYTES:
        message = f"a digest of {decoded} bytes, expected {DIGEST_BYTES}"
        raise entry.fail(MalformedArtifact, "decoded_length", message, "R-DIG-2")


def _check_required(entries: Sequence[SectionEntry], offset: int) -> None:
    """[R-SEC-7]; `offset` is the end of the table, where the missing entry is noticed."""
    missing = sorted(set(REQUIRED_SECTIONS) - {entry.id for entry in entries})
    if missing:
        message = f"no section {', '.join(map(section_name, missing))}"
        raise MalformedArtifact(message, rule="R-SEC-7", offset=offset, where="section table")


def _check_end(entries: Sequence[SectionEntry], end: int, length: int) -> None:
    """R-SEC-8 and R-SEC-9: the file ends where its last section does."""
    if length < end:
        cut = next(entry for entry in entries if entry.start + entry.stored_length > length)
        message = f"the file ends after {length} bytes, its sections after {end}"
        raise TruncatedArtifact(message, rule="R-SEC-8", offset=length, where=cut.where)
    if length > end:
        message = f"bytes after the last section, which ends at byte {end}"
        raise MalformedArtifact(message, rule="R-SEC-9", offset=end, where="file")
