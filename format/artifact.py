"""Whole artifacts: bytes <-> typed records, and the tensors they decode to (spec/container.md, spec/tensors.md).

Strategy: `read_artifact` parses and cross-checks every record but decodes no integers; `decode_tensors` decodes the
streams, reconstructs the tensors and compares the digest. A decoded section must equal the re-encoding of what was read
from it, so each section has one valid content and `write_artifact(read_artifact(b)) == b`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..display import ShownByFacts
from ..errors import ArtifactError, ChecksumMismatch, InvalidArtifact, MalformedArtifact
from .container.container import (
    CODES,
    DIGEST,
    DIRECTORY,
    IDENTITY,
    PROGRAM,
    PROVENANCE,
    RAW,
    Section,
    read_container,
    read_minor_version,
    write_container,
)
from .container.layout import HEADER, field_offset
from .container.limits import DEFAULT_LIMITS, Limits
from .identity import SHORT_DIGITS, UNKNOWN, Identity, decode_identity, identity_text
from .program.program import (
    Program,
    decode_program,
    encode_program,
    least_minor_version,
    program_tensors,
    validate_program,
)
from .tensors.directory import check_references, read_directory, write_directory
from .tensors.grid import GridValues, reconstruct_grid_in_place
from .tensors.keys import MatrixKey, TermKey
from .tensors.matrices import (
    decode_first_stream,
    decode_integers,
    decode_raw_matrices,
    decode_sets,
    in_streams,
    stored_matrices,
    stored_sets,
)
from .tensors.stored import CodedValues
from .tensors.streams import Stream, read_streams
from .tensors.terms import Grid, TensorEntry, reconstruct_tensor

PROVENANCE_DEPTH = 64  # of objects and arrays in one another: readers in any language can recurse so far
JSON_STRUCTURE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


@dataclass(frozen=True, slots=True, repr=False)
class Artifact(ShownByFacts):
    """A read artifact. `sections` keeps the stored bytes; the other fields are what they mean."""

    sections: tuple[Section, ...]
    program: Program
    directory: tuple[TensorEntry, ...]
    raw: bytes
    streams: tuple[Stream, ...]
    digest: bytes
    provenance: Mapping[str, object]
    identity: Identity = UNKNOWN

    def section(self, section_id: int) -> Section | None:
        return next((s for s in self.sections if s.id == section_id), None)

    @property
    def names(self) -> list[str]:
        """Of the tensors, in directory order."""
        return [entry.name for entry in self.directory]

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        """The float32 arrays by name, in directory order; decoded at each use, so keep what is used more than once.

        Raises ArtifactError as `decode_tensors` does.
        """
        return dict(zip(self.names, decode_tensors(self), strict=True))

    def shown_facts(self) -> Mapping[str, str]:
        """Sizes, what it computes, and whose it is; nothing is decoded for it."""
        weights = sum(entry.elements for entry in self.directory)
        return {
            "sections": f"{len(self.sections)} of {sum(len(section.stored) for section in self.sections):,} bytes",
            "tensors": f"{len(self.directory):,} of {weights:,} weights",
            **self.program.shown_facts(),
            "tensors' SHA-256": self.digest.hex()[:SHORT_DIGITS],
            "identity": identity_text(self.identity),
        }


@dataclass(frozen=True, slots=True)
class DecodedTensors:
    """Everything the integer streams and planes hold.

    arrays : list of float32 arrays                          one a directory entry, in its shape, C-contiguous
    grids : dict (entry, term) -> GridValues                 of the grid terms
    matrices : dict (entry, term, matrix) -> GridValues, IndexValues   all that is in streams, those of
        other terms included
    matrix_bytes : dict (entry, term, matrix) -> int         bytes of its stream that each took; they
        add up to the streams
    sets : dict (entry, term) -> int64 members, ascending    of the terms that have a set
    set_bytes : dict (entry, term) -> int                    bytes of stream 0 that a set took
    step_bytes : dict ((entry, term, matrix), side) -> int   likewise, the exponents of its rows (0) or columns (1)
    """

    arrays: list[np.ndarray]
    grids: dict[tuple[int, int], GridValues]
    matrices: dict[MatrixKey, CodedValues]
    matrix_bytes: dict[MatrixKey, int]
    sets: dict[TermKey, np.ndarray]
    set_bytes: dict[TermKey, int]
    step_bytes: dict[tuple[MatrixKey, int], int]

    @property
    def code_bytes(self) -> dict[int, int]:
        """Bytes in streams by directory entry, of the entries that have any."""
        found: dict[int, int] = {}
        for (entry, *_), n_bytes in self.matrix_bytes.items():
            found[entry] = found.get(entry, 0) + n_bytes
        return found


def write_artifact(artifact: Artifact) -> bytes:
    """The file of an artifact; inverse of `read_artifact`, bit-exact."""
    return write_container(artifact.sections, least_minor_version(artifact.program))


def read_artifact(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Artifact:
    """Parse and validate an artifact without decoding its integers.

    Whatever the bytes, returns an Artifact or raises ArtifactError (with offset, place and rule), executes nothing and
    allocates no more than `limits` allow.
    """
    sections = read_container(data, limits)
    by_id = {section.id: section.decoded for section in sections}
    minor_version = read_minor_version(data)
    program = decode_program(by_id[PROGRAM], limits, minor_version=minor_version)
    directory = read_directory(by_id[DIRECTORY], limits)
    validate_program(program, [entry.shape for entry in directory], limits)
    check_references(directory, program_tensors(program))
    streams = read_streams(by_id[CODES], limits)
    _check_minor_version(minor_version, program)
    _check_canonical("program", by_id[PROGRAM], encode_program(program))
    _check_canonical("directory", by_id[DIRECTORY], write_directory(directory))
    _check_stream_numbers(directory, streams)
    provenance = _read_provenance(by_id[PROVENANCE]) if PROVENANCE in by_id else {}
    identity = decode_identity(by_id[IDENTITY]) if IDENTITY in by_id else UNKNOWN
    return Artifact(sections, program, directory, by_id[RAW], streams, by_id[DIGEST], provenance, identity)


def _check_minor_version(found: int, program: Program) -> None:
    """[R-CAN-2]; that the program needs no later one is checked as its instructions are read."""
    least = least_minor_version(program)
    if found != least:
        message = f"minor version {found} for a program that needs {least}"
        raise MalformedArtifact(message, rule="R-CAN-2", offset=field_offset(HEADER, "minor_version"), where="header")


def _check_canonical(name: str, found: bytes, expected: bytes) -> None:
    if found != expected:
        raise MalformedArtifact("not the one valid encoding of its content", rule="R-CAN-1", offset=0, where=name)


def _check_stream_numbers(directory: Sequence[TensorEntry], streams: Sequence[Stream]) -> None:
    """Streams 1.. are each used, stream 0 exists exactly when there is a grid or a set told by integers (R-STR-7)."""
    named = {matrix.record.stream for matrix in in_streams(stored_matrices(directory)).values()}
    first_needed = named or any(stored.record.vector_length for stored in stored_sets(directory).values())
    if named != set(range(1, len(streams))) or bool(first_needed) != bool(streams):
        message = f"terms name streams {sorted(named)}, the section holds {len(streams)}"
        raise InvalidArtifact(message, rule="R-STR-7", where="codes")


def _read_provenance(data: bytes) -> Mapping[str, object]:
    """A JSON object in its canonical form, which is the same as UTF-8 without escapes (R-PRV-1)."""
    canonical, value = False, {}
    if _json_depth(data) <= PROVENANCE_DEPTH:
        try:
            value = json.loads(data.decode("utf-8"))
            canonical = encode_provenance(value) == data and isinstance(value, dict)
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # halves of surrogate pairs are no text
        except ValueError:
            canonical = False
    if not canonical:
        message = f"not a JSON object of text, with sorted keys, no spaces and at most {PROVENANCE_DEPTH} deep"
        raise MalformedArtifact(message, rule="R-PRV-1", offset=0, where="provenance")
    return value


def is_provenance(value: Mapping[str, object]) -> bool:
    """Whether an artifact can hold `value` as its provenance."""
    try:
        return _read_provenance(encode_provenance(value)) == value
    except (ArtifactError, ValueError, TypeError, RecursionError):
        return False


def _json_depth(data: bytes) -> int:
    """How deep brackets outside strings stand in one another; of what is no JSON some number."""
    depth = deepest = 0
    for match in JSON_STRUCTURE.finditer(data):
        first = data[match.start()]
        depth += (first in b"[{") - (first in b"]}")
        deepest = max(deepest, depth)
    return deepest


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
        digest.update(np.ascontiguousarray(array, "<f4").data)
    return digest.digest()


def decode_tensors(artifact: Artifact, *, check_digest: bool = True) -> list[np.ndarray]:
    """float32 arrays of all tensors in directory order, bit-exact on every platform.

    Lets go of the integers of a tensor when it is there. Raises ArtifactError when a stream or plane breaks a rule,
    ChecksumMismatch [R-DIG-1] when the result is not what the writer had.
    """
    return _decode(artifact, check_digest, keep_codes=False).arrays


def decode_contents(artifact: Artifact) -> DecodedTensors:
    """`decode_tensors` with the integers and the bytes each tensor took (for inspection)."""
    return _decode(artifact, check_digest=True, keep_codes=True)


def _decode(artifact: Artifact, check_digest: bool, keep_codes: bool) -> DecodedTensors:
    directory, matrices = artifact.directory, stored_matrices(artifact.directory)
    values: dict[MatrixKey, Any] = dict(decode_raw_matrices(artifact.raw, matrices))
    coded = in_streams(matrices)
    first = decode_first_stream(directory, coded, artifact.streams)
    matrix_bytes: dict[MatrixKey, int] = {}

    def finish(key: MatrixKey, found: CodedValues) -> CodedValues | np.ndarray:
        """The weights of a tensor that is one grid take the place of its integers, unless these are wanted."""
        if isinstance(found, GridValues) and _is_one_grid(directory[key[0]]) and not keep_codes:
            return reconstruct_grid_in_place(found)
        return found

    for key, found, n_bytes in decode_integers(coded, first.exponents, artifact.streams, finish, artifact.names):
        values[key], matrix_bytes[key] = found, n_bytes
    kept = {key: values[key] for key in coded} if keep_codes else {}
    sets = decode_sets(directory, first)
    arrays = _reconstruct(directory, values, sets)
    if check_digest and tensors_digest(directory, arrays) != artifact.digest:
        raise ChecksumMismatch("decoded tensors are not the ones that were stored", rule="R-DIG-1", where="digest")
    grids = {(i, t): grid for (i, t, _), grid in kept.items() if isinstance(directory[i].terms[t], Grid)}
    return DecodedTensors(arrays, grids, kept, matrix_bytes, sets, first.set_bytes, first.step_bytes)


def _is_one_grid(entry: TensorEntry) -> bool:
    """Whether a tensor is nothing but one grid, whose weights are finite whatever the integers."""
    return len(entry.terms) == 1 and isinstance(entry.terms[0], Grid)


def _reconstruct(
    directory: Sequence[TensorEntry],
    values: dict[MatrixKey, Any],
    sets: Mapping[TermKey, np.ndarray],
) -> list[np.ndarray]:
    """float32 arrays of all tensors; takes the matrices out of `values`, so that each is let go when it
    has been used.
    """
    arrays: list[np.ndarray] = []
    codebooks: dict[TermKey, np.ndarray] = {}
    for i, entry in enumerate(directory):
        if isinstance(values.get((i, 0, 0)), np.ndarray) and _is_one_grid(entry):
            arrays.append(values.pop((i, 0, 0)).reshape(entry.shape))
            continue
        parts = []
        for t, term in enumerate(entry.terms):
            inner = [values.pop((i, t, m)) for m in range(len(term.matrices(entry.matrix_shape)))]
            parts.append(term.part(inner, sets.get((i, t)), (i, t)))
            codewords = parts[-1].own_codewords()
            if codewords is not None:
                codebooks[i, t] = codewords
        array = reconstruct_tensor(parts, entry.shape, arrays=arrays, codebooks=codebooks)
        arrays.append(np.ascontiguousarray(array, np.float32))
        if not np.isfinite(arrays[-1]).all():
            message, where = "a term or a sum of terms that is not finite", f"tensor {entry.name!r}"
            raise InvalidArtifact(message, rule="R-REC-4", where=where)
    return arrays
