"""Where an artifact's bytes went, as records: what `bytecap inspect` shows.

Strategy: every byte of the file is counted once. The integers of a tensor have a length of their own in its stream; the
planes of raw tensors are compressed together, so each gets its share of the section in proportion to its uncompressed
planes; what serves all tensors (header, program, directory, step exponents, digest) is listed beside them. The
tables by section, role, layer and tensor therefore add up to the file size, and a test holds them to it. Roles
are read off the program (program/roles.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import numpy as np

from .artifact import Artifact, DecodedTensors, decode_contents, read_artifact
from .byte_account import Inspection, SectionRow, SharedRow, StreamRow, TensorRow, TermRow
from .codecs import codec_of
from .container.bytes_codecs import BYTES_CODECS
from .container.container import CODES, RAW, read_minor_version, section_name
from .container.cursor import Writer
from .container.limits import DEFAULT_LIMITS, Limits
from .entropy import entropy_bits
from .program.program import validate_program
from .program.roles import tensor_uses
from .program.summary import summarize_program
from .tensors.grid import GridValues
from .tensors.keys import MatrixKey, TermKey
from .tensors.matrices import in_planes, stored_matrices, stored_sets
from .tensors.raw_planes import ITEM_BYTES, plane_slices
from .tensors.stored import CodedValues, RawMatrix
from .tensors.terms import Alias, TensorEntry, Term
from .tensors.terms.codebook import CODEWORDS, Codebook

MEMBERS = {0: "rows", 1: "columns", None: "elements"}


def inspect_artifact(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Inspection:
    """Decode an artifact and count its bytes. Raises ArtifactError when it cannot be read or decoded."""
    artifact = read_artifact(data, limits)
    return inspect_contents(data, artifact, decode_contents(artifact))


def inspect_contents(data: bytes, artifact: Artifact, contents: DecodedTensors) -> Inspection:
    """`inspect_artifact` of one that is decoded already."""
    stored = sum(len(section.stored) for section in artifact.sections)
    header_bytes = len(data) - stored
    tensors = tensor_rows(artifact, contents)
    shapes = validate_program(artifact.program, [entry.shape for entry in artifact.directory])
    firsts = {i: entry.terms[0] for i, entry in enumerate(artifact.directory)}
    aliases = {i: first.source for i, first in firsts.items() if isinstance(first, Alias)}
    return Inspection(
        format_version=f"1.{read_minor_version(data)}",
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        header_bytes=header_bytes,
        sections=_section_rows(artifact, header_bytes),
        tensors=tensors,
        shared=_shared_rows(artifact, header_bytes, sum(contents.set_bytes.values())),
        streams=tuple(StreamRow(n, codec_of(s.codec).name, len(s.payload)) for n, s in enumerate(artifact.streams)),
        metadata=_metadata_rows(artifact, contents, tensors),
        provenance=artifact.provenance,
        identity=artifact.identity,
        program=summarize_program(artifact.program, shapes, aliases),
    )


def _section_rows(artifact: Artifact, header_bytes: int) -> tuple[SectionRow, ...]:
    rows, offset = [], header_bytes
    for section in artifact.sections:
        name = section_name(section.id)
        rows.append(
            SectionRow(name, BYTES_CODECS[section.codec].name, offset, len(section.stored), len(section.decoded))
        )
        offset += len(section.stored)
    return tuple(rows)


def tensor_rows(artifact: Artifact, contents: DecodedTensors) -> tuple[TensorRow, ...]:
    """A row a tensor, in the order of the directory."""
    value_bytes = _raw_shares(artifact) | contents.matrix_bytes
    entropies = _entropies(artifact, contents)
    names = [entry.name for entry in artifact.directory]
    uses = tensor_uses(artifact.program, names, [[s for t in e.terms for s in t.sources] for e in artifact.directory])
    rows = []
    for index, (entry, use) in enumerate(zip(artifact.directory, uses, strict=True)):
        terms = tuple(
            _term_row(entry, term, (index, number), value_bytes, contents, names)
            for number, term in enumerate(entry.terms)
        )
        rows.append(
            TensorRow(
                name=entry.name,
                shape=entry.shape,
                dtype=entry.dtype,
                description=" + ".join(term.description for term in terms),
                elements=entry.elements,
                bytes=sum(term.bytes for term in terms),
                terms=terms,
                role=use.role,
                layer=use.layer,
                entropy_bits=entropies.get(index, 0.0) / entry.elements,
            )
        )
    return tuple(rows)


def _term_row(
    entry: TensorEntry,
    term: Term,
    key: TermKey,
    value_bytes: Mapping[MatrixKey, int],
    contents: DecodedTensors,
    names: Sequence[str],
) -> TermRow:
    matrices = term.matrices(entry.matrix_shape)
    sizes = {matrix.name: value_bytes[(*key, m)] for m, matrix in enumerate(matrices)}
    told = term.stored_set(entry.matrix_shape)
    return TermRow(
        kind=term.name,
        description=term.describe(names),
        bytes=sum(sizes.values()),
        set_bytes=contents.set_bytes.get(key, 0) + (len(told.record.bitmap) if told else 0),
        book_bytes=sizes.get(CODEWORDS, 0),
        raw_bytes=sum(sizes[matrix.name] for matrix in matrices if isinstance(matrix, RawMatrix)),
        members=told.record.count if told else 0,
        members_of=MEMBERS[told.axis] if told else "",
    )


def _entropies(artifact: Artifact, contents: DecodedTensors) -> dict[int, float]:
    """By tensor the bits of all its integers and raw values at their order-0 entropy."""
    found: dict[int, float] = {}
    for (entry, *_), values in contents.matrices.items():
        found[entry] = found.get(entry, 0.0) + _entropy(values) * values.codes.size
    raw = in_planes(stored_matrices(artifact.directory))
    keys, planes = list(raw), np.frombuffer(artifact.raw, np.uint8)
    for piece in plane_slices([(matrix.elements, matrix.storage) for matrix in raw.values()]):
        entry = keys[piece.index][0]
        bits = entropy_bits(planes[piece.start : piece.start + piece.length]) * piece.length
        found[entry] = found.get(entry, 0.0) + bits
    return found


def _entropy(values: CodedValues) -> float:
    """Bits an integer; a trellis fixes the parity of each before it is coded, which leaves H(k) - H(k mod 2)."""
    parity = entropy_bits(values.codes & 1) if isinstance(values, GridValues) and values.trellis_states else 0.0
    return entropy_bits(values.codes) - parity


def _metadata_rows(artifact: Artifact, contents: DecodedTensors, tensors: Sequence[TensorRow]) -> tuple[SharedRow, ...]:
    """What is not a value: steps, sets and codebooks."""
    writer, sets = Writer(), stored_sets(artifact.directory)
    for stored in sets.values():
        stored.record.write(writer)
    set_bytes = sum(contents.set_bytes.values())
    steps = len(artifact.streams[0].payload) - set_bytes if artifact.streams else 0
    sides = [side for values in contents.matrices.values() for side in (values.row_exponents, values.column_exponents)]
    books = [term for row in tensors for term in row.terms if term.book_bytes]
    records = [term for entry in artifact.directory for term in entry.terms]
    codewords = sum(record.codewords for record in records if isinstance(record, Codebook) and not record.named)
    rows = [
        SharedRow("step exponents", steps, sum(side.size for side in sides if side is not None)),
        SharedRow("sets, their gaps and changes", set_bytes, len(contents.set_bytes)),
        SharedRow("sets, their records in the directory", len(writer.bytes()), len(sets)),
        SharedRow("codewords", sum(term.book_bytes for term in books), codewords),
    ]
    return tuple(row for row in rows if row.bytes)


def _raw_shares(artifact: Artifact) -> dict[MatrixKey, int]:
    """Bytes of the RAW section by matrix: in proportion to the planes, adding up to the section."""
    planes = _plane_bytes(artifact)
    stored = sum(len(section.stored) for section in artifact.sections if section.id == RAW)
    total = sum(planes.values())
    ends = [stored * planes_so_far // total for planes_so_far in accumulate(planes.values())]
    return dict(zip(planes, (end - start for start, end in pairwise([0, *ends])), strict=True))


def _plane_bytes(artifact: Artifact) -> dict[MatrixKey, int]:
    raw = in_planes(stored_matrices(artifact.directory))
    return {key: matrix.elements * ITEM_BYTES[matrix.storage] for key, matrix in raw.items()}


def _shared_rows(artifact: Artifact, header_bytes: int, set_bytes: int) -> tuple[SharedRow, ...]:
    """Everything that the tensors' rows do not count; of CODES the step exponents, the sets and the
    table of streams.
    """
    rows = [SharedRow("header and section table", header_bytes)]
    for section in artifact.sections:
        if section.id == CODES:
            steps = len(artifact.streams[0].payload) if artifact.streams else 0
            payloads = sum(len(stream.payload) for stream in artifact.streams)
            rows.append(SharedRow("step exponents of all tensors", steps - set_bytes))
            rows.append(SharedRow("sets of all tensors", set_bytes))
            rows.append(SharedRow("table of streams", len(section.stored) - payloads))
        elif section.id != RAW or not _plane_bytes(artifact):
            rows.append(SharedRow(section_name(section.id), len(section.stored)))
    return tuple(row for row in rows if row.bytes)
