"""Whole artifacts: bytes <-> typed records, and the tensors they decode to (spec/container.md, spec/tensors.md).

Strategy: `read_artifact` parses and cross-checks every record but decodes no integers; `decode_tensors` decodes the
streams, reconstructs the tensors and compares the digest. A decoded section must equal the re-encoding of what was read
from it, so each section has one valid content and `write_artifact(read_artifact(b)) == b`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .codecs import INTEGER_CODECS, ExpectedScales
from .container import CODES, DIGEST, DIRECTORY, PROGRAM, PROVENANCE, RAW, Section, read_container, write_container
from .directory import TensorEntry, check_references, read_directory, write_directory
from .errors import ChecksumMismatch, InvalidArtifact, MalformedArtifact
from .grid import MAX_STEP_OCTAVES, GridValues, expected_scales, exponents_or_zeros, matrix_shape, reconstruct_grid
from .limits import DEFAULT_LIMITS, Limits
from .program import Program, decode_program, encode_program, program_tensors, validate_program
from .raw_planes import decode_raw_planes
from .recipes import Alias, Grid, Raw
from .streams import Stream, check_amplification, read_streams


@dataclass(frozen=True, slots=True)
class Artifact:
    """A read artifact. `sections` keeps the stored bytes; the other fields are what they mean."""

    sections: tuple[Section, ...]
    program: Program
    directory: tuple[TensorEntry, ...]
    raw: bytes
    streams: tuple[Stream, ...]
    digest: bytes
    provenance: Mapping[str, object]

    def section(self, section_id: int) -> Section | None:
        return next((s for s in self.sections if s.id == section_id), None)


@dataclass(frozen=True, slots=True)
class DecodedTensors:
    """Everything the integer streams and planes hold.

    arrays : list of float32 arrays       one a directory entry, in its shape, C-contiguous
    grids : dict (entry, term) -> GridValues
    code_bytes : dict entry -> int        bytes of its stream that a tensor's codes took; they add up to the stream
    """

    arrays: list[np.ndarray]
    grids: dict[tuple[int, int], GridValues]
    code_bytes: dict[int, int]


def write_artifact(artifact: Artifact) -> bytes:
    """The file of an artifact; inverse of `read_artifact`, bit-exact."""
    return write_container(artifact.sections)


def read_artifact(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Artifact:
    """Parse and validate an artifact without decoding its integers.

    Whatever the bytes, returns an Artifact or raises ArtifactError (with offset, place and rule), executes nothing and
    allocates no more than `limits` allow.
    """
    sections = read_container(data, limits)
    by_id = {section.id: section.decoded for section in sections}
    program = decode_program(by_id[PROGRAM], limits)
    directory = read_directory(by_id[DIRECTORY], limits)
    validate_program(program, [entry.shape for entry in directory], limits)
    check_references(directory, program_tensors(program))
    streams = read_streams(by_id[CODES], limits)
    _check_canonical("program", by_id[PROGRAM], encode_program(program))
    _check_canonical("directory", by_id[DIRECTORY], write_directory(directory))
    _check_stream_numbers(directory, streams)
    provenance = _read_provenance(by_id[PROVENANCE]) if PROVENANCE in by_id else {}
    return Artifact(sections, program, directory, by_id[RAW], streams, by_id[DIGEST], provenance)


def _check_canonical(name: str, found: bytes, expected: bytes) -> None:
    if found != expected:
        raise MalformedArtifact("not the one valid encoding of its content", rule="R-CAN-1", offset=0, where=name)


def _check_stream_numbers(directory: Sequence[TensorEntry], streams: Sequence[Stream]) -> None:
    """Streams 1.. are each used, stream 0 exists exactly when there is a grid (R-STR-7)."""
    named = {term.stream for entry in directory for term in entry.terms if isinstance(term, Grid)}
    expected = set(range(1, len(streams)))
    if named != expected or (streams and not named):
        message = f"recipes name streams {sorted(named)}, the section holds {len(streams)}"
        raise InvalidArtifact(message, rule="R-STR-7", where="codes")


def _read_provenance(data: bytes) -> Mapping[str, object]:
    """A JSON object in its canonical form (R-PRV-1)."""
    try:
        value = json.loads(data.decode("utf-8"))
        canonical = encode_provenance(value) == data and isinstance(value, dict)
    except (ValueError, RecursionError):
        canonical, value = False, {}
    if not canonical:
        message = "not a JSON object with sorted keys and no spaces"
        raise MalformedArtifact(message, rule="R-PRV-1", offset=0, where="provenance")
    return value


def encode_provenance(value: Mapping[str, object]) -> bytes:
    """Canonical JSON: sorted keys, no spaces, ASCII escapes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def tensors_digest(entries: Sequence[TensorEntry], arrays: Sequence[np.ndarray]) -> bytes:
    """SHA-256 over name, shape and little-endian float32 values of every tensor, in directory order (R-DIG-1)."""
    digest = hashlib.sha256()
    for entry, array in zip(entries, arrays, strict=True):
        name = entry.name.encode("utf-8")
        header = [len(name).to_bytes(4, "little"), name, len(entry.shape).to_bytes(4, "little")]
        digest.update(b"".join(header + [size.to_bytes(4, "little") for size in entry.shape]))
        digest.update(np.ascontiguousarray(array, "<f4"))
    return digest.digest()


def decode_tensors(artifact: Artifact, *, check_digest: bool = True) -> list[np.ndarray]:
    """float32 arrays of all tensors in directory order, bit-exact on every platform.

    Holds the integers of one stream at a time. Raises ArtifactError when a stream or plane breaks a rule,
    ChecksumMismatch [R-DIG-1] when the result is not what the writer had.
    """
    return _decode(artifact, check_digest, keep_codes=False).arrays


def decode_contents(artifact: Artifact, *, check_digest: bool = True) -> DecodedTensors:
    """`decode_tensors` with the integers and the bytes each tensor took (for inspection)."""
    return _decode(artifact, check_digest, keep_codes=True)


def _decode(artifact: Artifact, check_digest: bool, keep_codes: bool) -> DecodedTensors:
    directory = artifact.directory
    raw_terms = [(i, t) for i, e in enumerate(directory) for t, term in enumerate(e.terms) if isinstance(term, Raw)]
    planes = decode_raw_planes(artifact.raw, [(directory[i].elements, directory[i].terms[t].storage) for i, t in raw_terms])
    parts: dict[tuple[int, int], np.ndarray] = dict(zip(raw_terms, planes, strict=True))
    grids: dict[tuple[int, int], GridValues] = {}
    code_bytes: dict[int, int] = {}
    for place, grid, n_bytes in decode_grids(directory, artifact.streams):
        parts[place] = reconstruct_grid(grid)
        code_bytes[place[0]] = code_bytes.get(place[0], 0) + n_bytes
        if keep_codes:
            grids[place] = grid
    arrays: list[np.ndarray] = []
    for i, entry in enumerate(directory):
        terms = [
            arrays[term.source] if isinstance(term, Alias) else parts.pop((i, t)).reshape(entry.shape)
            for t, term in enumerate(entry.terms)
        ]
        arrays.append(np.ascontiguousarray(sum_terms(terms, entry.name), np.float32))
    if check_digest and tensors_digest(directory, arrays) != artifact.digest:
        raise ChecksumMismatch("decoded tensors are not the ones that were stored", rule="R-DIG-1", where="digest")
    return DecodedTensors(arrays, grids, code_bytes)


def sum_terms(terms: Sequence[np.ndarray], name: str) -> np.ndarray:
    """The float32 sum of a tensor's terms in order; InvalidArtifact [R-REC-4] when it is not finite."""
    if len(terms) == 1:
        return terms[0]
    with np.errstate(over="ignore", invalid="ignore"):
        total = sum(terms[1:], terms[0])
    if not np.isfinite(total).all():
        raise InvalidArtifact("a sum of terms that is not finite", rule="R-REC-4", where=f"tensor {name!r}")
    return total


def decode_grids(
    directory: Sequence[TensorEntry], streams: Sequence[Stream]
) -> Iterator[tuple[tuple[int, int], GridValues, int]]:
    """((entry, term), integers and steps, bytes of its stream) of every grid, stream by stream."""
    terms = [(i, t, term) for i, e in enumerate(directory) for t, term in enumerate(e.terms) if isinstance(term, Grid)]
    exponents = _decode_exponents(directory, terms, streams[0]) if terms else {}
    for index, stream in enumerate(streams[1:], start=1):
        members = [(i, t, term) for i, t, term in terms if term.stream == index]
        scales = [_grid_scales(directory[i], term, exponents[i, t]) for i, t, term in members]
        matrices, ends = _decode_stream(stream, index, scales)
        ends[-1] = len(stream.payload)
        matrices.reverse()  # so that each can be let go as it is taken
        for (i, t, term), start, end in zip(members, [0, *ends[:-1]], ends, strict=True):
            steps = matrices.pop(), *exponents[i, t], term.base, term.resolution
            yield (i, t), GridValues(*steps, term.trellis_states, term.initial_scale), end - start


def _decode_stream(stream: Stream, index: int, scales: Sequence[ExpectedScales]) -> tuple[list[np.ndarray], list[int]]:
    check_amplification(sum(s.symbols for s in scales), stream, index)
    codec = INTEGER_CODECS[stream.codec]
    return codec.decode(stream.payload, scales, offset=stream.offset, where=f"codes / stream {index}")


def _grid_scales(entry: TensorEntry, term: Grid, exponents) -> ExpectedScales:
    rows, columns = matrix_shape(entry.shape)
    sides = exponents_or_zeros(exponents[0], rows), exponents_or_zeros(exponents[1], columns)
    return expected_scales(*sides, term.resolution, term.initial_scale, term.trellis_states)


def exponent_scales(length: int) -> ExpectedScales:
    """Expectation of a vector of step exponents: magnitude 1 in stream 0 (spec/codecs.md)."""
    return ExpectedScales(np.zeros(1, np.int64), np.zeros(length, np.int64))


def _decode_exponents(directory, terms, stream: Stream) -> dict:
    """Row and column exponents (int64 or None) of every grid from stream 0."""
    wanted = []
    for i, t, term in terms:
        sizes = matrix_shape(directory[i].shape)
        for side, offset in enumerate((term.row_offset, term.column_offset)):
            if offset is not None:
                wanted.append((i, t, side, offset, sizes[side], MAX_STEP_OCTAVES << term.resolution))
    matrices, _ = _decode_stream(stream, 0, [exponent_scales(size) for *_, size, _ in wanted])
    exponents = {(i, t): [None, None] for i, t, _ in terms}
    for (i, t, side, offset, _, bound), values in zip(wanted, matrices, strict=True):
        values = values[0].astype(np.int64) + offset
        if np.abs(values).max() > bound:
            message = f"a step exponent of {directory[i].name!r} is beyond {MAX_STEP_OCTAVES} octaves"
            raise InvalidArtifact(message, rule="R-GRD-2", where="codes / stream 0")
        exponents[i, t][side] = values
    return exponents
