"""Test vectors of container.md, chapter 5: ends, numbers and names in programs, directories and streams."""

from __future__ import annotations

from collections.abc import Iterator

from program_vectors import GOOD
from vector_files import Vector, artifact, digest, directory, entry, planes, varint
from vectors_program import RAW_FLOAT32, TABLE_SHAPE, TABLE_VALUES

from bytecap.errors import ArtifactError, MalformedArtifact, TruncatedArtifact

RECORD = b"\x00\x02\x04\x08\x01" + RAW_FLOAT32  # what follows the name in the good directory: 4 x 8, one raw term
GOOD_DIRECTORY = directory(entry("table", TABLE_SHAPE, RAW_FLOAT32))


def named(raw_name: bytes) -> bytes:
    """A directory of one tensor whose name is the given field."""
    return b"\x01" + raw_name + RECORD


def bad(name: str, data: bytes, error: type[ArtifactError], rule: str, offset: int, says: str) -> Vector:
    return Vector(f"bad-{name}", "artifact", data, says, error=error, rule=rule, offset=offset)


def end_vectors() -> Iterator[Vector]:
    cut = GOOD_DIRECTORY[:-1]
    yield bad(
        "end-directory-cut",
        artifact(GOOD, cut),
        TruncatedArtifact,
        "R-END-1",
        len(cut),
        "The directory ends before its last byte.",
    )
    cut = b"\x01\x05tab" + b"l"
    yield bad("end-name-cut", artifact(GOOD, cut), TruncatedArtifact, "R-END-1", 2, "The directory ends in a name.")
    yield bad(
        "end-directory-empty",
        artifact(GOOD, b""),
        TruncatedArtifact,
        "R-END-1",
        0,
        "The directory has not even a count.",
    )
    cut = GOOD[:-1]
    yield bad(
        "end-program-cut",
        artifact(cut, GOOD_DIRECTORY),
        TruncatedArtifact,
        "R-END-1",
        len(cut),
        "The program ends before its last byte.",
    )
    yield bad(
        "end-number-cut",
        artifact(b"\x80\x80", GOOD_DIRECTORY),
        TruncatedArtifact,
        "R-END-1",
        2,
        "The program ends in a number.",
    )
    codes = b"\x01\x01\x05abcd"
    says = "A stream of 5 bytes has 4."
    yield bad("end-stream-cut", artifact(GOOD, GOOD_DIRECTORY, codes=codes), TruncatedArtifact, "R-END-1", 3, says)
    more = GOOD_DIRECTORY + b"\0"
    yield bad(
        "end-directory-more",
        artifact(GOOD, more),
        MalformedArtifact,
        "R-END-2",
        len(more) - 1,
        "A byte follows the last tensor.",
    )
    codes = b"\x00\x00"
    says = "A byte follows a table of no streams."
    yield bad("end-codes-more", artifact(GOOD, GOOD_DIRECTORY, codes=codes), MalformedArtifact, "R-END-2", 1, says)


def number_vectors() -> Iterator[Vector]:
    """All in the first field of the program, the vocabulary size; what follows it is the good program's."""
    table = [
        ("six-bytes", "808080808001", "R-VAR-1", "A number of six bytes."),
        ("six-bytes-of-zero", "808080808000", "R-VAR-1", "Zero in six bytes: too long before it is too wide."),
        ("33-bits", "8080808010", "R-VAR-1", "2^32."),
        ("wraps", "848080 8070", "R-VAR-1", "A number that is 4 in 32 bits with the rest cut off."),
        ("zero-in-two-bytes", "8000", "R-VAR-2", "Zero in two bytes."),
        ("four-in-two-bytes", "8400", "R-VAR-2", "4 in two bytes."),
        ("four-in-five-bytes", "8480808000", "R-VAR-2", "4 in five bytes."),
    ]
    for name, number, rule, says in table:
        program = bytes.fromhex(number) + GOOD[1:]
        yield bad(f"number-{name}", artifact(program, GOOD_DIRECTORY), MalformedArtifact, rule, 0, says)


def name_vectors() -> Iterator[Vector]:
    longest = "n" * 255
    for name, says in (
        (longest, "A name of 255 bytes."),
        ("é ☃ \U0001f600", "A name with characters of two, three and four bytes."),
    ):
        sha256 = digest((name, TABLE_SHAPE, TABLE_VALUES))
        data = artifact(GOOD, directory(entry(name, TABLE_SHAPE, RAW_FLOAT32)), planes(TABLE_VALUES), digest=sha256)
        title = "longest" if name is longest else "unicode"
        yield Vector(f"good-name-{title}", "artifact", data, says, sha256=sha256.hex())
    table = [
        ("empty", b"\x00", "R-TXT-1", "A name of no bytes."),
        ("too-long", varint(256) + b"n" * 256, "R-TXT-1", "A name of 256 bytes."),
        (
            "enormous",
            varint(2**32 - 1),
            "R-TXT-1",
            "A name of 2^32 - 1 bytes is refused by its length, not by the end of the section.",
        ),
        ("no-utf-8", b"\x02n\xff", "R-TXT-2", "A byte that does not occur in UTF-8."),
        ("overlong", b"\x02\xc0\x80", "R-TXT-2", "The overlong form of U+0000."),
        ("surrogate", b"\x03\xed\xa0\x80", "R-TXT-2", "Half of a surrogate pair."),
        ("cut-character", b"\x02n\xc3", "R-TXT-2", "The name ends in a character."),
        ("newline", b"\x03a\nb", "R-TXT-3", "A line feed."),
        ("escape", b"\x05\x1b[31m", "R-TXT-3", "An escape sequence of a terminal."),
        ("control", b"\x02\xc2\x85", "R-TXT-3", "U+0085, a control character outside ASCII."),
        ("direction", b"\x04a\xe2\x80\xae", "R-TXT-3", "U+202E reverses what follows it on a terminal."),
        ("byte-order-mark", b"\x04\xef\xbb\xbfa", "R-TXT-3", "U+FEFF does not show."),
    ]
    for name, field, rule, says in table:
        yield bad(f"name-{name}", artifact(GOOD, named(field)), MalformedArtifact, rule, 1, says)


def field_vectors() -> Iterator[Vector]:
    """All vectors of this page, in its order."""
    for part in (end_vectors, number_vectors, name_vectors):
        yield from part()
