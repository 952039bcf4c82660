"""The matrices and sets that terms store, wherever they stand: in RAW, in stream 0, in the streams of integers.

Strategy: a term only lists its matrices and its set (terms/); this module walks those of all terms in
one order (directory, then terms, then matrices of a term) and decodes them, so that a new kind of term
says nothing of sections or streams. Stream 0 comes first: the steps and sets in it say what to expect
of everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ...errors import InvalidArtifact
from ..codecs import CodecFault, ExpectedScales, codec_of
from ..parallel import in_order
from .grid import MAX_STEP_OCTAVES, Exponents
from .keys import MatrixKey, TermKey
from .member_sets import FINEST, decode_set, gap_scales
from .raw_planes import decode_raw_planes
from .stored import CodedMatrix, CodedValues, RawMatrix, StoredMatrix, StoredSet
from .streams import Stream, check_amplification
from .terms import TensorEntry


def stored_matrices(directory: Sequence[TensorEntry]) -> dict[MatrixKey, StoredMatrix]:
    """All matrices that terms store, in the order in which every section holds them."""
    return {
        (i, t, m): matrix
        for i, entry in enumerate(directory)
        for t, term in enumerate(entry.terms)
        for m, matrix in enumerate(term.matrices(entry.matrix_shape))
    }


def stored_sets(directory: Sequence[TensorEntry]) -> dict[TermKey, StoredSet]:
    """All sets, in the order in which stream 0 holds their integers."""
    return {
        (i, t): stored
        for i, entry in enumerate(directory)
        for t, term in enumerate(entry.terms)
        if (stored := term.stored_set(entry.matrix_shape)) is not None
    }


def in_streams(matrices: Mapping[MatrixKey, StoredMatrix]) -> dict[MatrixKey, CodedMatrix]:
    """Those whose integers are in a stream."""
    return {key: matrix for key, matrix in matrices.items() if isinstance(matrix, CodedMatrix)}


def in_planes(matrices: Mapping[MatrixKey, StoredMatrix]) -> dict[MatrixKey, RawMatrix]:
    """Those whose values are in RAW."""
    return {key: matrix for key, matrix in matrices.items() if isinstance(matrix, RawMatrix)}


def decode_raw_matrices(data: bytes, matrices: Mapping[MatrixKey, StoredMatrix]) -> dict[MatrixKey, np.ndarray]:
    """float32[rows, columns] of every raw matrix. Raises ArtifactError [R-RAW-2, R-RAW-3]."""
    raw = in_planes(matrices)
    planes = decode_raw_planes(data, [(matrix.elements, matrix.storage) for matrix in raw.values()])
    return {key: values.reshape(raw[key].rows, raw[key].columns) for key, values in zip(raw, planes, strict=True)}


def decode_stream(stream: Stream, index: int, scales: Sequence[ExpectedScales]) -> tuple[list[np.ndarray], list[int]]:
    """The matrices of a stream and the payload position at which each was complete. Raises ArtifactError [R-STR-*]."""
    check_amplification(sum(s.symbols for s in scales), stream, index)
    return codec_of(stream.codec).decode(stream.payload, scales, offset=stream.offset, where=f"codes / stream {index}")


def exponent_scales(length: int) -> ExpectedScales:
    """Expectation of a vector of step exponents: magnitude 1 in stream 0 (spec/codecs.md)."""
    return ExpectedScales(np.zeros(1, np.int64), np.zeros(length, np.int64))


@dataclass(frozen=True, slots=True)
class FirstStream:
    """What stream 0 says.

    exponents : dict key -> (int32[rows] or None, int32[columns] or None)   of every matrix of `in_streams`
    gaps : dict (entry, term) -> int32[1, n]                                  integers of the sets that have any
    set_bytes : dict (entry, term) -> int                                     what a set took of stream 0
    step_bytes : dict (key, 0 rows or 1 columns) -> int                       likewise, of the exponents of a side
    """

    exponents: dict[MatrixKey, Exponents]
    gaps: dict[TermKey, np.ndarray]
    set_bytes: dict[TermKey, int]
    step_bytes: dict[tuple[MatrixKey, int], int]


def decode_first_stream(
    directory: Sequence[TensorEntry], matrices: Mapping[MatrixKey, CodedMatrix], streams: Sequence[Stream]
) -> FirstStream:
    """Step exponents and gaps. Raises ArtifactError [R-GRD-2, R-STR-*]."""
    sides = [
        (key, side, offset, size)
        for key, matrix in matrices.items()
        for side, (offset, size) in enumerate(
            ((matrix.record.row_offset, matrix.rows), (matrix.record.column_offset, matrix.columns))
        )
        if offset is not None
    ]
    by_gaps = {key: stored for key, stored in stored_sets(directory).items() if stored.record.vector_length}
    scales = [exponent_scales(size) for *_, size in sides]
    scales += [gap_scales(stored.record.vector_length, stored.universe) for stored in by_gaps.values()]
    vectors, ends = decode_stream(streams[0], 0, scales) if streams else ([], [])
    exponents = _exponents(directory, matrices, sides, vectors)
    sizes = [end - start for start, end in pairwise([0, *ends])]
    return FirstStream(
        exponents,
        gaps=dict(zip(by_gaps, vectors[len(sides) :], strict=True)),
        set_bytes=dict(zip(by_gaps, sizes[len(sides) :], strict=True)),
        step_bytes={(key, side): size for (key, side, *_), size in zip(sides, sizes, strict=False)},
    )


def decode_sets(directory: Sequence[TensorEntry], first: FirstStream) -> dict[TermKey, np.ndarray]:
    """int64 members, ascending, of every set by (entry, term). Raises InvalidArtifact [R-SET-6].

    To be called when the matrices are there: what they took of the file bounds the numbers of members.
    """
    members: dict[TermKey, np.ndarray] = {}
    for key, stored in stored_sets(directory).items():
        finest = _first_grid_steps(directory[key[0]], key[0], stored, first.exponents)
        members[key] = decode_set(stored.record, stored.universe, first.gaps.get(key), finest, members)
    return members


def _exponents(
    directory: Sequence[TensorEntry],
    matrices: Mapping[MatrixKey, CodedMatrix],
    sides: Sequence[tuple[MatrixKey, int, int, int]],
    vectors: Sequence[np.ndarray],
) -> dict[MatrixKey, Exponents]:
    """Exponents of all matrices; sides : (key, 0 rows or 1 columns, offset, size) of the first `vectors`."""
    exponents: dict[MatrixKey, list[np.ndarray | None]] = {key: [None, None] for key in matrices}
    for (key, side, offset, _), vector in zip(sides, vectors, strict=False):
        values = vector[0]
        values += np.int32(offset)  # both are below 2**24
        if max(values.max(), -values.min()) > MAX_STEP_OCTAVES << matrices[key].record.resolution:
            message = f"a step exponent of {directory[key[0]].name!r} is beyond {MAX_STEP_OCTAVES} octaves"
            raise InvalidArtifact(message, rule="R-GRD-2", where="codes / stream 0")
        exponents[key][side] = values
    return {key: (rows, columns) for key, (rows, columns) in exponents.items()}


def _first_grid_steps(
    entry: TensorEntry, number: int, stored: StoredSet, exponents: Mapping[MatrixKey, Exponents]
) -> np.ndarray | None:
    """The exponents, on the set's side, of the first grid of tensor `number`; there are some where a
    set needs them (R-SET-4).
    """
    if stored.record.encoding != FINEST or stored.axis is None or entry.first_grid is None:
        return None
    return exponents[number, entry.first_grid, 0][stored.axis]


def decode_integers(
    matrices: Mapping[MatrixKey, CodedMatrix],
    exponents: Mapping[MatrixKey, Exponents],
    streams: Sequence[Stream],
    finish: Callable[[MatrixKey, CodedValues], Any],
    names: Sequence[str],
) -> Iterator[tuple[MatrixKey, Any, int]]:
    """(key, what `finish` makes of integers and steps, bytes of its stream) of every matrix of `in_streams`, stream by
    stream; several are decoded and finished at once. Raises ArtifactError [R-STR-*], that of the first bad stream.

    names : of the tensors, for errors
    """
    members: dict[int, list[MatrixKey]] = {}
    for key, matrix in matrices.items():
        members.setdefault(matrix.record.stream, []).append(key)

    def decode(index: int) -> list[tuple[MatrixKey, Any, int]]:
        stream, keys, found = streams[index], members.get(index, []), []
        scales = [matrices[key].expected_scales(exponents[key]) for key in keys]
        try:
            integers, ends = decode_stream(stream, index, scales)
        except CodecFault as fault:
            raise fault.of([names[key[0]] for key in keys]) from fault
        ends[-1] = len(stream.payload)
        integers.reverse()  # so that each can be let go as it is taken
        for key, start, end in zip(keys, [0, *ends[:-1]], ends, strict=True):
            values = matrices[key].record.values(integers.pop(), exponents[key])
            found.append((key, finish(key, values), end - start))
        return found

    work = sum(matrix.elements for matrix in matrices.values())
    for found in in_order(decode, range(1, len(streams)), work):
        yield from found
