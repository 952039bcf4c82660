"""Test vectors of codecs.md: the CODES section and its streams, around an artifact whose one tensor is a grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from program_vectors import GOOD
from vector_files import Vector, artifact, codes, digest, directory, entry, real, varint, zigzag
from vectors_program import TABLE_SHAPE

from bytecap.errors import (
    ArtifactError,
    InvalidArtifact,
    LimitExceeded,
    MalformedArtifact,
    TruncatedArtifact,
    UnsupportedArtifact,
)
from bytecap.format.codecs import INTEGER_CODECS, ExpectedScales
from bytecap.format.codecs.static_tables import HEADER, decode_side, encode_side
from bytecap.format.codecs.trellis import TRELLISES


def encode(values: Sequence[int], rows: int = 1, trellis: int = 0, codec: int = 1, copies: int = 1) -> bytes:
    """A stream of equal matrices of which magnitude 1 is expected throughout."""
    matrix = np.array(values, np.int32).reshape(rows, -1)
    scales = ExpectedScales(np.zeros(rows, np.int64), np.zeros(matrix.shape[1], np.int64), trellis)
    return INTEGER_CODECS[codec].encode([matrix] * copies, [scales] * copies)


def trellis_integers(n_states: int, rows: int, columns: int) -> list[int]:
    """Small integers of which every column follows the trellis."""
    states, values = [0] * columns, []
    for number in range(rows * columns):
        column, u = number % columns, (number * number // 3) % 2
        values.append(states[column] % 2 + 2 * u + 4 * (number % 3 - 1))
        states[column] = int(TRELLISES[n_states][states[column], u])
    return values


def grid(
    base: float = 0.5,
    resolution: int = 0,
    trellis: int = 0,
    rows: bytes = b"\0",
    columns: bytes = b"\0",
    scale: int = 0,
    stream: int = 1,
) -> bytes:
    """A grid term."""
    return b"\x01" + real(base) + bytes([resolution, trellis]) + rows + columns + zigzag(scale) + varint(stream)


GRID_DIRECTORY = directory(entry("table", TABLE_SHAPE, grid()))
EXPONENTS = bytes(4)  # a stream of no integers
INTEGERS = [(7 * k) % 5 - 2 for k in range(32)]
LARGE = [(k * k * 37) % 301 - 150 for k in range(32)]
PAYLOAD = encode(INTEGERS, rows=4)
FIRST = 1 + 2 * 2  # offset of stream 0 when the table names two streams


def bad(
    name: str,
    error: type[ArtifactError],
    rule: str,
    offset: int | None,
    says: str,
    content: bytes,
    table: bytes = GRID_DIRECTORY,
) -> Vector:
    prefix = "unsupported" if error is UnsupportedArtifact else "bad"
    return Vector(
        f"{prefix}-stream-{name}",
        "artifact",
        artifact(GOOD, table, codes=content),
        says,
        error=error,
        rule=rule,
        offset=offset,
    )


def good_streams() -> Iterator[Vector]:
    sha256 = digest(("table", TABLE_SHAPE, [value / 2 for value in INTEGERS]))
    data = artifact(GOOD, GRID_DIRECTORY, codes=codes(EXPONENTS, PAYLOAD), digest=sha256)
    yield Vector(
        "good-stream-grid",
        "artifact",
        data,
        "A grid of 32 small integers without steps of its own.",
        sha256=sha256.hex(),
    )
    large = [(1 << 24) - 1, -(1 << 24) + 1, *[0] * 30]
    sha256 = digest(("table", TABLE_SHAPE, [value / 2 for value in large]))
    data = artifact(GOOD, GRID_DIRECTORY, codes=codes(EXPONENTS, encode(large, rows=4)), digest=sha256)
    yield Vector("good-stream-largest", "artifact", data, "The largest integers there are.", sha256=sha256.hex())


def trellis_vectors() -> Iterator[Vector]:
    for n_states in TRELLISES:
        values = trellis_integers(n_states, *TABLE_SHAPE)
        sha256 = digest(("table", TABLE_SHAPE, [value / 2 for value in values]))
        table = directory(entry("table", TABLE_SHAPE, grid(trellis=n_states)))
        payload = encode(values, rows=TABLE_SHAPE[0], trellis=n_states)
        data = artifact(GOOD, table, codes=codes(EXPONENTS, payload), digest=sha256)
        says = f"A grid of 32 integers whose columns follow the trellis of {n_states} states."
        yield Vector(f"good-stream-trellis-{n_states}", "artifact", data, says, sha256=sha256.hex())


def table_vectors() -> Iterator[Vector]:
    yield bad(
        "many",
        LimitExceeded,
        "R-STR-1",
        0,
        "One stream more than the default limit is claimed.",
        varint(1025) + bytes(3000),
    )
    yield bad(
        "count",
        LimitExceeded,
        "R-STR-1",
        0,
        "More streams are claimed than the bytes could describe.",
        varint(9) + bytes(17),
    )
    yield bad("codec", UnsupportedArtifact, "R-STR-2", 1, "An integer codec of 9.", codes(EXPONENTS, PAYLOAD, codec=9))
    shape = (4, 1 << 16)
    wide = directory(entry("table", shape, grid()))
    says = "4 bytes claim to hold 2^18 integers."
    yield bad("amplification", MalformedArtifact, "R-STR-3", FIRST + 4, says, codes(EXPONENTS, bytes(4)), wide)


def payload_vectors() -> Iterator[Vector]:
    start = FIRST + len(EXPONENTS)
    yield bad("three-bytes", TruncatedArtifact, "R-STR-4", start, "A stream of 3 bytes.", codes(EXPONENTS, PAYLOAD[:3]))
    cut = PAYLOAD[:8]
    yield bad("cut", TruncatedArtifact, "R-STR-4", start + len(cut), "The stream ends half-way.", codes(EXPONENTS, cut))
    yield bad(
        "exponents-missing",
        TruncatedArtifact,
        "R-STR-4",
        FIRST,
        "The stream of exponents has no bytes.",
        codes(b"", PAYLOAD),
    )
    end = start + len(PAYLOAD)
    yield bad(
        "more", MalformedArtifact, "R-STR-5", end, "A byte follows the last integer.", codes(EXPONENTS, PAYLOAD + b"\0")
    )
    changed = PAYLOAD[:-1] + bytes([PAYLOAD[-1] ^ 1])
    yield bad(
        "final-state", MalformedArtifact, "R-STR-5", end, "The last byte is another one.", codes(EXPONENTS, changed)
    )
    says = "The empty stream of exponents does not end in state 0."
    yield bad("exponents-state", MalformedArtifact, "R-STR-5", FIRST + 4, says, codes(b"\0\0\0\1", PAYLOAD))
    says = "An integer begins with more than 24 ones."
    yield bad("too-large", MalformedArtifact, "R-STR-6", start + 8, says, codes(EXPONENTS, b"\xff" * 40))


def static_stream(
    values: Sequence[int],
    rows: int = 4,
    trellis: int = 0,
    *,
    header: dict[int, int] | None = None,
    frequencies: dict[tuple[int, int], int] | None = None,
    escapes: Sequence[int] | None = None,
) -> bytes:
    """A stream of codec 3 of one matrix; bytes of its header, frequencies or its escapes replaced by others."""
    matrix = np.array(values, np.int32).reshape(rows, -1)
    scales = [ExpectedScales(np.zeros(rows, np.int64), np.zeros(matrix.shape[1], np.int64), trellis)]
    payload = INTEGER_CODECS[3].encode([matrix], scales)
    side, end = decode_side(payload, scales, offset=0, where="")
    for (table, symbol), frequency in (frequencies or {}).items():
        side.frequencies[table, symbol] = frequency
    if escapes is not None:
        side = replace(side, escapes=np.array(escapes, np.int32))
    content = bytearray(encode_side(side, scales) + payload[end:])
    for at, value in (header or {}).items():
        content[at] = value
    return bytes(content)


def static_codes(payload: bytes, exponents: bytes = EXPONENTS, exponents_codec: int = 1) -> bytes:
    """A CODES section of exponents and a stream of codec 3."""
    table = bytes([exponents_codec]) + varint(len(exponents)) + b"\x03" + varint(len(payload))
    return varint(2) + table + exponents + payload


def good_static_vectors() -> Iterator[Vector]:
    empty = INTEGER_CODECS[3].encode([], [])
    large = [(1 << 24) - 1, -(1 << 24) + 1, *[0] * 30]
    cases = [
        ("static-grid", INTEGERS, 0, EXPONENTS, 1, "Small integers in static tables."),
        ("static-exponents", INTEGERS, 0, empty, 3, "The empty stream of exponents in static tables, too."),
        ("static-largest", large, 0, EXPONENTS, 1, "The largest integers there are, as escapes."),
        ("static-low-bits", LARGE, 0, EXPONENTS, 1, "Integers with low bits."),
        (
            "static-trellis",
            trellis_integers(8, *TABLE_SHAPE),
            8,
            EXPONENTS,
            1,
            "Integers of a trellis in static tables.",
        ),
    ]
    for name, values, trellis, exponents, codec, says in cases:
        sha256 = digest(("table", TABLE_SHAPE, [value / 2 for value in values]))
        table = directory(entry("table", TABLE_SHAPE, grid(trellis=trellis)))
        section = static_codes(static_stream(values, TABLE_SHAPE[0], trellis), exponents, codec)
        yield Vector(
            f"good-stream-{name}",
            "artifact",
            artifact(GOOD, table, codes=section, digest=sha256),
            says,
            sha256=sha256.hex(),
        )


def vectors_of_many_integers() -> Iterator[Vector]:
    """Four terms of one tensor in one stream, which together take more bits than the states hold."""
    terms = [[(11 * k * (n + 1)) % 13 - 6 for k in range(32)] for n in range(4)]
    scales = [ExpectedScales(np.zeros(4, np.int64), np.zeros(8, np.int64))] * 4
    payload = INTEGER_CODECS[3].encode([np.array(term, np.int32).reshape(4, 8) for term in terms], scales)
    table = directory(entry("table", TABLE_SHAPE, *[grid()] * 4))
    sha256 = digest(("table", TABLE_SHAPE, [sum(values) / 2 for values in zip(*terms, strict=True)]))
    data = artifact(GOOD, table, codes=static_codes(payload), digest=sha256)
    yield Vector(
        "good-stream-static-words",
        "artifact",
        data,
        "Integers that take more bits than the states hold.",
        sha256=sha256.hex(),
    )
    cut = static_codes(payload[:-2])
    offset = len(cut)
    yield bad("static-cut", TruncatedArtifact, "R-STR-4", offset, "The last word is missing.", cut, table)


def bad_static_vectors() -> Iterator[Vector]:
    start, payload = FIRST + len(EXPONENTS), static_stream(INTEGERS)
    end = start + len(payload)
    cut = [
        ("header", payload[:15], start, "15 bytes of a header of 16."),
        ("states", payload[:-2], end - 32, "The states end early."),
        ("words", payload[:-32] + bytes(32), end, "Every state needs a word, and there is none."),
    ]
    for name, content, offset, says in cut:
        yield bad(f"static-{name}", TruncatedArtifact, "R-STR-4", offset, says, static_codes(content))
    side = {0: 200}
    yield bad(
        "static-side",
        TruncatedArtifact,
        "R-STR-4",
        start,
        "A side stream longer than the payload.",
        static_codes(static_stream(INTEGERS, header=side)),
    )
    yield bad(
        "static-more", MalformedArtifact, "R-STR-5", end, "A byte follows the last word.", static_codes(payload + b"\0")
    )
    spare = static_stream(INTEGERS, escapes=[7])
    offset = start + len(spare)
    yield bad(
        "static-escape-unused",
        MalformedArtifact,
        "R-STR-5",
        offset,
        "An escape that no integer is.",
        static_codes(spare),
    )
    large = static_stream([1 << 23, *[0] * 31], escapes=[1 << 23], trellis=8)
    trellis = directory(entry("table", TABLE_SHAPE, grid(trellis=8)))
    says = "An escape of 2^23 on a trellis, the integer 2^24."
    yield bad(
        "static-too-large", MalformedArtifact, "R-STR-6", len(static_codes(large)), says, static_codes(large), trellis
    )
    classes = {
        "classes-none": ({13: 0}, "No class for the integers there are."),
        "classes-beyond": ({12: 80}, "A class of 80."),
        "classes-unused": ({15: 1}, "A class of integers on a trellis, of which there are none."),
        "escapes": ({4: 33}, "33 escapes of 32 integers."),
    }
    for name, (header, says) in classes.items():
        yield bad(
            f"static-{name}",
            MalformedArtifact,
            "R-STR-8",
            start,
            says,
            static_codes(static_stream(INTEGERS, header=header)),
        )
    tables = {
        "frequency-negative": ({(0, 1): -1}, "A frequency of -1."),
        "frequency-sum": ({(0, 1): 2049}, "Frequencies of more than 4096 together."),
        "frequency-all": ({(0, 2 * k + 1): 0 for k in range(15)}, "A symbol that would cost nothing."),
    }
    for name, (frequencies, says) in tables.items():
        content = static_codes(static_stream(INTEGERS, frequencies=frequencies))
        yield bad(f"static-{name}", MalformedArtifact, "R-STR-8", start + HEADER.size, says, content)


MIXING = 2


def good_mixing_vectors() -> Iterator[Vector]:
    """Codec 2 on everything that its model tells apart."""
    large = [(1 << 24) - 1, -(1 << 24) + 1, *[0] * 30]
    contents = {
        "grid": (INTEGERS, 0, "A grid of 32 small integers without steps of its own, coded by codec 2."),
        "largest": (large, 0, "The largest integers there are, in codec 2."),
        "zeros": ([0] * 32, 0, "A grid of zeros, in codec 2."),
        "trellis-8": (trellis_integers(8, *TABLE_SHAPE), 8, "A trellis of 8 states, in codec 2."),
        "trellis-64": (trellis_integers(64, *TABLE_SHAPE), 64, "A trellis of 64 states, in codec 2."),
    }
    for name, (values, states, says) in contents.items():
        sha256 = digest(("table", TABLE_SHAPE, [value / 2 for value in values]))
        payload = encode(values, TABLE_SHAPE[0], states, MIXING)
        table = directory(entry("table", TABLE_SHAPE, grid(trellis=states)))
        data = artifact(GOOD, table, codes=codes(EXPONENTS, payload, codec=MIXING), digest=sha256)
        yield Vector(f"good-stream-mixing-{name}", "artifact", data, says, sha256=sha256.hex())
    terms = grid(), grid(base=0.25, trellis=8, stream=2), grid(base=1.0)
    small = trellis_integers(8, *TABLE_SHAPE)
    total = [value / 2 + other / 4 + value for value, other in zip(INTEGERS, small, strict=True)]
    payloads = (
        EXPONENTS,
        encode(INTEGERS, TABLE_SHAPE[0], 0, MIXING, copies=2),
        encode(small, TABLE_SHAPE[0], 8, MIXING),
    )
    sha256 = digest(("table", TABLE_SHAPE, total))
    data = artifact(
        GOOD, directory(entry("table", TABLE_SHAPE, *terms)), codes=codes(*payloads, codec=MIXING), digest=sha256
    )
    says = "Three terms in two streams of codec 2, two matrices in one of them."
    yield Vector("good-stream-mixing-several", "artifact", data, says, sha256=sha256.hex())
    yield mixed_exponents()


def mixed_exponents() -> Vector:
    """Three terms whose column steps are the same, and whose row steps hold one large exponent twice."""
    rows, columns = TABLE_SHAPE
    sides = [20, 0, 20, 1][:rows] + [0] * (rows - 4), [(3 * j) % 5 - 2 for j in range(columns)]
    vectors = [np.array([side], np.int32) for _ in range(3) for side in sides]
    scales = [ExpectedScales(np.zeros(1, np.int64), np.zeros(vector.size, np.int64)) for vector in vectors]
    exponents = INTEGER_CODECS[MIXING].encode(vectors, scales)
    r, c = (np.array(side, np.int64) for side in sides)
    matrix = np.array(INTEGERS, np.int32).reshape(TABLE_SHAPE)
    payload = INTEGER_CODECS[MIXING].encode([matrix] * 3, [ExpectedScales(-r << 16, -c << 16)] * 3)
    term = grid(rows=b"\1" + zigzag(0), columns=b"\1" + zigzag(0))
    values = [3 * q * 2.0 ** (int(r[i // columns]) + int(c[i % columns]) - 1) for i, q in enumerate(INTEGERS)]
    sha256 = digest(("table", TABLE_SHAPE, values))
    table = directory(entry("table", TABLE_SHAPE, term, term, term))
    data = artifact(GOOD, table, codes=codes(exponents, payload, codec=MIXING), digest=sha256)
    says = "Codec 2 on step exponents: the same vectors three times, and a large exponent that returns."
    return Vector("good-stream-mixing-exponents", "artifact", data, says, sha256=sha256.hex())


def bad_mixing_vectors() -> Iterator[Vector]:
    payload = encode(INTEGERS, TABLE_SHAPE[0], 0, MIXING)
    start = FIRST + len(EXPONENTS)
    end = start + len(payload)
    changed = payload[:-1] + bytes([payload[-1] ^ 1])
    one_row = directory(entry("table", TABLE_SHAPE, grid(columns=b"\1\0")))

    def refused(
        name: str, error, rule: str, offset: int, says: str, *payloads: bytes, table: bytes = GRID_DIRECTORY
    ) -> Vector:
        return bad(f"mixing-{name}", error, rule, offset, says, codes(*payloads, codec=MIXING), table)

    yield refused(
        "three-bytes", TruncatedArtifact, "R-STR-4", start, "A stream of codec 2 of 3 bytes.", EXPONENTS, payload[:3]
    )
    yield refused(
        "cut", TruncatedArtifact, "R-STR-4", start + 8, "A stream of codec 2 ends half-way.", EXPONENTS, payload[:8]
    )
    yield refused(
        "more",
        MalformedArtifact,
        "R-STR-5",
        end,
        "A byte follows the last integer of codec 2.",
        EXPONENTS,
        payload + b"\0",
    )
    yield refused(
        "final-state", MalformedArtifact, "R-STR-5", end, "The last byte of codec 2 is another one.", EXPONENTS, changed
    )
    says = "An integer of codec 2 begins with more than 26 ones."
    yield refused("too-large", MalformedArtifact, "R-STR-6", start + 9, says, EXPONENTS, bytes(60))
    says = "4 bytes of codec 2 claim to hold 2^18 integers."
    wide = directory(entry("table", (4, 1 << 16), grid()))
    yield refused("amplification", MalformedArtifact, "R-STR-3", FIRST + 4, says, EXPONENTS, bytes(4), table=wide)
    says = "A step exponent of codec 2 begins with more than 26 ones."
    yield refused(
        "exponent-too-large", MalformedArtifact, "R-STR-6", FIRST + 8, says, bytes(60), payload, table=one_row
    )
    says = "A stream of exponents of codec 2 ends half-way."
    yield refused(
        "exponents-cut", TruncatedArtifact, "R-STR-4", FIRST + 4, says, b"\x80\x11\x22\x33", payload, table=one_row
    )


def use_vectors() -> Iterator[Vector]:
    says = "A stream of integers that no term names."
    yield bad("unnamed", InvalidArtifact, "R-STR-7", None, says, codes(EXPONENTS, PAYLOAD, PAYLOAD))
    yield bad(
        "missing",
        InvalidArtifact,
        "R-STR-7",
        None,
        "A term names stream 1, there is only stream 0.",
        codes(EXPONENTS),
    )
    for stream, says in (
        (0, "A term names stream 0, which holds exponents."),
        (2, "A term names stream 2 of two."),
    ):
        table = directory(entry("table", TABLE_SHAPE, grid(stream=stream)))
        yield bad(f"number-{stream}", InvalidArtifact, "R-STR-7", None, says, codes(EXPONENTS, PAYLOAD), table)
    raw = directory(entry("table", TABLE_SHAPE, b"\0\0"))
    yield bad(
        "without-grid", InvalidArtifact, "R-STR-7", None, "A stream of exponents, and no grid.", codes(EXPONENTS), raw
    )


def stream_vectors() -> Iterator[Vector]:
    """All vectors of this page, in its order."""
    static = good_static_vectors, vectors_of_many_integers, bad_static_vectors
    mixing = good_mixing_vectors, bad_mixing_vectors
    for part in (good_streams, trellis_vectors, table_vectors, payload_vectors, *mixing, use_vectors, *static):
        yield from part()
