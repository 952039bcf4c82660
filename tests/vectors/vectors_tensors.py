"""Test vectors of tensors.md: directory, recipes, planes, grids, digest, provenance, identity."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

from program_vectors import GOOD
from vector_files import Vector, artifact, codes, digest, directory, entry, planes, text, varint, zigzag
from vectors_fields import GOOD_DIRECTORY
from vectors_program import RAW_FLOAT32, TABLE_SHAPE, TABLE_VALUES
from vectors_streams import encode, grid

from bytecap.errors import (
    ArtifactError,
    ChecksumMismatch,
    InvalidArtifact,
    LimitExceeded,
    MalformedArtifact,
    TruncatedArtifact,
    UnsupportedArtifact,
)

RAW = planes(TABLE_VALUES)
TERMS = (
    1 + len(text("table")) + 4
)  # offset of the number of terms in a directory that starts with the good tensor's shape
TERM = TERMS + 1  # offset of the first term's kind


def bad(
    name: str,
    error: type[ArtifactError],
    rule: str,
    offset: int | None,
    says: str,
    directory: bytes = GOOD_DIRECTORY,
    raw: bytes = RAW,
    codes: bytes = b"\0",
    provenance: bytes | None = None,
    identity: bytes | None = None,
) -> Vector:
    prefix = "unsupported" if error is UnsupportedArtifact else "bad"
    data = artifact(GOOD, directory, raw, codes, provenance=provenance, identity=identity)
    return Vector(f"{prefix}-{name}", "artifact", data, says, error=error, rule=rule, offset=offset)


def table(*terms: bytes, shape: tuple[int, ...] = TABLE_SHAPE, **changes) -> bytes:
    """A directory of one tensor."""
    return directory(entry("table", shape, *terms, **changes))


def directory_vectors() -> Iterator[Vector]:
    good = entry("table", TABLE_SHAPE, RAW_FLOAT32)
    count = varint(65_537) + good
    yield bad(
        "directory-many-tensors",
        LimitExceeded,
        "R-DIR-1",
        0,
        "One tensor more than the default limit is claimed.",
        count,
    )
    count = varint(60) + good
    yield bad(
        "directory-count", LimitExceeded, "R-DIR-1", 0, "More tensors are claimed than the bytes could hold.", count
    )
    twice = directory(good, good)
    yield bad("directory-name-twice", MalformedArtifact, "R-DIR-2", 1 + len(good), "Two tensors have one name.", twice)
    dtype = table(RAW_FLOAT32, dtype=3)
    yield bad("directory-dtype", MalformedArtifact, "R-DIR-3", 7, "A dtype of 3.", dtype)
    flat = table(RAW_FLOAT32, shape=(1,) * 9)
    yield bad("directory-dimensions", LimitExceeded, "R-DIR-4", 8, "Nine dimensions.", flat)
    for name, shape, says in (
        ("elements", (1 << 20, 1025), "One tensor of 2^20 * 1025 weights."),
        ("elements-wrap", (1 << 31, 1 << 31, 4), "A product of sizes that is 0 in 64 bits."),
    ):
        yield bad(f"directory-{name}", LimitExceeded, "R-DIR-4", 8, says, table(RAW_FLOAT32, shape=shape))
    half = (1 << 29) + 1
    both = directory(entry("table", (half,), RAW_FLOAT32), entry("other", (half,), RAW_FLOAT32))
    start = 1 + len(entry("table", (half,), RAW_FLOAT32))
    yield bad(
        "directory-elements-together",
        LimitExceeded,
        "R-DIR-4",
        start,
        "Two tensors of a little over half the limit each.",
        both,
    )
    yield bad(
        "directory-size-zero", InvalidArtifact, "R-DIR-5", 8, "A dimension of size 0.", table(RAW_FLOAT32, shape=(4, 0))
    )
    unused = directory(good, entry("hidden", (3,), RAW_FLOAT32))
    yield bad("directory-unused", InvalidArtifact, "R-DIR-6", None, "A tensor that the program does not name.", unused)
    alias = directory(good, entry("again", TABLE_SHAPE, b"\x02\x00"))
    yield bad(
        "directory-unused-alias",
        InvalidArtifact,
        "R-DIR-6",
        None,
        "An alias of a used tensor that nothing names itself.",
        alias,
    )


def recipe_vectors() -> Iterator[Vector]:
    largest = b"".join(bytes([byte]) * 64 for byte in struct.pack(">f", 3e38))
    says = "Two terms of 3e38 each."
    yield bad("recipe-infinite-sum", InvalidArtifact, "R-REC-4", None, says, table(RAW_FLOAT32, RAW_FLOAT32), largest)
    yield bad("recipe-kind", UnsupportedArtifact, "R-REC-1", TERM, "A term of kind 7.", table(b"\x07"))
    yield bad("recipe-no-terms", MalformedArtifact, "R-REC-2", TERMS, "A tensor of no terms.", table())
    yield bad(
        "recipe-nine-terms", MalformedArtifact, "R-REC-2", TERMS, "A tensor of nine terms.", table(*[RAW_FLOAT32] * 9)
    )
    yield bad(
        "recipe-alias-of-itself",
        InvalidArtifact,
        "R-REC-3",
        TERMS,
        "An alias of the tensor itself.",
        table(b"\x02\x00"),
    )
    good = entry("table", TABLE_SHAPE, RAW_FLOAT32)
    for name, shape, source, says in (
        ("later", TABLE_SHAPE, 2, "An alias of a tensor after it."),
        ("shape", (8, 4), 0, "An alias of a tensor with as many weights in another shape."),
    ):
        head = entry("again", shape, b"\x02" + varint(source))
        offset = 1 + len(good) + len(head) - 3
        both = directory(good, head, entry("last", TABLE_SHAPE, RAW_FLOAT32))
        yield bad(f"recipe-alias-{name}", InvalidArtifact, "R-REC-3", offset, says, both)


def plane_vectors() -> Iterator[Vector]:
    yield bad("raw-storage", MalformedArtifact, "R-RAW-1", TERM + 1, "A storage of 3.", table(b"\x00\x03"))
    for name, raw in (("short", RAW[:-1]), ("long", RAW + b"\0"), ("empty", b"")):
        yield bad(
            f"raw-{name}",
            MalformedArtifact,
            "R-RAW-2",
            0,
            f"{len(raw)} bytes where 32 values of float32 need 128.",
            raw=raw,
        )
    for name, value in (("nan", math.nan), ("infinite", -math.inf)):
        raw = planes([value, *TABLE_VALUES[1:]])
        yield bad(f"raw-{name}", InvalidArtifact, "R-RAW-3", None, f"The first value is {value}.", raw=raw)
    half = b"\x7c" + bytes(31) + bytes(32)
    yield bad(
        "raw-float16-infinite",
        InvalidArtifact,
        "R-RAW-3",
        None,
        "The first float16 is infinite.",
        table(b"\x00\x01"),
        half,
    )


def grid_vectors() -> Iterator[Vector]:
    at = TERM + 1
    for name, base in (
        ("zero", 0.0),
        ("negative", -1.0),
        ("nan", math.nan),
        ("infinite", math.inf),
        ("large", 2.0**41),
        ("small", 2.0**-41),
    ):
        yield bad(f"grid-base-{name}", InvalidArtifact, "R-GRD-1", at, f"A base of {base:g}.", table(grid(base)), b"")
    yield bad(
        "grid-resolution", InvalidArtifact, "R-GRD-1", at + 4, "A resolution of 4.", table(grid(resolution=4)), b""
    )
    yield bad(
        "grid-trellis", UnsupportedArtifact, "R-GRD-4", at + 5, "A trellis of 5 states.", table(grid(trellis=5)), b""
    )
    rows = at + 6
    yield bad("grid-step-mode", MalformedArtifact, "R-GRD-2", rows, "A step mode of 2.", table(grid(rows=b"\x02")), b"")
    offset = b"\x01" + zigzag(-21)
    yield bad(
        "grid-offset", InvalidArtifact, "R-GRD-2", rows, "A row offset of -21 octaves.", table(grid(rows=offset)), b""
    )
    offset = b"\x01" + zigzag(81)
    says = "A column offset of 81 at resolution 2, a quarter octave above 20."
    yield bad(
        "grid-offset-resolution",
        InvalidArtifact,
        "R-GRD-2",
        rows + 1,
        says,
        table(grid(resolution=2, columns=offset)),
        b"",
    )
    steps = b"\x01" + zigzag(20)
    streams = codes(encode([0, 0, 0, 1]), encode([1] * 32))
    says = "An exponent of 1 above an offset of 20 octaves."
    yield bad("grid-exponent", InvalidArtifact, "R-GRD-2", None, says, table(grid(rows=steps)), b"", streams)
    yield bad(
        "grid-initial-scale",
        InvalidArtifact,
        "R-GRD-3",
        rows + 2,
        "An initial scale of 257.",
        table(grid(scale=257)),
        b"",
    )


def whole_vectors() -> Iterator[Vector]:
    yield bad("digest", ChecksumMismatch, "R-DIG-1", None, "The stored digest is not that of the tensors.")
    objects = [
        ("not-json", b"{made here}", "No JSON."),
        ("array", b"[]", "An array."),
        ("spaces", b'{"made": "here"}', "A space after the colon."),
        ("unsorted", b'{"b":1,"a":2}', "Keys out of order."),
        ("key-twice", b'{"a":1,"a":2}', "A key that occurs twice."),
        ("not-ascii", '{"made":"hé"}'.encode(), "A character that is not escaped."),
        ("nan", b'{"a":NaN}', "A number that JSON does not have."),
        ("deep", b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "5,000 arrays in one another."),
        ("65-deep", b'{"a":' * 65 + b"1" + b"}" * 65, "One object too many in one another."),
        ("surrogate", b'{"a":"\\ud800"}', "Half of a surrogate pair, which no UTF-8 can hold."),
        ("surrogate-key", b'{"\\udfff":1}', "A key that is half of a surrogate pair."),
        ("no-utf-8", b'{"\xff":1}', "Bytes that are not UTF-8."),
        ("empty", b"", "Nothing at all."),
    ]
    for name, content, says in objects:
        yield bad(f"provenance-{name}", MalformedArtifact, "R-PRV-1", 0, says, provenance=content)


PIECES, TOKENIZER, ARCHITECTURE = 1, 2, 4


def identity_vectors() -> Iterator[Vector]:
    size, tokenizer, architecture = varint(1024), bytes(range(32)), bytes(range(32, 64))
    known = {
        "all": (PIECES | TOKENIZER | ARCHITECTURE, size + tokenizer + architecture, "All three are known."),
        "pieces": (PIECES, varint(1), "Only the number of pieces is known."),
        "tokenizer": (PIECES | TOKENIZER, size + tokenizer, "The tokenizer is known."),
        "architecture": (ARCHITECTURE, architecture, "Only the architecture document is known."),
        "pieces-and-architecture": (PIECES | ARCHITECTURE, size + architecture, "All but the pieces' digest is known."),
    }
    stored = digest(("table", TABLE_SHAPE, TABLE_VALUES))
    for name, (flags, content, says) in known.items():
        data = artifact(GOOD, GOOD_DIRECTORY, RAW, digest=stored, identity=bytes([flags]) + content)
        yield Vector(f"good-identity-{name}", "artifact", data, says, sha256=stored.hex())
    refused = [
        ("nothing", MalformedArtifact, "R-IDN-1", 0, b"\0", "Nothing is known, and still there is a section."),
        ("fourth", MalformedArtifact, "R-IDN-1", 0, b"\x09" + size, "A fourth part is known."),
        ("no-pieces", InvalidArtifact, "R-IDN-2", 0, b"\x02" + tokenizer, "A digest of pieces without their number."),
        ("zero-pieces", InvalidArtifact, "R-IDN-3", 1, b"\x01\0", "A vocabulary of no pieces."),
        ("empty", TruncatedArtifact, "R-END-1", 0, b"", "Nothing at all."),
        ("cut", TruncatedArtifact, "R-END-1", 1, b"\x04" + architecture[:31], "A digest of 31 bytes."),
        ("more", MalformedArtifact, "R-END-2", 33, b"\x04" + architecture + b"\0", "A byte behind the last digest."),
        ("long-number", MalformedArtifact, "R-VAR-2", 1, b"\x01\x81\0", "1 in two bytes."),
    ]
    for name, error, rule, offset, content, says in refused:
        yield bad(f"identity-{name}", error, rule, offset, says, identity=content)


def tensor_vectors() -> Iterator[Vector]:
    """All vectors of this page, in its order."""
    for part in (directory_vectors, recipe_vectors, plane_vectors, grid_vectors, whole_vectors, identity_vectors):
        yield from part()
