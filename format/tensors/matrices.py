"""The matrices and sets that terms store, wherever they stand: in RAW, in stream 0, in the streams of integers.

Strategy: a term only lists its matrices (recipes.py) and its set; this module walks those of all terms in one order
(directory, then terms, then matrices of a term) and decodes them, so that a new kind of term says nothing of sections or
streams. Stream 0 comes first: the steps and sets in it say what to expect of everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...errors import InvalidArtifact
from ..codecs import INTEGER_CODECS, ExpectedScales
from .codebooks import IndexValues, index_scales
from .directory import TensorEntry, first_grid, set_of
from .grid import MAX_STEP_OCTAVES, GridValues, expected_scales, exponents_or_zeros, matrix_shape
from .member_sets import FINEST, MemberSet, decode_set, gap_scales
from .raw_planes import decode_raw_planes
from .recipes import Grid, Indices, Raw, StoredMatrix
from .streams import Stream, check_amplification

Place = tuple[int, int, int]  # entry of the directory, term of the entry, matrix of the term
SetPlace = tuple[int, int]  # entry of the directory, term of the entry
Exponents = tuple[np.ndarray | None, np.ndarray | None]  # of rows and of columns


def stored_matrices(directory: Sequence[TensorEntry]) -> dict[Place, StoredMatrix]:
    """All matrices that terms store, in the order in which every section holds them."""
    return {
        (i, t, m): matrix
        for i, entry in enumerate(directory)
        for t, term in enumerate(entry.terms)
        for m, matrix in enumerate(term.matrices(matrix_shape(entry.shape)))
    }


def set_terms(directory: Sequence[TensorEntry]) -> dict[SetPlace, tuple[MemberSet, int]]:
    """The record of every set and the size of its universe, in the order in which stream 0 holds their integers."""
    return {
        (i, t): (told, term.universe(matrix_shape(entry.shape)))
        for i, entry in enumerate(directory)
        for t, term in enumerate(entry.terms)
        if (told := set_of(term)) is not None
    }


def in_streams(matrices: Mapping[Place, StoredMatrix]) -> dict[Place, StoredMatrix]:
    """Those whose integers are in a stream."""
    return {place: matrix for place, matrix in matrices.items() if isinstance(matrix.record, Grid | Indices)}


def decode_raw_matrices(data: bytes, matrices: Mapping[Place, StoredMatrix]) -> dict[Place, np.ndarray]:
    """float32[rows, columns] of every raw matrix. Raises ArtifactError [R-RAW-2, R-RAW-3]."""
    raw = {place: matrix for place, matrix in matrices.items() if isinstance(matrix.record, Raw)}
    planes = decode_raw_planes(data, [(matrix.elements, matrix.record.storage) for matrix in raw.values()])
    return {
        place: values.reshape(raw[place].rows, raw[place].columns) for place, values in zip(raw, planes, strict=True)
    }


def decode_stream(stream: Stream, index: int, scales: Sequence[ExpectedScales]) -> tuple[list[np.ndarray], list[int]]:
    """The matrices of a stream and the payload position at which each was complete. Raises ArtifactError [R-STR-*]."""
    check_amplification(sum(s.symbols for s in scales), stream, index)
    codec = INTEGER_CODECS[stream.codec]
    return codec.decode(stream.payload, scales, offset=stream.offset, where=f"codes / stream {index}")


def exponent_scales(length: int) -> ExpectedScales:
    """Expectation of a vector of step exponents: magnitude 1 in stream 0 (spec/codecs.md)."""
    return ExpectedScales(np.zeros(1, np.int64), np.zeros(length, np.int64))


@dataclass(frozen=True, slots=True)
class FirstStream:
    """What stream 0 says.

    exponents : dict place -> (int64[rows] or None, int64[columns] or None)   of every matrix of `in_streams`
    gaps : dict (entry, term) -> int32[1, n]                                  integers of the sets that have any
    set_bytes : dict (entry, term) -> int                                     what a set took of stream 0
    """

    exponents: dict[Place, Exponents]
    gaps: dict[SetPlace, np.ndarray]
    set_bytes: dict[SetPlace, int]


def decode_first_stream(
    directory: Sequence[TensorEntry], matrices: Mapping[Place, StoredMatrix], streams: Sequence[Stream]
) -> FirstStream:
    """Step exponents and gaps. Raises ArtifactError [R-GRD-2, R-STR-*]."""
    sides = [
        (place, side, offset, size)
        for place, matrix in matrices.items()
        for side, (offset, size) in enumerate(
            ((matrix.record.row_offset, matrix.rows), (matrix.record.column_offset, matrix.columns))
        )
        if offset is not None
    ]
    sets = set_terms(directory)
    by_gaps = [place for place, (told, _) in sets.items() if told.vector_length]
    scales = [exponent_scales(size) for *_, size in sides] + [
        gap_scales(sets[place][0].vector_length, sets[place][1]) for place in by_gaps
    ]
    vectors, ends = decode_stream(streams[0], 0, scales) if streams else ([], [])
    exponents = _exponents(directory, matrices, sides, vectors)
    starts = [0, *ends][len(sides) :]
    set_bytes = {place: end - start for place, (start, end) in zip(by_gaps, pairwise(starts), strict=True)}
    return FirstStream(exponents, dict(zip(by_gaps, vectors[len(sides) :], strict=True)), set_bytes)


def decode_sets(directory: Sequence[TensorEntry], first: FirstStream) -> dict[SetPlace, np.ndarray]:
    """int64 members, ascending, of every set by (entry, term). Raises InvalidArtifact [R-SET-6].

    To be called when the matrices are there: what they took of the file bounds the numbers of members.
    """
    members: dict[SetPlace, np.ndarray] = {}
    for place, (told, universe) in set_terms(directory).items():
        finest = _first_grid_steps(directory, place, first.exponents) if told.encoding == FINEST else None
        members[place] = decode_set(told, universe, first.gaps.get(place), finest, members)
    return members


def _exponents(directory, matrices, sides, vectors) -> dict[Place, Exponents]:
    exponents = {place: [None, None] for place in matrices}
    for (place, side, offset, _), values in zip(sides, vectors, strict=False):
        values = values[0].astype(np.int64) + offset
        if np.abs(values).max() > MAX_STEP_OCTAVES << matrices[place].record.resolution:
            message = f"a step exponent of {directory[place[0]].name!r} is beyond {MAX_STEP_OCTAVES} octaves"
            raise InvalidArtifact(message, rule="R-GRD-2", where="codes / stream 0")
        exponents[place][side] = values
    return {place: tuple(both) for place, both in exponents.items()}


def _first_grid_steps(
    directory: Sequence[TensorEntry], place: SetPlace, exponents: Mapping[Place, Exponents]
) -> np.ndarray:
    """The exponents, on the set's side, of the first grid of its tensor (there are some, says R-SET-4)."""
    entry, term = place
    return exponents[entry, first_grid(directory[entry]), 0][directory[entry].terms[term].axis]


def decode_integers(
    matrices: Mapping[Place, StoredMatrix], exponents: Mapping[Place, Exponents], streams: Sequence[Stream]
) -> Iterator[tuple[Place, GridValues | IndexValues, int]]:
    """(place, integers and steps, bytes of its stream) of every matrix of `in_streams`, stream by stream."""
    for index, stream in enumerate(streams[1:], start=1):
        members = [place for place, matrix in matrices.items() if matrix.record.stream == index]
        integers, ends = decode_stream(
            stream, index, [_expected_scales(matrices[place], exponents[place]) for place in members]
        )
        ends[-1] = len(stream.payload)
        integers.reverse()  # so that each can be let go as it is taken
        for place, start, end in zip(members, [0, *ends[:-1]], ends, strict=True):
            yield place, _values(matrices[place].record, integers.pop(), exponents[place]), end - start


def _values(record: Grid | Indices, integers: np.ndarray, exponents: Exponents) -> GridValues | IndexValues:
    if isinstance(record, Indices):
        return IndexValues(integers, exponents[0], record.resolution, record.initial_scale)
    return GridValues(integers, *exponents, record.base, record.resolution, record.trellis_states, record.initial_scale)


def _expected_scales(matrix: StoredMatrix, exponents: Exponents) -> ExpectedScales:
    record = matrix.record
    if isinstance(record, Indices):
        return index_scales(matrix.rows, matrix.columns, record.initial_scale)
    sides = exponents_or_zeros(exponents[0], matrix.rows), exponents_or_zeros(exponents[1], matrix.columns)
    return expected_scales(*sides, record.resolution, record.initial_scale, record.trellis_states)
