"""Where an artifact's bytes went, as records: what `bytecap inspect` shows.

Strategy: every byte of the file is counted once. The integers of a tensor have a length of their own in its stream; the
planes of raw tensors are compressed together, so each gets its share of the section in proportion to its uncompressed
planes; what serves all tensors (header, program, directory, step exponents, digest) is listed beside them. The three
tables therefore add up to the file size, and a test holds them to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from .artifact import Artifact, DecodedTensors, decode_contents, read_artifact
from .codecs import INTEGER_CODECS
from .container.bytes_codecs import BYTES_CODECS
from .container.container import CODES, RAW, read_minor_version, section_name
from .container.cursor import Writer
from .container.limits import DEFAULT_LIMITS, Limits
from .identity import Identity
from .tensors.keys import MatrixKey
from .tensors.matrices import in_planes, stored_matrices, stored_sets
from .tensors.raw_planes import ITEM_BYTES
from .tensors.stored import CodedValues
from .tensors.terms import Alias, TensorEntry
from .tensors.terms.codebook import CODEWORDS


@dataclass(frozen=True, slots=True)
class SectionRow:
    """One section of the file; offsets and sizes in bytes."""

    name: str
    codec: str
    offset: int
    stored_bytes: int
    decoded_bytes: int


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One stream of integers: its codec and the bytes of its payload."""

    number: int
    codec: str
    bytes: int


@dataclass(frozen=True, slots=True)
class TermRow:
    """One term of a tensor: in words, the bytes of its integers and planes, and apart from
    them those of its set.

    set_bytes : int    in stream 0 or, uncompressed, in the directory; both are shared rows and not in `bytes`
    book_bytes : int   of the codewords that it stores; in `bytes`
    """

    kind: str
    description: str
    bytes: int
    set_bytes: int
    book_bytes: int


@dataclass(frozen=True, slots=True)
class TensorRow:
    """One tensor; `bytes` are those of its terms, and bits_per_weight is 8 * bytes / elements."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    description: str
    elements: int
    bytes: int
    terms: tuple[TermRow, ...]

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.bytes / self.elements


@dataclass(frozen=True, slots=True)
class SharedRow:
    """Bytes that serve all tensors together."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What an artifact holds.

    bytes : int                                file size = sum of `tensors` and `shared`
    sections : tuple of SectionRow             in file order; with the header and table they cover the file
    tensors : tuple of TensorRow               in directory order
    streams : tuple of StreamRow               in file order; stream 0 holds step exponents
    metadata : tuple of SharedRow              bytes that say where and how finely values stand, counted
        in other rows already; records in the directory before it is compressed
    """

    format_version: str
    bytes: int
    sha256: str
    header_bytes: int
    sections: tuple[SectionRow, ...]
    tensors: tuple[TensorRow, ...]
    shared: tuple[SharedRow, ...]
    streams: tuple[StreamRow, ...]
    metadata: tuple[SharedRow, ...]
    provenance: Mapping[str, object]
    identity: Identity

    @property
    def weights(self) -> int:
        """Stored weights; those of aliases are counted once, at their source."""
        return sum(row.elements for row in self.tensors if row.terms[0].kind != Alias.name)


@dataclass(frozen=True, slots=True)
class GridDetail:
    """One grid of a tensor, or the centered indices of a codebook (base 1).

    term, matrix : int, str              number of the term (from 1), and what the grid is in it (""
        when it is the term)
    row_steps, column_steps : (least, greatest) factor of the base that the rows' or columns' exponents
        give; None: no steps
    histogram : tuple of (code, count)   every code that occurs, ascending
    entropy_bits : float                 order-0 entropy of the codes, bits a code
    """

    term: int
    matrix: str
    base: float
    steps_per_octave: int
    row_steps: tuple[float, float] | None
    column_steps: tuple[float, float] | None
    histogram: tuple[tuple[int, int], ...]
    entropy_bits: float


@dataclass(frozen=True, slots=True)
class TensorDetail:
    """One tensor looked at closely; minimum, maximum and root mean square of its decoded values."""

    row: TensorRow
    minimum: float
    maximum: float
    root_mean_square: float
    grids: tuple[GridDetail, ...]


def inspect_artifact(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Inspection:
    """Decode an artifact and count its bytes. Raises ArtifactError when it cannot be read or decoded."""
    artifact = read_artifact(data, limits)
    contents = decode_contents(artifact)
    stored = sum(len(section.stored) for section in artifact.sections)
    header_bytes = len(data) - stored
    tensors = _tensor_rows(artifact, contents)
    return Inspection(
        format_version=f"1.{read_minor_version(data)}",
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        header_bytes=header_bytes,
        sections=_section_rows(artifact, header_bytes),
        tensors=tensors,
        shared=_shared_rows(artifact, header_bytes, sum(contents.set_bytes.values())),
        streams=tuple(
            StreamRow(n, INTEGER_CODECS[s.codec].name, len(s.payload)) for n, s in enumerate(artifact.streams)
        ),
        metadata=_metadata_rows(artifact, sum(contents.set_bytes.values()), tensors),
        provenance=artifact.provenance,
        identity=artifact.identity,
    )


def inspect_tensor(data: bytes, name: str, limits: Limits = DEFAULT_LIMITS) -> TensorDetail | None:
    """One tensor of an artifact looked at closely, or None when there is none of that name. ArtifactError as above."""
    artifact = read_artifact(data, limits)
    names = [entry.name for entry in artifact.directory]
    if name not in names:
        return None
    index = names.index(name)
    contents = decode_contents(artifact)
    values = contents.arrays[index].astype(np.float64)
    return TensorDetail(
        row=_tensor_rows(artifact, contents)[index],
        minimum=float(values.min()),
        maximum=float(values.max()),
        root_mean_square=float(np.sqrt(np.mean(values * values))),
        grids=_grid_details(artifact.directory[index], index, contents),
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


def _tensor_rows(artifact: Artifact, contents: DecodedTensors) -> tuple[TensorRow, ...]:
    value_bytes = _raw_shares(artifact) | contents.matrix_bytes
    names = [entry.name for entry in artifact.directory]
    rows = []
    for index, entry in enumerate(artifact.directory):
        terms = []
        for number, term in enumerate(entry.terms):
            sizes = {
                matrix.name: value_bytes[index, number, m] for m, matrix in enumerate(term.matrices(entry.matrix_shape))
            }
            told = term.stored_set(entry.matrix_shape)
            set_bytes = contents.set_bytes.get((index, number), 0) + (len(told.record.bitmap) if told else 0)
            book_bytes = sizes.get(CODEWORDS, 0)
            terms.append(TermRow(term.name, term.describe(names), sum(sizes.values()), set_bytes, book_bytes))
        description = " + ".join(term.description for term in terms)
        n_bytes = sum(term.bytes for term in terms)
        rows.append(TensorRow(entry.name, entry.shape, entry.dtype, description, entry.elements, n_bytes, tuple(terms)))
    return tuple(rows)


def _metadata_rows(artifact: Artifact, set_bytes: int, tensors: Sequence[TensorRow]) -> tuple[SharedRow, ...]:
    """What is not a value: steps, sets and codebooks."""
    writer = Writer()
    for stored in stored_sets(artifact.directory).values():
        stored.record.write(writer)
    steps = len(artifact.streams[0].payload) - set_bytes if artifact.streams else 0
    rows = [
        SharedRow("step exponents", steps),
        SharedRow("sets, their gaps and changes", set_bytes),
        SharedRow("sets, their records in the directory", len(writer.bytes())),
        SharedRow("codewords", sum(term.book_bytes for row in tensors for term in row.terms)),
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


def _grid_details(entry: TensorEntry, index: int, contents: DecodedTensors) -> tuple[GridDetail, ...]:
    details = []
    for number, term in enumerate(entry.terms):
        for m, matrix in enumerate(term.matrices(entry.matrix_shape)):
            if (index, number, m) in contents.matrices:
                details.append(_grid_detail(contents.matrices[index, number, m], number + 1, matrix.name))
    return tuple(details)


def _grid_detail(grid: CodedValues, term: int, matrix: str) -> GridDetail:
    codes, counts = np.unique(grid.codes, return_counts=True)
    shares = counts / counts.sum()
    return GridDetail(
        term=term,
        matrix=matrix,
        base=grid.base,
        steps_per_octave=1 << grid.resolution,
        row_steps=_step_range(grid.row_exponents, grid.resolution),
        column_steps=_step_range(grid.column_exponents, grid.resolution),
        histogram=tuple(zip(codes.tolist(), counts.tolist(), strict=True)),
        entropy_bits=float(-(shares * np.log2(shares)).sum()),
    )


def _step_range(exponents: np.ndarray | None, resolution: int) -> tuple[float, float] | None:
    """Least and greatest factor 2**(exponent / steps per octave)."""
    if exponents is None:
        return None
    return tuple(2.0 ** (int(bound) / (1 << resolution)) for bound in (exponents.min(), exponents.max()))
