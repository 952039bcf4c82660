"""Assembling an artifact from values: the writer's side of artifact.py.

Strategy: the caller says what each tensor is (parts.py) and in which stream its integers go; this module derives every
stored number from that, encodes, and reads its own output back, so that a written artifact has already passed the reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .artifact import decode_tensors, encode_provenance, read_artifact, sum_terms, tensors_digest
from .codecs import INTEGER_CODECS, ExpectedScales
from .container.container import CODES, DIGEST, DIRECTORY, PROGRAM, PROVENANCE, RAW, make_section, write_container
from .container.cursor import Writer
from .program.program import Program, encode_program
from .tensors.codebooks import IndexValues, fit_index_scale, index_scales
from .tensors.directory import TensorEntry, write_directory
from .tensors.grid import GridValues, expected_scales, exponents_or_zeros, fit_initial_scale
from .tensors.matrices import exponent_scales
from .tensors.member_sets import gap_scales
from .tensors.parts import (
    CodebookReference,
    Codebooks,
    CodebookValues,
    GridInStream,
    IndicesInStream,
    LowRankValues,
    Part,
    RawValues,
    SparseValues,
    SubsetValues,
    TensorSource,
    all_matrices,
    choose_sets,
    coded_values,
    own_codebooks,
    reconstruct_part,
    step_offset,
    term_of,
)
from .tensors.raw_planes import encode_raw_planes
from .tensors.recipes import write_term
from .tensors.set_choice import KnownSets, ToldSet
from .tensors.streams import Stream, write_streams

DEFAULT_CODEC = 1

__all__ = [
    "DEFAULT_CODEC",
    "CodebookReference",
    "CodebookValues",
    "GridInStream",
    "LowRankValues",
    "RawValues",
    "SparseValues",
    "SubsetValues",
    "TensorSource",
    "assemble_artifact",
    "encode_grid_stream",
    "own_codebooks",
    "part_bytes",
    "reconstruct_part",
]  # what a writer needs, parts included


def assemble_artifact(
    program: Program,
    tensors: Sequence[TensorSource],
    provenance: Mapping[str, object] | None = None,
    codec: int = DEFAULT_CODEC,
) -> bytes:
    """The bytes of an artifact whose integers are coded by the codec of that wire id.

    Deterministic; raises ArtifactError when the result would break a rule of spec/.
    """
    sets, codebooks = choose_sets(tensors), own_codebooks(tensors)
    entries = tuple(_entry_of(tensor, index, sets, codebooks) for index, tensor in enumerate(tensors))
    matrices = all_matrices(tensors, codebooks)
    raw = encode_raw_planes([(matrix.values, matrix.storage) for matrix in matrices if isinstance(matrix, RawValues)])
    streams = _encode_streams(
        [matrix for matrix in matrices if not isinstance(matrix, RawValues)], list(sets.values()), codec
    )
    digest = tensors_digest(entries, _reconstruct(tensors, codebooks))
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


def _entry_of(
    tensor: TensorSource, index: int, sets: Mapping[tuple[int, int], ToldSet], codebooks: Codebooks
) -> TensorEntry:
    told = [sets[index, t].record if (index, t) in sets else None for t in range(len(tensor.parts))]
    terms = (term_of(part, how, codebooks) for part, how in zip(tensor.parts, told, strict=True))
    return TensorEntry(tensor.name, tuple(tensor.shape), tensor.dtype, tuple(terms))


def _encode_streams(
    matrices: Sequence[GridInStream | IndicesInStream], sets: Sequence[ToldSet], codec: int
) -> list[Stream]:
    gaps = [told for told in sets if told.integers is not None]
    if not matrices and not gaps:
        return []
    residuals = []
    for matrix in matrices:
        values = coded_values(matrix)
        for exponents in (values.row_exponents, values.column_exponents):
            if exponents is not None:
                residuals.append((exponents - step_offset(exponents)).astype(np.int32)[None, :])
    scales = [exponent_scales(r.size) for r in residuals] + [
        gap_scales(told.integers.size, told.universe) for told in gaps
    ]
    streams = [_encode_first_stream(residuals + [told.integers for told in gaps], scales)]
    for index in range(1, max((matrix.stream for matrix in matrices), default=0) + 1):
        members = [coded_values(matrix) for matrix in matrices if matrix.stream == index]
        streams.append(Stream(codec, encode_grid_stream(members, codec)))
    return streams


def _encode_first_stream(vectors: Sequence[np.ndarray], scales: Sequence[ExpectedScales]) -> Stream:
    """Stream 0: few numbers, by whatever codec makes it smallest."""
    candidates = [Stream(wire_id, codec.encode(vectors, scales)) for wire_id, codec in sorted(INTEGER_CODECS.items())]
    return min(candidates, key=lambda stream: len(stream.payload))


def encode_grid_stream(members: Sequence[GridValues | IndexValues], codec: int = DEFAULT_CODEC) -> bytes:
    """One stream of several grids' codes or codebooks' indices, as the CODES section holds it."""
    return INTEGER_CODECS[codec].encode(
        [values.codes for values in members], [_scales_of(values) for values in members]
    )


def _scales_of(values: GridValues | IndexValues) -> ExpectedScales:
    rows, columns = values.codes.shape
    if isinstance(values, IndexValues):
        return index_scales(rows, columns, fit_index_scale(values))
    sides = exponents_or_zeros(values.row_exponents, rows), exponents_or_zeros(values.column_exponents, columns)
    return expected_scales(*sides, values.resolution, fit_initial_scale(values), values.trellis_states)


def part_bytes(
    parts: Sequence[Part],
    shape: tuple[int, ...],
    codec: int = DEFAULT_CODEC,
    *,
    codebooks: Codebooks | None = None,
    sets: KnownSets | None = None,
) -> int:
    """Bytes that one tensor's parts take by themselves: recipe terms and raw planes as compressed, stream 0, integers.

    codebooks, sets : of earlier tensors, which the parts may name for the bytes of the name
    """
    tensor = TensorSource("", shape, "float32", tuple(parts))
    index = 1 + max((entry for entry, _ in (*(codebooks or {}), *(sets or {}))), default=-1)
    told, books = choose_sets([tensor], sets, index), {**(codebooks or {}), **own_codebooks([tensor], index)}
    writer = Writer()
    for term in _entry_of(tensor, index, told, books).terms:
        write_term(writer, term)
    matrices = all_matrices([tensor], books)
    planes = encode_raw_planes(
        [(matrix.values, matrix.storage) for matrix in matrices if isinstance(matrix, RawValues)]
    )
    stored = make_section(RAW, planes).stored if planes else b""
    streams = _encode_streams(
        [matrix for matrix in matrices if not isinstance(matrix, RawValues)], list(told.values()), codec
    )
    terms = make_section(DIRECTORY, writer.bytes()).stored  # a set told by bits is long, and compresses well
    return len(terms) + len(stored) + sum(len(stream.payload) for stream in streams)


def _reconstruct(tensors: Sequence[TensorSource], codebooks: Codebooks) -> list[np.ndarray]:
    arrays: list[np.ndarray] = []
    for tensor in tensors:
        terms = [reconstruct_part(part, tensor.shape, arrays=arrays, codebooks=codebooks) for part in tensor.parts]
        arrays.append(sum_terms(terms))
    return arrays
