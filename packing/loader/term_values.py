"""The directory: tensors, the terms they are sums of, and the sets in these (spec/tensors.md).

Strategy: reading a term leaves in the `Directory` the arrays that the sections have yet to fill, in the order in which
these hold them, and answers with a function that makes the term's values when they are full. The tables by number below
are what the packer prunes to an artifact's own kinds.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .artifact_fields import take_bytes, take_float, take_signed, take_varint

Values = Callable[[], np.ndarray]
FRACTIONS = np.exp2(np.arange(8) / 8).astype(np.float32)


class Directory:
    """What is read of a directory, and what is still to be filled.

    planes : [(storage, float32[rows, columns])]                                      of RAW
    vectors, gaps : [(integers, row and column exponents, unit, start, trellis)]      of stream 0
    streams : stream -> the same                                                      of the others
    offsets : [(integers, number to be added)]                                        when stream 0 is there
    """

    def __init__(self) -> None:
        self.planes: list[Any] = []
        self.vectors: list[Any] = []
        self.gaps: list[Any] = []
        self.offsets: list[Any] = []
        self.streams: dict[int, list[Any]] = {}
        self.books: dict[Any, Values] = {}
        self.sets: dict[Any, Values] = {}
        self.steps: dict[Any, list[np.ndarray]] = {}
        self.tensors: list[np.ndarray] = []


def read_entries(directory: Directory, data: bytes) -> list[tuple[bytes, list[int], list[Values]]]:
    """Name, shape and terms of every tensor."""
    fields, entries = iter(data), []
    for tensor in range(take_varint(fields)):
        name = take_bytes(fields, take_varint(fields))
        next(fields)
        shape = [take_varint(fields) for _ in range(next(fields))]
        rows = shape[0] if len(shape) > 1 else 1
        columns = int(np.prod(shape)) // rows
        places = [(tensor, term) for term in range(next(fields))]
        entries.append((name, shape, [read_term(directory, fields, rows, columns, place) for place in places]))
    return entries


def read_term(directory: Directory, fields: Iterator[int], rows: int, columns: int, place: Any = None) -> Values:
    """A term, or the matrix of one, which has no place (tensor, number) of its own."""
    return TERMS[next(fields)](directory, fields, rows, columns, place)


def read_raw(directory: Directory, fields: Iterator[int], rows: int, columns: int, place: Any) -> Values:
    """Values in RAW."""
    values = np.empty((rows, columns), np.float32)
    directory.planes.append((next(fields), values))
    return lambda: values


def read_grid(directory: Directory, fields: Iterator[int], rows: int, columns: int, place: Any) -> Values:
    """Integers times steps."""
    base, octave, trellis = np.float32(take_float(fields)), 1 << next(fields), next(fields)
    steps = directory.steps[place] = [read_steps(directory, fields, size) for size in (rows, columns)]
    codes = read_integers(directory, fields, steps, 65536 // octave, trellis)

    def values() -> np.ndarray:
        sums = steps[0][:, None] + steps[1]
        lowest = sums.min()
        return codes.astype(np.float32) * step_sizes(base, np.arange(lowest, sums.max() + 1), octave)[sums - lowest]

    return values


def step_sizes(base: np.float32, exponents: np.ndarray, octave: int) -> np.ndarray:
    """The step of each exponent, of which `octave` make one."""
    return np.ldexp(base * FRACTIONS[exponents % octave * 8 // octave], exponents // octave)


def read_steps(directory: Directory, fields: Iterator[int], size: int) -> np.ndarray:
    """The exponents of a side, zeros until stream 0 has been read."""
    exponents = np.zeros(size, np.int64)
    if next(fields):
        directory.offsets.append((exponents, take_signed(fields)))
        directory.vectors.append(vector_of(exponents, 0))
    return exponents


def vector_of(integers: np.ndarray, scale: int) -> tuple[Any, ...]:
    """A vector of stream 0 that is expected to be of this log2 magnitude."""
    return integers[None], [np.zeros(1, np.int64), np.zeros(integers.size, np.int64)], 0, scale, 0


def read_integers(
    directory: Directory, fields: Iterator[int], steps: list[np.ndarray], unit: int, trellis: int
) -> np.ndarray:
    """The integers of a matrix with these steps, zeros until its stream has been read: in memory that a process shares
    with those it forks.
    """
    size, start = steps[0].size * steps[1].size, take_signed(fields) * 16384
    codes = np.frombuffer(mmap.mmap(-1, 8 * size), np.int64).reshape(-1, steps[1].size)
    directory.streams.setdefault(take_varint(fields), []).append((codes, steps, unit, start, trellis))
    return codes


def read_alias(directory: Directory, fields: Iterator[int], rows: int, columns: int, place: Any) -> Values:
    """An earlier tensor."""
    source = take_varint(fields)
    return lambda: directory.tensors[source].reshape(rows, columns)


def read_low_rank(directory: Directory, fields: Iterator[int], rows: int, columns: int, place: Any) -> Values:
    """A product of two grids, added up in float64 one column after the other."""
    rank = take_varint(fields)
    left, right = (read_grid(directory, fields, *sizes, None) for sizes in ((rows, rank), (rank, columns)))

    def values() -> np.ndarray:
        total = np.zeros((rows, columns))
        for column, row in zip(left().astype(float).T, right().astype(float), strict=True):
            total += column[:, None] * row
        return total.astype(np.float32)

    return values


def read_subset(directory: Directory, fields: Iterator[int], rows: int, columns: int, place: Any) -> Values:
    """Some rows or columns; zeros elsewhere."""
    axis = next(fields)
    count, members = read_set(directory, fields, (rows, columns)[axis], place, axis)
    inner = read_term(directory, fields, rows if axis else count, count if axis else columns)

    def values() -> np.ndarray:
        whole = np.zeros((rows, columns), np.float32)
        (whole.T if axis else whole)[members()] = inner().T if axis else inner()
        return whole

    return values


def read_sparse(directory: Directory, fields: Iterator[int], rows: int, columns: int, place: Any) -> Values:
    """Some elements; zeros elsewhere."""
    count, members = read_set(directory, fields, rows * columns, place, 0)
    inner = read_term(directory, fields, 1, count)

    def values() -> np.ndarray:
        whole = np.zeros(rows * columns, np.float32)
        whole[members()] = inner()[0]
        return whole.reshape(rows, columns)

    return values


def read_codebook(directory: Directory, fields: Iterator[int], rows: int, columns: int, place: Any) -> Values:
    """Codewords by index, times a step a row."""
    count, width = take_varint(fields), take_varint(fields)
    kind = next(fields)
    named = (take_varint(fields), next(fields)) if kind > 1 else place
    if kind < 2:
        directory.books[place] = TERMS[kind](directory, fields, count, width, None)
    octave = 1 << next(fields)
    steps = [read_steps(directory, fields, rows), np.zeros(columns // width, np.int64)]
    codes = read_integers(directory, fields, steps, 0, 0)

    def values() -> np.ndarray:
        words = directory.books[named]()[codes + count // 2]
        return (words * step_sizes(np.float32(1), steps[0], octave)[:, None, None]).reshape(rows, columns)

    return values


TERMS = {
    0: read_raw,
    1: read_grid,
    2: read_alias,
    3: read_low_rank,
    4: read_subset,
    5: read_sparse,
    6: read_codebook,
}


def read_set(directory: Directory, fields: Iterator[int], universe: int, place: Any, axis: int) -> tuple[int, Values]:
    """How many members a set has, and a function that gives them in ascending order."""
    count, members = SETS[next(fields)](directory, fields, universe, place, axis)
    directory.sets[place] = members
    return count, members


def read_prefix(directory: Directory, fields: Iterator[int], universe: int, place: Any, axis: int) -> Any:
    """The first ones."""
    count = take_varint(fields)
    return count, lambda: np.arange(count)


def read_finest(directory: Directory, fields: Iterator[int], universe: int, place: Any, axis: int) -> Any:
    """Those of the smallest exponents of the tensor's first grid."""
    count = take_varint(fields)

    def members() -> np.ndarray:
        first = min(key for key in directory.steps if key and key[0] == place[0])
        return np.sort(np.argsort(directory.steps[first][axis], kind="stable")[:count])

    return count, members


def read_bitmap(directory: Directory, fields: Iterator[int], universe: int, place: Any, axis: int) -> Any:
    """A bit each."""
    bits = np.frombuffer(take_bytes(fields, (universe + 7) // 8), np.uint8)
    members = np.unpackbits(bits, bitorder="little").nonzero()[0]
    return members.size, lambda: members


def read_gaps(directory: Directory, fields: Iterator[int], universe: int, place: Any, axis: int) -> Any:
    """How many lie between them, in stream 0."""
    count = take_varint(fields)
    gaps = np.zeros(count, np.int64)
    directory.gaps.append(vector_of(gaps, (universe // count).bit_length() * 65536 - 131072))
    return count, lambda: (np.where(gaps < 0, -2 * gaps, 2 * gaps + 1)).cumsum() - 1


def read_same(directory: Directory, fields: Iterator[int], universe: int, place: Any, axis: int) -> Any:
    """Those of an earlier set."""
    named = take_varint(fields), next(fields)
    return take_varint(fields), directory.sets[named]


def read_difference(directory: Directory, fields: Iterator[int], universe: int, place: Any, axis: int) -> Any:
    """Those of either an earlier set or one told by gaps."""
    named = take_varint(fields), next(fields)
    count = take_varint(fields)
    changes = read_gaps(directory, fields, universe, place, axis)[1]
    return count, lambda: np.setxor1d(directory.sets[named](), changes())


SETS = {
    0: read_prefix,
    1: read_finest,
    2: read_bitmap,
    3: read_gaps,
    4: read_same,
    5: read_difference,
}
