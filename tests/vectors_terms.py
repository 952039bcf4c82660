"""Test vectors of tensors.md, chapter 5: terms that combine matrices, around an artifact of one tensor of 4 by 8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from naive_terms import naive_low_rank
from program_vectors import GOOD
from vector_files import Vector, artifact, codes, digest, directory, entry, planes, varint, zigzag
from vectors_program import TABLE_SHAPE
from vectors_streams import grid
from vectors_tensors import TERM, bad, table

from bytecap.format.codecs import INTEGER_CODECS, ExpectedScales
from bytecap.format.errors import InvalidArtifact, LimitExceeded

ROWS, COLUMNS = TABLE_SHAPE
GRID = grid()[1:]  # the body of a grid of base 0.5 without steps, in stream 1
EXPONENTS = bytes(4)  # a stream 0 of no integers


def small(count: int) -> list[int]:
    """Small integers of both signs."""
    return [(7 * k * k + 3 * k) % 11 - 5 for k in range(count)]


def halves(values: Sequence[int], columns: int) -> list[list[float]]:
    """The weights of a grid of base 0.5, in rows."""
    return [[value / 2 for value in values[start : start + columns]] for start in range(0, len(values), columns)]


def good(name: str, says: str, values, *terms: bytes, raw: Sequence[float] = (), streams: Sequence[bytes] = ()) -> Vector:
    """An artifact whose table decodes to `values`."""
    flat = [float(value) for row in values for value in row]
    sha256 = digest(("table", TABLE_SHAPE, flat))
    data = artifact(GOOD, table(*terms), planes(raw), codes(*streams), digest=sha256)
    return Vector(f"good-term-{name}", "artifact", data, says, sha256=sha256.hex())


def stream_of(*matrices: tuple[Sequence[int], int]) -> bytes:
    """A stream of (integers, rows), of which magnitude 1 is expected throughout."""
    arrays = [np.array(values, np.int32).reshape(rows, -1) for values, rows in matrices]
    scales = [ExpectedScales(np.zeros(a.shape[0], np.int64), np.zeros(a.shape[1], np.int64)) for a in arrays]
    return INTEGER_CODECS[1].encode(arrays, scales)


def low_rank(rank: int, left: bytes = GRID, right: bytes = GRID) -> bytes:
    return b"\x03" + varint(rank) + left + right


def low_rank_vectors() -> Iterator[Vector]:
    left, right = small(ROWS * 2), small(2 * COLUMNS)[::-1]
    product = naive_low_rank(halves(left, 2), halves(right, COLUMNS))
    stream = stream_of((left, ROWS), (right, 2))
    yield good("low-rank", "A product of rank 2.", product, low_rank(2), streams=(EXPONENTS, stream))
    for rank in (0, ROWS + 1):
        says = f"A rank of {rank} for {ROWS} rows."
        yield bad(f"low-rank-{rank}", InvalidArtifact, "R-REC-5", TERM + 1, says, table(low_rank(rank)), b"")
    side = 1 << 13
    large = directory(entry("table", (side, side), low_rank(side)))
    yield bad("low-rank-products", LimitExceeded, "R-REC-6", 1, "2^39 products in a few bytes.", large, b"")
    says = "With rank 1 + 2^26 weights a term stores more numbers than the limit has left."
    many = directory(entry("table", (side, side), *[low_rank(1)] * 4))
    yield bad("low-rank-elements", LimitExceeded, "R-DIR-4", 1, says, many, b"")
    steps = b"\x01" + zigzag(20)
    top = grid(2.0**40, rows=steps, columns=steps, scale=160)[1:]
    exponents = stream_of(([0] * ROWS, 1), ([0], 1), ([0], 1), ([0] * COLUMNS, 1))
    content = codes(exponents, stream_of((small(ROWS), ROWS), (small(COLUMNS), 1)))
    says = "Grids at the top of their range, whose products no float32 holds."
    yield bad("low-rank-infinite", InvalidArtifact, "R-REC-4", None, says, table(low_rank(1, top, top)), b"", content)


def term_vectors() -> Iterator[Vector]:
    """All vectors of this chapter, in its order."""
    yield from low_rank_vectors()
