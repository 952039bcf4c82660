"""Assembling an artifact from values: the writer's side of artifact.py.

Strategy: the caller says what each tensor is (parts.py) and in which stream its integers go; this module derives every
stored number from that, encodes, and reads its own output back, so that a written artifact has already passed the reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .artifact import decode_tensors, encode_provenance, read_artifact, sum_terms, tensors_digest
from .codecs import INTEGER_CODECS, ExpectedScales
from .container import CODES, DIGEST, DIRECTORY, PROGRAM, PROVENANCE, RAW, make_section, write_container
from .cursor import Writer
from .directory import TensorEntry, write_directory
from .grid import GridValues, expected_scales, exponents_or_zeros, fit_initial_scale
from .matrices import exponent_scales
from .member_sets import gap_scales
from .parts import (
    GridInStream,
    LowRankValues,
    Part,
    RawValues,
    SparseValues,
    SubsetValues,
    TensorSource,
    all_matrices,
    choose_sets,
    reconstruct_part,
    step_offset,
    term_of,
)
from .program import Program, encode_program
from .raw_planes import encode_raw_planes
from .recipes import write_term
from .set_choice import ToldSet
from .streams import Stream, write_streams

DEFAULT_CODEC = 1

__all__ = [
    "DEFAULT_CODEC",
    "GridInStream",
    "LowRankValues",
    "RawValues",
    "SparseValues",
    "SubsetValues",
    "TensorSource",
    "assemble_artifact",
    "encode_grid_stream",
    "part_bytes",
    "reconstruct_part",
]  # what a writer needs, parts included


def assemble_artifact(
    program: Program, tensors: Sequence[TensorSource], provenance: Mapping[str, object] | None = None, codec: int = DEFAULT_CODEC
) -> bytes:
    """The bytes of an artifact whose integers are coded by the codec of that wire id.

    Deterministic; raises ArtifactError when the result would break a rule of spec/.
    """
    sets = choose_sets(tensors)
    entries = tuple(_entry_of(tensor, index, sets) for index, tensor in enumerate(tensors))
    matrices = all_matrices(tensors)
    raw = encode_raw_planes([(matrix.values, matrix.storage) for matrix in matrices if isinstance(matrix, RawValues)])
    streams = _encode_streams([matrix for matrix in matrices if isinstance(matrix, GridInStream)], list(sets.values()), codec)
    digest = tensors_digest(entries, _reconstruct(tensors))
    sections = [
        make_section(PROGRAM, encode_program(program)),
        make_section(DIRECTORY, write_directory(entries)),
        make_section(RAW, raw),
        make_section(CODES, write_streams(streams), compress=False),
        make_section(DIGEST, digest, compress=False),
    ]
    if provenance:
        sections.append(make_section(PROVENANCE, encode_provenance(provenance)))
    data = write_container(sections)
    decode_tensors(read_artifact(data))
    return data


def _entry_of(tensor: TensorSource, index: int, sets: Mapping[tuple[int, int], ToldSet]) -> TensorEntry:
    told = [sets[index, t].record if (index, t) in sets else None for t in range(len(tensor.parts))]
    return TensorEntry(tensor.name, tuple(tensor.shape), tensor.dtype, tuple(map(term_of, tensor.parts, told)))


def _encode_streams(matrices: Sequence[GridInStream], sets: Sequence[ToldSet], codec: int) -> list[Stream]:
    gaps = [told for told in sets if told.integers is not None]
    if not matrices and not gaps:
        return []
    residuals = []
    for matrix in matrices:
        for exponents in (matrix.grid.row_exponents, matrix.grid.column_exponents):
            if exponents is not None:
                residuals.append((exponents - step_offset(exponents)).astype(np.int32)[None, :])
    scales = [exponent_scales(r.size) for r in residuals] + [gap_scales(told.integers.size, told.universe) for told in gaps]
    streams = [_encode_first_stream(residuals + [told.integers for told in gaps], scales)]
    for index in range(1, max((matrix.stream for matrix in matrices), default=0) + 1):
        grids = [matrix.grid for matrix in matrices if matrix.stream == index]
        streams.append(Stream(codec, encode_grid_stream(grids, codec)))
    return streams


def _encode_first_stream(vectors: Sequence[np.ndarray], scales: Sequence[ExpectedScales]) -> Stream:
    """Stream 0: few numbers, by whatever codec makes it smallest."""
    candidates = [Stream(wire_id, codec.encode(vectors, scales)) for wire_id, codec in sorted(INTEGER_CODECS.items())]
    return min(candidates, key=lambda stream: len(stream.payload))


def encode_grid_stream(grids: Sequence[GridValues], codec: int = DEFAULT_CODEC) -> bytes:
    """One stream of several grids' codes, as the CODES section holds it."""
    scales = []
    for grid in grids:
        rows, columns = grid.codes.shape
        sides = exponents_or_zeros(grid.row_exponents, rows), exponents_or_zeros(grid.column_exponents, columns)
        scales.append(expected_scales(*sides, grid.resolution, fit_initial_scale(grid), grid.trellis_states))
    return INTEGER_CODECS[codec].encode([grid.codes for grid in grids], scales)


def part_bytes(parts: Sequence[Part], shape: tuple[int, ...], codec: int = DEFAULT_CODEC) -> int:
    """Bytes that one tensor's parts take by themselves: recipe terms, stream 0, integers, and raw planes as compressed."""
    tensor = TensorSource("", shape, "float32", tuple(parts))
    sets = choose_sets([tensor])
    writer = Writer()
    for term in _entry_of(tensor, 0, sets).terms:
        write_term(writer, term)
    matrices = all_matrices([tensor])
    planes = encode_raw_planes([(matrix.values, matrix.storage) for matrix in matrices if isinstance(matrix, RawValues)])
    stored = make_section(RAW, planes).stored if planes else b""
    streams = _encode_streams([matrix for matrix in matrices if isinstance(matrix, GridInStream)], list(sets.values()), codec)
    return len(writer.bytes()) + len(stored) + sum(len(stream.payload) for stream in streams)


def _reconstruct(tensors: Sequence[TensorSource]) -> list[np.ndarray]:
    arrays: list[np.ndarray] = []
    for tensor in tensors:
        terms = [reconstruct_part(part, tensor.shape, arrays=arrays) for part in tensor.parts]
        arrays.append(sum_terms(terms))
    return arrays
