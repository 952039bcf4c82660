"""The matrices that terms store, wherever they stand: in RAW, in stream 0, in the streams of integers.

Strategy: a term only lists its matrices (recipes.py); this module walks those of all terms in one order (directory, then
terms, then matrices of a term) and decodes them, so that a new kind of term says nothing of sections or streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .codecs import INTEGER_CODECS, ExpectedScales
from .directory import TensorEntry
from .errors import InvalidArtifact
from .grid import MAX_STEP_OCTAVES, GridValues, expected_scales, exponents_or_zeros, matrix_shape
from .raw_planes import decode_raw_planes
from .recipes import Grid, Raw, StoredMatrix
from .streams import Stream, check_amplification

Place = tuple[int, int, int]  # entry of the directory, term of the entry, matrix of the term
Exponents = tuple[np.ndarray | None, np.ndarray | None]  # of rows and of columns


def stored_matrices(directory: Sequence[TensorEntry]) -> dict[Place, StoredMatrix]:
    """All matrices that terms store, in the order in which every section holds them."""
    return {
        (i, t, m): matrix
        for i, entry in enumerate(directory)
        for t, term in enumerate(entry.terms)
        for m, matrix in enumerate(term.matrices(matrix_shape(entry.shape)))
    }


def in_streams(matrices: Mapping[Place, StoredMatrix]) -> dict[Place, StoredMatrix]:
    """Those whose integers are in a stream."""
    return {place: matrix for place, matrix in matrices.items() if isinstance(matrix.record, Grid)}


def decode_raw_matrices(data: bytes, matrices: Mapping[Place, StoredMatrix]) -> dict[Place, np.ndarray]:
    """float32[rows, columns] of every raw matrix. Raises ArtifactError [R-RAW-2, R-RAW-3]."""
    raw = {place: matrix for place, matrix in matrices.items() if isinstance(matrix.record, Raw)}
    planes = decode_raw_planes(data, [(matrix.elements, matrix.record.storage) for matrix in raw.values()])
    return {place: values.reshape(raw[place].rows, raw[place].columns) for place, values in zip(raw, planes, strict=True)}


def decode_stream(stream: Stream, index: int, scales: Sequence[ExpectedScales]) -> tuple[list[np.ndarray], list[int]]:
    """The matrices of a stream and the payload position at which each was complete. Raises ArtifactError [R-STR-*]."""
    check_amplification(sum(s.symbols for s in scales), stream, index)
    codec = INTEGER_CODECS[stream.codec]
    return codec.decode(stream.payload, scales, offset=stream.offset, where=f"codes / stream {index}")


def exponent_scales(length: int) -> ExpectedScales:
    """Expectation of a vector of step exponents: magnitude 1 in stream 0 (spec/codecs.md)."""
    return ExpectedScales(np.zeros(1, np.int64), np.zeros(length, np.int64))


def decode_exponents(directory: Sequence[TensorEntry], matrices: Mapping[Place, StoredMatrix], stream: Stream) -> dict[Place, Exponents]:
    """Row and column exponents (int64 or None) of every matrix of `in_streams` from stream 0."""
    wanted = []
    for place, matrix in matrices.items():
        sides = enumerate(((matrix.record.row_offset, matrix.rows), (matrix.record.column_offset, matrix.columns)))
        wanted += [(place, side, offset, size) for side, (offset, size) in sides if offset is not None]
    vectors, _ = decode_stream(stream, 0, [exponent_scales(size) for *_, size in wanted])
    exponents = {place: [None, None] for place in matrices}
    for (place, side, offset, _), values in zip(wanted, vectors, strict=True):
        values = values[0].astype(np.int64) + offset
        if np.abs(values).max() > MAX_STEP_OCTAVES << matrices[place].record.resolution:
            message = f"a step exponent of {directory[place[0]].name!r} is beyond {MAX_STEP_OCTAVES} octaves"
            raise InvalidArtifact(message, rule="R-GRD-2", where="codes / stream 0")
        exponents[place][side] = values
    return {place: tuple(sides) for place, sides in exponents.items()}


def decode_integers(
    matrices: Mapping[Place, StoredMatrix], exponents: Mapping[Place, Exponents], streams: Sequence[Stream]
) -> Iterator[tuple[Place, GridValues, int]]:
    """(place, integers and steps, bytes of its stream) of every matrix of `in_streams`, stream by stream."""
    for index, stream in enumerate(streams[1:], start=1):
        members = [place for place, matrix in matrices.items() if matrix.record.stream == index]
        integers, ends = decode_stream(stream, index, [_expected_scales(matrices[place], exponents[place]) for place in members])
        ends[-1] = len(stream.payload)
        integers.reverse()  # so that each can be let go as it is taken
        for place, start, end in zip(members, [0, *ends[:-1]], ends, strict=True):
            record = matrices[place].record
            steps = *exponents[place], record.base, record.resolution, record.trellis_states, record.initial_scale
            yield place, GridValues(integers.pop(), *steps), end - start


def _expected_scales(matrix: StoredMatrix, exponents: Exponents) -> ExpectedScales:
    record = matrix.record
    sides = exponents_or_zeros(exponents[0], matrix.rows), exponents_or_zeros(exponents[1], matrix.columns)
    return expected_scales(*sides, record.resolution, record.initial_scale, record.trellis_states)
