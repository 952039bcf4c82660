"""Test vectors of codecs.md: the CODES section and its streams, around an artifact whose one tensor is a grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from program_vectors import GOOD
from vector_files import Vector, artifact, codes, digest, directory, entry, real, varint, zigzag
from vectors_program import TABLE_SHAPE

from bytecap.format.codecs import INTEGER_CODECS, ExpectedScales
from bytecap.format.errors import ArtifactError, InvalidArtifact, LimitExceeded, MalformedArtifact, TruncatedArtifact, UnsupportedArtifact
from bytecap.format.trellis import TRELLISES


def encode(values: Sequence[int], rows: int = 1, trellis: int = 0) -> bytes:
    """A stream of one matrix of which magnitude 1 is expected throughout."""
    matrix = np.array(values, np.int32).reshape(rows, -1)
    scales = ExpectedScales(np.zeros(rows, np.int64), np.zeros(matrix.shape[1], np.int64), trellis)
    return INTEGER_CODECS[1].encode([matrix], [scales])


def trellis_integers(n_states: int, rows: int, columns: int) -> list[int]:
    """Small integers of which every column follows the trellis."""
    states, values = [0] * columns, []
    for number in range(rows * columns):
        column, u = number % columns, (number * number // 3) % 2
        values.append(states[column] % 2 + 2 * u + 4 * (number % 3 - 1))
        states[column] = int(TRELLISES[n_states][states[column], u])
    return values


def grid(
    base: float = 0.5, resolution: int = 0, trellis: int = 0, rows: bytes = b"\0", columns: bytes = b"\0", scale: int = 0, stream: int = 1
) -> bytes:
    """A grid term."""
    return b"\x01" + real(base) + bytes([resolution, trellis]) + rows + columns + zigzag(scale) + varint(stream)


GRID_DIRECTORY = directory(entry("table", TABLE_SHAPE, grid()))
EXPONENTS = bytes(4)  # a stream of no integers
INTEGERS = [(7 * k) % 5 - 2 for k in range(32)]
PAYLOAD = encode(INTEGERS, rows=4)
FIRST = 1 + 2 * 2  # offset of stream 0 when the table names two streams


def bad(name: str, error: type[ArtifactError], rule: str, offset: int | None, says: str, content: bytes, table: bytes = GRID_DIRECTORY) -> Vector:
    prefix = "unsupported" if error is UnsupportedArtifact else "bad"
    return Vector(f"{prefix}-stream-{name}", "artifact", artifact(GOOD, table, codes=content), says, error=error, rule=rule, offset=offset)


def good_streams() -> Iterator[Vector]:
    sha256 = digest(("table", TABLE_SHAPE, [value / 2 for value in INTEGERS]))
    data = artifact(GOOD, GRID_DIRECTORY, codes=codes(EXPONENTS, PAYLOAD), digest=sha256)
    yield Vector("good-stream-grid", "artifact", data, "A grid of 32 small integers without steps of its own.", sha256=sha256.hex())
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
    yield bad("many", LimitExceeded, "R-STR-1", 0, "One stream more than the default limit is claimed.", varint(1025) + bytes(3000))
    yield bad("count", LimitExceeded, "R-STR-1", 0, "More streams are claimed than the bytes could describe.", varint(9) + bytes(17))
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
    yield bad("exponents-missing", TruncatedArtifact, "R-STR-4", FIRST, "The stream of exponents has no bytes.", codes(b"", PAYLOAD))
    end = start + len(PAYLOAD)
    yield bad("more", MalformedArtifact, "R-STR-5", end, "A byte follows the last integer.", codes(EXPONENTS, PAYLOAD + b"\0"))
    changed = PAYLOAD[:-1] + bytes([PAYLOAD[-1] ^ 1])
    yield bad("final-state", MalformedArtifact, "R-STR-5", end, "The last byte is another one.", codes(EXPONENTS, changed))
    says = "The empty stream of exponents does not end in state 0."
    yield bad("exponents-state", MalformedArtifact, "R-STR-5", FIRST + 4, says, codes(b"\0\0\0\1", PAYLOAD))
    says = "An integer begins with more than 24 ones."
    yield bad("too-large", MalformedArtifact, "R-STR-6", start + 8, says, codes(EXPONENTS, b"\xff" * 40))


def use_vectors() -> Iterator[Vector]:
    says = "A stream of integers that no recipe names."
    yield bad("unnamed", InvalidArtifact, "R-STR-7", None, says, codes(EXPONENTS, PAYLOAD, PAYLOAD))
    yield bad("missing", InvalidArtifact, "R-STR-7", None, "A recipe names stream 1, there is only stream 0.", codes(EXPONENTS))
    for stream, says in ((0, "A recipe names stream 0, which holds exponents."), (2, "A recipe names stream 2 of two.")):
        table = directory(entry("table", TABLE_SHAPE, grid(stream=stream)))
        yield bad(f"number-{stream}", InvalidArtifact, "R-STR-7", None, says, codes(EXPONENTS, PAYLOAD), table)
    raw = directory(entry("table", TABLE_SHAPE, b"\0\0"))
    yield bad("without-grid", InvalidArtifact, "R-STR-7", None, "A stream of exponents, and no grid.", codes(EXPONENTS), raw)


def stream_vectors() -> Iterator[Vector]:
    """All vectors of this page, in its order."""
    for part in (good_streams, trellis_vectors, table_vectors, payload_vectors, use_vectors):
        yield from part()
