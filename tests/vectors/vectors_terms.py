"""Test vectors of tensors.md, chapter 5: terms that combine matrices, around an artifact of one tensor of 4 by 8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from naive_terms import naive_codebook, naive_low_rank, naive_sparse, naive_subset
from program_vectors import GOOD
from vector_files import Vector, artifact, codes, digest, directory, entry, planes, varint, zigzag
from vectors_program import RAW_FLOAT32, TABLE_SHAPE
from vectors_streams import grid
from vectors_tensors import TERM, TERMS, bad, table

from bytecap.errors import InvalidArtifact, LimitExceeded, MalformedArtifact, UnsupportedArtifact
from bytecap.format.codecs import INTEGER_CODECS, ExpectedScales

ROWS, COLUMNS = TABLE_SHAPE
WIDE = 130  # its varint takes two bytes
GRID = grid()[1:]  # the body of a grid of base 0.5 without steps, in stream 1
EXPONENTS = bytes(4)  # a stream 0 of no integers


def small(count: int) -> list[int]:
    """Small integers of both signs."""
    return [(7 * k * k + 3 * k) % 11 - 5 for k in range(count)]


def halves(values: Sequence[int], columns: int) -> list[list[float]]:
    """The weights of a grid of base 0.5, in rows."""
    return [[value / 2 for value in values[start : start + columns]] for start in range(0, len(values), columns)]


def good(
    name: str, says: str, values, *terms: bytes, raw: Sequence[float] = (), streams: Sequence[bytes] = ()
) -> Vector:
    """An artifact whose table decodes to `values`."""
    flat, shape = [float(value) for row in values for value in row], (len(values), len(values[0]))
    sha256 = digest(("table", shape, flat))
    data = artifact(GOOD, table(*terms, shape=shape), planes(raw), codes(*streams), digest=sha256)
    return Vector(f"good-term-{name}", "artifact", data, says, sha256=sha256.hex())


def stream_of(*matrices: tuple[Sequence[int], int], scale: int = 0) -> bytes:
    """A stream of (integers, rows), of which magnitude 2^(scale / 65536) is expected throughout."""
    arrays = [np.array(values, np.int32).reshape(rows, -1) for values, rows in matrices]
    scales = [ExpectedScales(np.zeros(a.shape[0], np.int64), np.full(a.shape[1], scale, np.int64)) for a in arrays]
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
    says = "With rank 1 + 2^28 weights a term stores more numbers than the limit has left."
    many = directory(entry("table", (2 * side, 2 * side), *[low_rank(1)] * 4))
    yield bad("low-rank-elements", LimitExceeded, "R-DIR-4", 1, says, many, b"")
    says = "A column of 2^25 rows: one side too many."
    yield bad(
        "directory-sides", LimitExceeded, "R-DIR-7", 1, says, directory(entry("table", (1 << 25, 1), grid())), b""
    )
    steps = b"\x01" + zigzag(20)
    top = grid(2.0**40, rows=steps, columns=steps, scale=160)[1:]
    exponents = stream_of(([0] * ROWS, 1), ([0], 1), ([0], 1), ([0] * COLUMNS, 1))
    content = codes(exponents, stream_of((small(ROWS), ROWS), (small(COLUMNS), 1)))
    says = "Grids at the top of their range, whose products no float32 holds."
    yield bad("low-rank-infinite", InvalidArtifact, "R-REC-4", None, says, table(low_rank(1, top, top)), b"", content)


def subset(told: bytes, axis: int = 0, matrix: bytes = RAW_FLOAT32) -> bytes:
    return b"\x04" + bytes([axis]) + told + matrix


def subset_vectors() -> Iterator[Vector]:
    """Rows 0 and 2, or columns 1, 2 and 7, told in every way, on a grid or on each other."""
    rows, columns = (0, 2), (1, 2, 7)
    raw = [value / 4 for value in small(2 * COLUMNS)]
    values = naive_subset(np.reshape(raw, (2, COLUMNS)), rows, 0, TABLE_SHAPE)
    plain, first = small(ROWS * COLUMNS), np.array(halves(small(ROWS * COLUMNS), COLUMNS))
    yield good("subset-bitmap", "Rows 0 and 2 by bits, raw.", values, subset(b"\x02\x05"), raw=raw)
    yield good(
        "subset-prefix",
        "The first two rows, raw.",
        naive_subset(np.reshape(raw, (2, COLUMNS)), (0, 1), 0, TABLE_SHAPE),
        subset(b"\x00\x02"),
        raw=raw,
    )
    gaps = stream_of(([0, -1], 1))
    yield good(
        "subset-gaps",
        "Rows 0 and 2 by gaps, raw: stream 0 without a grid.",
        values,
        subset(b"\x03\x02"),
        raw=raw,
        streams=(gaps,),
    )
    inner = small(ROWS * 3)
    chosen = naive_subset(halves(inner, 3), columns, 1, TABLE_SHAPE)
    told = subset(b"\x02\x86", 1, b"\x01" + GRID)
    stream = stream_of((plain, ROWS), (inner, ROWS))
    yield good(
        "subset-columns",
        "Columns 1, 2 and 7 of a second grid.",
        first + chosen,
        grid(),
        told,
        streams=(EXPONENTS, stream),
    )
    steps = grid(0.5, rows=b"\x01\x00")
    exponents = [0, 1, 0, 2]
    scaled = first * np.array([[2.0**e] for e in exponents])
    yield good(
        "subset-finest",
        "The rows of the two smallest exponents of the grid.",
        scaled + values,
        steps,
        subset(b"\x01\x02"),
        raw=raw,
        streams=(stream_of((exponents, 1)), rows_stream(plain, exponents)),
    )
    changes = stream_of(([1], 1), scale=65536)
    again, differing = subset(b"\x04\x00\x00\x02"), subset(b"\x05\x00\x00\x01\x01")
    planes_of_all = raw + raw + raw[:COLUMNS]
    sums = 2 * values + naive_subset(np.reshape(raw[:COLUMNS], (1, COLUMNS)), (0,), 0, TABLE_SHAPE)
    yield good(
        "subset-same-and-difference",
        "A set, the same set, and the set without row 2.",
        sums,
        subset(b"\x02\x05"),
        again,
        differing,
        raw=planes_of_all,
        streams=(changes,),
    )
    yield from bad_subsets()


def rows_stream(values: Sequence[int], exponents: Sequence[int]) -> bytes:
    """A stream of one matrix with steps of its rows at resolution 0."""
    matrix = np.array(values, np.int32).reshape(len(exponents), -1)
    scales = ExpectedScales(-65536 * np.array(exponents, np.int64), np.zeros(matrix.shape[1], np.int64))
    return INTEGER_CODECS[1].encode([matrix], [scales])


def bad_subsets() -> Iterator[Vector]:
    good_set = b"\x02\x05"
    yield bad("subset-axis", MalformedArtifact, "R-REC-8", TERM + 1, "An axis of 2.", table(subset(good_set, 2)), b"")
    inner = subset(good_set, matrix=b"\x02\x00")
    yield bad("subset-alias", MalformedArtifact, "R-REC-7", TERM + 4, "The rows of another tensor.", table(inner), b"")
    for name, told, error, rule, says in (
        ("way", b"\x06\x01", UnsupportedArtifact, "R-SET-1", "A set told in way 6."),
        ("empty", b"\x00\x00", InvalidArtifact, "R-SET-2", "A set of nothing."),
        ("all", b"\x00\x04", InvalidArtifact, "R-SET-2", "A set of all rows."),
        ("no-changes", b"\x05\x00\x00\x01\x00", InvalidArtifact, "R-SET-2", "A difference of no changes."),
        ("bits-of-nothing", b"\x02\x00", InvalidArtifact, "R-SET-2", "A bitmap of no rows."),
        ("padding", b"\x02\x11", MalformedArtifact, "R-SET-3", "A bit for a row that is not there."),
    ):
        offset = TERM + 2 + (0 if name == "way" else 4 if name == "no-changes" else 1)
        yield bad(f"set-{name}", error, rule, offset, says, table(subset(told)), b"")
    yield bad(
        "set-finest-no-grid",
        InvalidArtifact,
        "R-SET-4",
        TERMS,
        "By steps, without a grid.",
        table(subset(b"\x01\x01")),
        b"",
    )
    content = table(grid(), subset(b"\x01\x01"))
    yield bad(
        "set-finest-no-steps", InvalidArtifact, "R-SET-4", TERMS, "By steps of a grid that has none.", content, b""
    )
    for name, told, says in (
        ("itself", b"\x04\x00\x01\x01", "The same as itself."),
        ("later", b"\x04\x01\x00\x01", "The same as a set of a tensor that does not exist."),
        ("count", b"\x04\x00\x00\x01", "The same as a set of two, and of one."),
    ):
        yield bad(
            f"set-named-{name}", InvalidArtifact, "R-SET-5", TERMS, says, table(subset(good_set), subset(told)), b""
        )
    told = table(subset(b"\x02\x05", 1), subset(b"\x04\x00\x00\x02"))
    yield bad("set-named-universe", InvalidArtifact, "R-SET-5", TERMS, "Rows that are the same as columns.", told, b"")
    told = table(subset(good_set), subset(b"\x04\x00\x00\x02"), subset(b"\x04\x00\x01\x02"))
    yield bad(
        "set-named-same", InvalidArtifact, "R-SET-5", TERMS, "The same as a set that is the same as another.", told, b""
    )
    raw = planes([0.0] * COLUMNS)
    told, content = table(subset(b"\x03\x01")), codes(stream_of(([2], 1), scale=65536))
    yield bad("set-gap", InvalidArtifact, "R-SET-6", None, "A gap of 4 before the first of 4 rows.", told, raw, content)
    told, raw = table(subset(good_set), subset(b"\x05\x00\x00\x02\x01")), planes([0.0] * COLUMNS * 4)
    content = codes(stream_of(([1], 1), scale=65536))
    yield bad(
        "set-difference-count",
        InvalidArtifact,
        "R-SET-6",
        None,
        "A difference of one member that says two.",
        told,
        raw,
        content,
    )
    yield bad(
        "set-no-stream",
        InvalidArtifact,
        "R-STR-7",
        None,
        "Gaps without a stream 0.",
        table(subset(b"\x03\x01")),
        planes([0.0] * COLUMNS),
    )


def sparse(told: bytes, matrix: bytes = RAW_FLOAT32) -> bytes:
    return b"\x05" + told + matrix


def sparse_vectors() -> Iterator[Vector]:
    positions, raw = [3, 8, 30], [0.25, -7.5, 1000.0]
    values = naive_sparse(raw, positions, TABLE_SHAPE)
    gaps = stream_of(([-2, 2, -11], 1), scale=2 * 65536)
    yield good(
        "sparse-gaps", "Elements 3, 8 and 30 by gaps, raw.", values, sparse(b"\x03\x03"), raw=raw, streams=(gaps,)
    )
    told = sparse(b"\x02\x08\x01\x00\x40", b"\x01" + GRID)
    first, chosen = small(ROWS * COLUMNS), small(3)
    values = np.array(halves(first, COLUMNS)) + naive_sparse(np.array(chosen) / 2, positions, TABLE_SHAPE)
    stream = stream_of((first, ROWS), (chosen, 1))
    yield good(
        "sparse-grid",
        "The same elements by bits, on a grid, beside a grid.",
        values,
        grid(),
        told,
        streams=(EXPONENTS, stream),
    )
    yield bad(
        "sparse-all", InvalidArtifact, "R-SET-2", TERM + 2, "A set of all elements.", table(sparse(b"\x03\x20")), b""
    )
    content = table(grid(rows=b"\x01\x00", columns=b"\x01\x00"), sparse(b"\x01\x01"))
    yield bad("sparse-finest", InvalidArtifact, "R-SET-4", TERMS, "Elements by the steps of a grid.", content, b"")
    inner = table(sparse(b"\x03\x01", b"\x05\x00"))
    yield bad("sparse-sparse", MalformedArtifact, "R-REC-7", TERM + 3, "Elements of elements.", inner, b"")


def codebook(
    count: int, dimension: int, book: bytes = RAW_FLOAT32, rows: bytes = b"\0", resolution: int = 0, scale: int = 0
) -> bytes:
    return b"\x06" + varint(count) + varint(dimension) + book + bytes([resolution]) + rows + zigzag(scale) + varint(1)


def codebook_vectors() -> Iterator[Vector]:
    codewords = np.array([[-1.5, 0.25], [0.5, 3.0], [7.0, -0.125]])
    flat, indices = codewords.ravel().tolist(), np.array([k * k % 3 for k in range(ROWS * 4)]).reshape(ROWS, 4)
    exponents = [0, 3, -9, 8]
    values = naive_codebook(codewords, indices, [0] * ROWS, 0)
    stored = stream_of(((indices - 1).ravel().tolist(), ROWS))
    says = "Three codewords of two, raw."
    yield good("codebook", says, values, codebook(3, 2), raw=flat, streams=(EXPONENTS, stored))
    scaled = naive_codebook(codewords, indices, exponents, 3)
    steps = stream_of((exponents, 1))
    says = "The same with factors of the rows."
    yield good(
        "codebook-row-steps",
        says,
        scaled,
        codebook(3, 2, rows=b"\x01\x00", resolution=3),
        raw=flat,
        streams=(steps, stored),
    )
    numbers = small(4)
    scalar = naive_codebook(np.array(numbers)[:, None] / 2, indices.repeat(2, 1), [0] * ROWS, 0)
    stream = stream_of(
        (numbers, 4),
        ((indices.repeat(2, 1) - 2).ravel().tolist(), ROWS),
        ((indices - 2).repeat(2, 1).ravel().tolist(), ROWS),
    )
    says = "Four codewords of one on a grid, and twice the sum of them: the second term shares them."
    own, shared = codebook(4, 1, b"\x01" + GRID), codebook(4, 1, b"\x02\x00\x00")
    yield good("codebook-shared", says, 2 * scalar, own, shared, streams=(EXPONENTS, stream))
    wide = np.reshape(small(2 * WIDE), (2, WIDE)) / 2
    rows, stored = np.array([[1], [0], [1], [1]]), stream_of((small(2 * WIDE), 2), ([0, -1, 0, 0], ROWS))
    says = "Two codewords of a whole row of 130, on a grid, with factors of the rows."
    term = codebook(2, WIDE, b"\x01" + GRID, rows=b"\x01\x00", resolution=3)
    yield good("codebook-rows", says, naive_codebook(wide, rows, exponents, 3), term, streams=(steps, stored))
    yield from bad_codebooks(flat)


def bad_codebooks(flat: Sequence[float]) -> Iterator[Vector]:
    for name, count in (("one", 1), ("many", 65_537)):
        yield bad(
            f"codebook-{name}",
            InvalidArtifact,
            "R-CBK-1",
            TERM + 1,
            f"Codewords in the number of {count}.",
            table(codebook(count, 2)),
            b"",
        )
    for name, dimension in (("zero", 0), ("three", 3), ("long", 128), ("beyond", 65_537)):
        says = f"Codewords of {dimension} in rows of {COLUMNS}."
        yield bad(
            f"codebook-dimension-{name}", InvalidArtifact, "R-CBK-2", TERM + 2, says, table(codebook(3, dimension)), b""
        )
    yield bad(
        "codebook-book",
        MalformedArtifact,
        "R-REC-7",
        TERM + 3,
        "Codewords of kind 3.",
        table(codebook(3, 2, b"\x03\x00")),
        b"",
    )
    own, shared = codebook(3, 2), codebook(3, 2, b"\x02\x00\x00")
    for name, terms, says in (
        ("itself", (shared,), "A codebook that shares its own codewords."),
        ("grid", (grid(), shared), "A codebook that shares those of a grid."),
        ("size", (own, codebook(3, 1, b"\x02\x00\x00")), "A codebook that shares codewords of another length."),
        ("shared", (own, shared, codebook(3, 2, b"\x02\x00\x01")), "A codebook that shares shared codewords."),
        ("later", (codebook(3, 2, b"\x02\x00\x01"), own), "A codebook that shares those of a term after it."),
    ):
        yield bad(f"codebook-shares-{name}", InvalidArtifact, "R-CBK-3", TERMS, says, table(*terms), b"")
    for name, index in (("negative", -2), ("beyond", 2)):
        content = codes(EXPONENTS, stream_of(([index] + [0] * 15, ROWS)))
        says = f"The index {index + 1} of three codewords."
        yield bad(f"codebook-index-{name}", InvalidArtifact, "R-CBK-4", None, says, table(own), planes(flat), content)
    steps = codes(stream_of(([20, 0, 0, 0], 1)), stream_of(([0] * 16, ROWS)))
    says = "A number of 3e38 times 2^20."
    term = table(codebook(3, 2, rows=b"\x01\x00"))
    yield bad(
        "codebook-infinite", InvalidArtifact, "R-REC-4", None, says, term, planes([*flat[:2], 3e38, *flat[3:]]), steps
    )


def term_vectors() -> Iterator[Vector]:
    """All vectors of this chapter, in its order."""
    yield from low_rank_vectors()
    yield from subset_vectors()
    yield from sparse_vectors()
    yield from codebook_vectors()
