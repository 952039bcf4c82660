"""Assembling an artifact from values: the writer's side of artifact.py.

Strategy: the caller says what each tensor is (raw values, grid values or an alias) and in which stream its codes go;
this module derives every stored number from that, encodes, and reads its own output back, so that a written artifact
has already passed the reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .artifact import (
    decode_tensors,
    encode_provenance,
    exponent_scales,
    read_artifact,
    sum_terms,
    tensors_digest,
)
from .codecs import INTEGER_CODECS
from .container import CODES, DIGEST, DIRECTORY, PROGRAM, PROVENANCE, RAW, make_section, write_container
from .cursor import Writer
from .directory import TensorEntry, write_directory
from .grid import GridValues, expected_scales, exponents_or_zeros, fit_initial_scale, reconstruct_grid
from .program import Program, encode_program
from .raw_planes import encode_raw_planes, from_storage, to_storage
from .recipes import Alias, Grid, Raw, write_term
from .streams import Stream, write_streams

DEFAULT_CODEC = 1


@dataclass(frozen=True, slots=True)
class RawValues:
    """float32 values stored as `storage` ("float32", "float16", "bfloat16")."""

    values: np.ndarray
    storage: str


@dataclass(frozen=True, slots=True)
class GridInStream:
    """A quantized matrix and the stream (1..) that holds its codes."""

    grid: GridValues
    stream: int


@dataclass(frozen=True, slots=True)
class TensorSource:
    """What one tensor is: name, shape, export dtype and the parts whose sum it is."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    parts: tuple[RawValues | GridInStream | Alias, ...]


def assemble_artifact(
    program: Program, tensors: Sequence[TensorSource], provenance: Mapping[str, object] | None = None, codec: int = DEFAULT_CODEC
) -> bytes:
    """The bytes of an artifact whose integers are coded by the codec of that wire id.

    Deterministic; raises ArtifactError when the result would break a rule of spec/.
    """
    entries = tuple(
        TensorEntry(t.name, tuple(t.shape), t.dtype, tuple(_term_of(part) for part in t.parts)) for t in tensors
    )
    raw = encode_raw_planes([(p.values, p.storage) for t in tensors for p in t.parts if isinstance(p, RawValues)])
    streams = _encode_streams([p for t in tensors for p in t.parts if isinstance(p, GridInStream)], codec)
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


def _term_of(part: RawValues | GridInStream | Alias) -> Raw | Grid | Alias:
    if isinstance(part, Alias):
        return part
    if isinstance(part, RawValues):
        return Raw(part.storage)
    grid = part.grid
    return Grid(
        float(np.float32(grid.base)),
        grid.resolution,
        grid.trellis_states,
        _offset(grid.row_exponents),
        _offset(grid.column_exponents),
        fit_initial_scale(grid),
        part.stream,
    )


def _offset(exponents: np.ndarray | None) -> int | None:
    """The median: residuals of least total magnitude."""
    return None if exponents is None else int(np.sort(exponents)[exponents.size // 2])


def _encode_streams(parts: Sequence[GridInStream], codec: int) -> list[Stream]:
    if not parts:
        return []
    residuals = []
    for part in parts:
        for exponents in (part.grid.row_exponents, part.grid.column_exponents):
            if exponents is not None:
                residuals.append((exponents - _offset(exponents)).astype(np.int32)[None, :])
    streams = [_encode_exponents(residuals)]
    for index in range(1, max(part.stream for part in parts) + 1):
        grids = [part.grid for part in parts if part.stream == index]
        streams.append(Stream(codec, encode_grid_stream(grids, codec)))
    return streams


def _encode_exponents(residuals: Sequence[np.ndarray]) -> Stream:
    """Stream 0: few numbers, by whatever codec makes it smallest."""
    scales = [exponent_scales(r.size) for r in residuals]
    candidates = [Stream(wire_id, codec.encode(residuals, scales)) for wire_id, codec in sorted(INTEGER_CODECS.items())]
    return min(candidates, key=lambda stream: len(stream.payload))


def encode_grid_stream(grids: Sequence[GridValues], codec: int = DEFAULT_CODEC) -> bytes:
    """One stream of several grids' codes, as the CODES section holds it."""
    scales = []
    for grid in grids:
        rows, columns = grid.codes.shape
        sides = exponents_or_zeros(grid.row_exponents, rows), exponents_or_zeros(grid.column_exponents, columns)
        scales.append(expected_scales(*sides, grid.resolution, fit_initial_scale(grid), grid.trellis_states))
    return INTEGER_CODECS[codec].encode([grid.codes for grid in grids], scales)


def part_bytes(parts: Sequence[RawValues | GridInStream | Alias], codec: int = DEFAULT_CODEC) -> int:
    """Bytes that one tensor's parts take by themselves: recipe terms, step exponents, codes, and raw planes as compressed."""
    writer = Writer()
    for part in parts:
        write_term(writer, _term_of(part))
    planes = encode_raw_planes([(p.values, p.storage) for p in parts if isinstance(p, RawValues)])
    stored = make_section(RAW, planes).stored if planes else b""
    streams = _encode_streams([p for p in parts if isinstance(p, GridInStream)], codec)
    return len(writer.bytes()) + len(stored) + sum(len(stream.payload) for stream in streams)


def _reconstruct(tensors: Sequence[TensorSource]) -> list[np.ndarray]:
    arrays: list[np.ndarray] = []
    for tensor in tensors:
        terms = []
        for part in tensor.parts:
            if isinstance(part, Alias):
                terms.append(arrays[part.source])
            elif isinstance(part, RawValues):
                terms.append(from_storage(to_storage(part.values, part.storage), part.storage).reshape(tensor.shape))
            else:
                terms.append(reconstruct_grid(part.grid).reshape(tensor.shape))
        arrays.append(sum_terms(terms, tensor.name))
    return arrays
