"""Test vectors of container.md, chapters 1 to 4. Sections hold arbitrary bytes: the container alone decides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from vector_files import BROTLI, CODES, DIGEST, DIRECTORY, MAGIC, PROGRAM, PROVENANCE, RAW, ZSTD, Row, Vector, container
from zstd_frames import frame, raw_block, repeat_block

from bytecap.errors import (
    ArtifactError,
    ChecksumMismatch,
    LimitExceeded,
    MalformedArtifact,
    NotAnArtifact,
    TruncatedArtifact,
    UnsupportedArtifact,
)

ROWS = (
    Row(PROGRAM, b"the program"),
    Row(DIRECTORY, b"the directory"),
    Row(RAW, b"raw"),
    Row(CODES, b"codes"),
    Row(DIGEST, b"d" * 32),
)
GOOD = container(ROWS)
HEADER, ENTRY = 12, 14
TABLE_END = HEADER + 5 * ENTRY  # of the five rows, where the header checksum starts
FIRST_SECTION = TABLE_END + 4
RAW_START = FIRST_SECTION + len(ROWS[0].content) + len(ROWS[1].content)
ID, CODEC, DECODED_LENGTH = 0, 1, 6

SEVENS = frame(300, repeat_block(300, 7, last=True))
BROTLI_AS = bytes.fromhex("1fe703f825c2a2b1402034")  # 1,000 times the letter a


def field(row: int, offset: int) -> int:
    return HEADER + row * ENTRY + offset


def with_row(index: int, **changes) -> bytes:
    """The good file with fields of one row changed."""
    rows = list(ROWS)
    rows[index] = replace(rows[index], **changes)
    return container(rows)


def good(name: str, rows: Sequence[Row], decoded: Sequence[bytes], says: str, minor_version: int = 0) -> Vector:
    return Vector(
        f"good-container-{name}",
        "container",
        container(rows, version=(1, minor_version)),
        says,
        sha256=hashlib.sha256(b"".join(decoded)).hexdigest(),
    )


def bad(name: str, data: bytes, error: type[ArtifactError], rule: str, offset: int, says: str) -> Vector:
    prefix = "unsupported" if error is UnsupportedArtifact else "bad"
    return Vector(f"{prefix}-{name}", "container", data, says, error=error, rule=rule, offset=offset)


def good_containers() -> Iterator[Vector]:
    contents = [row.content for row in ROWS]
    yield good("stored", ROWS, contents, "All five critical sections, stored plainly.")
    yield good("minor-one", ROWS, contents, "Version 1.1, as far as the container goes.", minor_version=1)
    yield good("minor-two", ROWS, contents, "Version 1.2, as far as the container goes.", minor_version=2)
    yield good("minor-three", ROWS, contents, "Version 1.3, as far as the container goes.", minor_version=3)
    empty = [Row(i) for i in (PROGRAM, DIRECTORY, RAW, CODES)] + [ROWS[4]]
    yield good("empty-sections", empty, [b"d" * 32], "Sections may be empty, as far as the container goes.")
    rows = [
        replace(ROWS[0], content=BROTLI_AS, codec=BROTLI, decoded_length=1000),
        ROWS[1],
        replace(ROWS[2], content=SEVENS, codec=ZSTD, decoded_length=300),
        *ROWS[3:],
    ]
    yield good(
        "compressed",
        rows,
        [b"a" * 1000, contents[1], b"\x07" * 300, *contents[3:]],
        "Brotli, stored and zstd side by side.",
    )
    window = frame(300, repeat_block(299, 7), raw_block(b"\x07", last=True), window=0)
    rows[2] = replace(rows[2], content=window)
    yield good(
        "zstd-window",
        rows,
        [b"a" * 1000, contents[1], b"\x07" * 300, *contents[3:]],
        "A zstd frame of two blocks with the least window.",
    )
    more = [*ROWS, Row(PROVENANCE, b"{}"), Row(200, b"from the future"), Row(255)]
    yield good(
        "ancillary", more, [*contents, b"{}", b"from the future"], "Unknown ancillary sections are kept; one is empty."
    )
    many = [*ROWS, *(Row(i) for i in range(128, 155))]
    yield good("most-sections", many, contents, "As many sections as the default limit allows.")


def header_vectors() -> Iterator[Vector]:
    yield bad(
        "header-text",
        b"hello",
        NotAnArtifact,
        "R-HDR-1",
        0,
        "A file shorter than the magic that does not agree with it.",
    )
    zip_file = container(ROWS, magic=b"PK\x03\x04\x14\0\0\0")
    yield bad(
        "header-other-magic", zip_file, NotAnArtifact, "R-HDR-1", 0, "Another format's magic in front of a good file."
    )
    unix = container(ROWS, magic=b"\x89BCAP\n\x1a\0")
    yield bad("header-newline", unix, NotAnArtifact, "R-HDR-1", 0, "A transfer as text turned CR LF into LF.")
    yield bad(
        "header-late",
        b"\0" + GOOD,
        NotAnArtifact,
        "R-HDR-1",
        0,
        "A good file one byte late: the magic is not searched for.",
    )
    yield bad("header-empty", b"", TruncatedArtifact, "R-HDR-2", 0, "The empty file.")
    yield bad("header-cut-magic", GOOD[:5], TruncatedArtifact, "R-HDR-2", 5, "The file ends in its magic.")
    yield bad("header-cut", GOOD[:11], TruncatedArtifact, "R-HDR-2", 11, "The file ends in its header.")
    cut = GOOD[: TABLE_END + 3]
    yield bad(
        "header-cut-table",
        cut,
        TruncatedArtifact,
        "R-HDR-2",
        len(cut),
        "The file ends one byte before the end of the header checksum.",
    )
    no_table = MAGIC + bytes([1, 0, 255, 0])
    yield bad("header-no-table", no_table, TruncatedArtifact, "R-HDR-2", 12, "The file claims 255 sections and ends.")
    yield bad("header-major", container(ROWS, version=(2, 0)), UnsupportedArtifact, "R-HDR-3", 8, "Version 2.0.")
    yield bad("header-minor-four", container(ROWS, version=(1, 4)), UnsupportedArtifact, "R-HDR-3", 8, "Version 1.4.")
    short = "Version 1.4, and no more than the header: the version comes before the length of the table."
    cut = container(ROWS, version=(1, 4))[:12]
    yield bad("header-minor-four-short", cut, UnsupportedArtifact, "R-HDR-3", 8, short)
    future = MAGIC + b"\x02\0"
    yield bad(
        "header-major-only",
        future + b"\xff\xff",
        UnsupportedArtifact,
        "R-HDR-3",
        8,
        "Version 2.0 is refused before anything after it matters.",
    )
    yield bad(
        "header-checksum",
        container(ROWS, checksum=0),
        ChecksumMismatch,
        "R-HDR-4",
        TABLE_END,
        "The header checksum is 0.",
    )
    damaged = GOOD[:11] + b"\x01" + GOOD[12:]
    yield bad(
        "header-damaged-reserved",
        damaged,
        ChecksumMismatch,
        "R-HDR-4",
        TABLE_END,
        "A damaged reserved byte is damage first.",
    )
    yield bad(
        "header-reserved",
        container(ROWS, reserved=1),
        MalformedArtifact,
        "R-HDR-5",
        11,
        "The reserved byte is 1 and the checksum right.",
    )
    many = container([*ROWS, *(Row(i) for i in range(128, 156))])
    yield bad("header-many-sections", many, LimitExceeded, "R-HDR-6", 10, "One section more than the default limit.")


def table_vectors() -> Iterator[Vector]:
    swapped = container([ROWS[1], ROWS[0], *ROWS[2:]])
    yield bad(
        "table-order", swapped, MalformedArtifact, "R-SEC-1", field(1, ID), "The directory comes before the program."
    )
    twice = container([*ROWS[:3], ROWS[2], *ROWS[3:]])
    yield bad("table-twice", twice, MalformedArtifact, "R-SEC-1", field(3, ID), "RAW occurs twice.")
    ancillary = container([*ROWS, Row(200), Row(199)])
    yield bad(
        "table-ancillary-order",
        ancillary,
        MalformedArtifact,
        "R-SEC-1",
        field(6, ID),
        "Unknown ancillary sections out of order.",
    )
    critical = container([*ROWS, Row(6, b"new")])
    yield bad("table-critical", critical, UnsupportedArtifact, "R-SEC-2", field(5, ID), "A critical section with id 6.")
    last = container([*ROWS, Row(127)])
    yield bad("table-last-critical", last, UnsupportedArtifact, "R-SEC-2", field(5, ID), "127 is the last critical id.")
    zero = container([Row(0), *ROWS])
    yield bad(
        "table-critical-zero", zero, UnsupportedArtifact, "R-SEC-2", field(0, ID), "A critical section with id 0."
    )
    codec = with_row(2, codec=3, decoded_length=4)
    yield bad("table-codec", codec, UnsupportedArtifact, "R-SEC-3", field(2, CODEC), "RAW has codec 3.")
    codec = container([*ROWS, Row(200, b"new", codec=255, decoded_length=9)])
    yield bad(
        "table-ancillary-codec",
        codec,
        UnsupportedArtifact,
        "R-SEC-3",
        field(5, CODEC),
        "An unknown ancillary section has codec 255.",
    )
    packed = with_row(3, content=SEVENS, codec=ZSTD, decoded_length=300)
    yield bad("table-codes-compressed", packed, MalformedArtifact, "R-SEC-4", field(3, CODEC), "CODES is compressed.")
    packed = with_row(4, content=b"d" * 9, codec=BROTLI, decoded_length=32)
    yield bad("table-digest-compressed", packed, MalformedArtifact, "R-SEC-4", field(4, CODEC), "DIGEST is compressed.")
    longer = with_row(2, decoded_length=4)
    yield bad(
        "table-stored-longer",
        longer,
        MalformedArtifact,
        "R-SEC-5",
        field(2, DECODED_LENGTH),
        "Stored plainly, but the lengths differ.",
    )
    no_gain = with_row(2, content=frame(10, raw_block(b"\x07" * 10, last=True)), codec=ZSTD, decoded_length=10)
    yield bad(
        "table-no-gain",
        no_gain,
        MalformedArtifact,
        "R-SEC-5",
        field(2, DECODED_LENGTH),
        "Compression made the section longer.",
    )
    equal = with_row(2, content=frame(13, repeat_block(13, 7, last=True)), codec=ZSTD, decoded_length=13)
    yield bad(
        "table-even",
        equal,
        MalformedArtifact,
        "R-SEC-5",
        field(2, DECODED_LENGTH),
        "Compression left the section as long as it was.",
    )
    nothing = with_row(2, content=b"", codec=BROTLI, decoded_length=0)
    yield bad(
        "table-empty-compressed",
        nothing,
        MalformedArtifact,
        "R-SEC-5",
        field(2, DECODED_LENGTH),
        "An empty section with a codec.",
    )


def size_vectors() -> Iterator[Vector]:
    large = with_row(2, codec=ZSTD, decoded_length=(1 << 30) + 1)
    yield bad(
        "size-raw",
        large,
        LimitExceeded,
        "R-SEC-6",
        field(2, DECODED_LENGTH),
        "RAW claims one byte more than the limit.",
    )
    for index, name in ((0, "program"), (1, "directory")):
        large = with_row(index, codec=BROTLI, decoded_length=(1 << 22) + 1)
        says = f"The {name} claims one byte more than the limit on metadata."
        yield bad(f"size-{name}", large, LimitExceeded, "R-SEC-6", field(index, DECODED_LENGTH), says)
    for section_id, name in ((PROVENANCE, "provenance"), (255, "ancillary")):
        large = container([*ROWS, Row(section_id, b"x", codec=ZSTD, decoded_length=(1 << 22) + 1)])
        says = f"Section {section_id} claims one byte more than the limit on metadata."
        yield bad(f"size-{name}", large, LimitExceeded, "R-SEC-6", field(5, DECODED_LENGTH), says)
    huge = with_row(3, stored_length=(1 << 32) - 1)
    yield bad("size-codes", huge, LimitExceeded, "R-SEC-6", field(3, DECODED_LENGTH), "CODES claims 2^32 - 1 bytes.")
    for length in (31, 33):
        short = with_row(4, content=b"d" * length)
        yield bad(
            f"size-digest-{length}",
            short,
            MalformedArtifact,
            "R-DIG-2",
            field(4, DECODED_LENGTH),
            f"A digest of {length} bytes.",
        )
    for index, name in enumerate(("program", "directory", "raw", "codes", "digest")):
        missing = container([row for i, row in enumerate(ROWS) if i != index])
        yield bad(
            f"table-no-{name}",
            missing,
            MalformedArtifact,
            "R-SEC-7",
            TABLE_END - ENTRY,
            f"The {name} section is missing.",
        )
    nothing = container([])
    yield bad("table-empty", nothing, MalformedArtifact, "R-SEC-7", HEADER, "A table of no sections.")


def section_vectors() -> Iterator[Vector]:
    cut = GOOD[:-1]
    yield bad("file-cut", cut, TruncatedArtifact, "R-SEC-8", len(cut), "The last byte is missing.")
    cut = GOOD[:FIRST_SECTION]
    yield bad("file-no-sections", cut, TruncatedArtifact, "R-SEC-8", len(cut), "The file ends after its table.")
    sum_wraps = with_row(2, stored_length=1 << 30, decoded_length=1 << 30)
    yield bad(
        "file-claims-more",
        sum_wraps,
        TruncatedArtifact,
        "R-SEC-8",
        len(sum_wraps),
        "RAW claims 2^30 bytes, within the limit, that are not there.",
    )
    yield bad(
        "file-trailing", GOOD + b"\0", MalformedArtifact, "R-SEC-9", len(GOOD), "A zero byte follows the last section."
    )
    yield bad("file-twice", GOOD + GOOD, MalformedArtifact, "R-SEC-9", len(GOOD), "A second file follows.")
    damaged = GOOD[:RAW_START] + b"s" + GOOD[RAW_START + 1 :]
    yield bad("file-damaged", damaged, ChecksumMismatch, "R-SEC-10", RAW_START, "The first byte of RAW is damaged.")
    damaged = with_row(2, content=SEVENS[:-1], codec=ZSTD, decoded_length=300, checksum=0)
    yield bad(
        "file-damaged-frame",
        damaged,
        ChecksumMismatch,
        "R-SEC-10",
        RAW_START,
        "The checksum is compared before a broken frame is decompressed.",
    )
    both = container(
        [replace(ROWS[0], content=b"junk", codec=ZSTD, decoded_length=99), *ROWS[1:4], replace(ROWS[4], checksum=0)]
    )
    start = len(both) - 32
    yield bad(
        "file-late-damage",
        both,
        ChecksumMismatch,
        "R-SEC-10",
        start,
        "All checksums come before the first decompression.",
    )


def raw_section(content: bytes, codec: int, decoded_length: int) -> bytes:
    return with_row(2, content=content, codec=codec, decoded_length=decoded_length)


def compression_vectors() -> Iterator[Vector]:
    fill = repeat_block(300, 7, last=True)
    table = [
        ("other-size", frame(299, fill), 300, "R-BYT-1", "The frame declares 299 bytes, the table 300."),
        ("huge-size", frame(2**32 - 1, fill), 300, "R-BYT-1", "The frame declares 2^32 - 1 bytes, the table 300."),
        (
            "no-size",
            bytes.fromhex("28b52ffd 00 00") + fill,
            300,
            "R-BYT-1",
            "The frame does not declare its content size.",
        ),
        ("dictionary", frame(300, fill, dictionary=5), 300, "R-BYT-1", "The frame names a dictionary."),
        (
            "content-checksum",
            b"\x28\xb5\x2f\xfd\xa4" + SEVENS[5:] + bytes(4),
            300,
            "R-BYT-1",
            "The frame announces a content checksum.",
        ),
        ("window", frame(300, fill, window=1), 300, "R-BYT-1", "The frame asks for a window of 1,152 bytes for 300."),
        ("skippable", b"\x50\x2a\x4d\x18" + bytes(4) + SEVENS, 300, "R-BYT-2", "A skippable frame precedes the frame."),
        ("cut", SEVENS[:-1], 300, "R-BYT-2", "The last byte of the frame is missing."),
        ("no-last-block", frame(300, repeat_block(300, 7)), 300, "R-BYT-2", "No block is marked as the last."),
        ("trailing", SEVENS + b"\0", 300, "R-BYT-2", "A byte follows the frame."),
        ("two-frames", SEVENS + SEVENS, 300, "R-BYT-2", "A second frame follows."),
        (
            "short",
            frame(300, repeat_block(299, 7, last=True)),
            300,
            "R-BYT-2",
            "One byte less than declared comes out.",
        ),
        (
            "long",
            frame(300, repeat_block(300, 7), repeat_block(1, 7, last=True)),
            300,
            "R-BYT-2",
            "One byte more than declared comes out.",
        ),
        (
            "bomb",
            frame(200_000, *[repeat_block(131_072)] * 50),
            200_000,
            "R-BYT-2",
            "More and more comes out, without an end.",
        ),
        ("not-a-frame", b"not a frame", 300, "R-BYT-2", "Text instead of a frame."),
    ]
    for name, content, length, rule, says in table:
        yield bad(f"zstd-{name}", raw_section(content, ZSTD, length), MalformedArtifact, rule, RAW_START, says)
    streams = [
        ("short", BROTLI_AS, 1001, "One byte less than declared comes out."),
        ("long", BROTLI_AS, 999, "One byte more than declared comes out."),
        ("cut", BROTLI_AS[:-1], 1000, "The last byte of the stream is missing."),
        ("trailing", BROTLI_AS + b"\0", 1000, "A byte follows the stream."),
        ("empty", b"", 1000, "A stream of no bytes."),
        ("large-window", b"\x11\x1e", 1000, "The stream uses the large-window extension."),
    ]
    for name, content, length, says in streams:
        yield bad(f"brotli-{name}", raw_section(content, BROTLI, length), MalformedArtifact, "R-BYT-2", RAW_START, says)


def container_vectors() -> Iterator[Vector]:
    """All vectors of this page, in its order."""
    for part in (good_containers, header_vectors, table_vectors, size_vectors, section_vectors, compression_vectors):
        yield from part()
