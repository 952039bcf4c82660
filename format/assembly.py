"""Assembling an artifact from values: the writer's side of artifact.py.

Strategy: the caller says what each tensor is (tensors/sources.py) and in which stream its integers go;
this module derives every stored number from that, encodes, and reads its own output back, so that a
written artifact has already passed the reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .artifact import decode_tensors, encode_provenance, read_artifact, tensors_digest
from .codecs import INTEGER_CODECS, CodecFault, ExpectedScales, codec_of
from .container.container import (
    CODES,
    DIGEST,
    DIGEST_BYTES,
    DIRECTORY,
    IDENTITY,
    PROGRAM,
    PROVENANCE,
    RAW,
    Section,
    make_section,
    write_container,
)
from .container.cursor import Writer
from .identity import UNKNOWN, Identity, encode_identity
from .parallel import in_order
from .program.program import Program, encode_program, least_minor_version
from .tensors.directory import write_directory
from .tensors.matrices import exponent_scales
from .tensors.member_sets import gap_scales
from .tensors.raw_planes import encode_raw_planes
from .tensors.set_choice import KnownSets, ToldSet
from .tensors.sources import TensorSource, all_matrices, choose_sets, entry_of, own_codebooks
from .tensors.stored import CodedContent, CodedValues, RawContent, StoredContent
from .tensors.streams import Stream, write_streams
from .tensors.terms import Codebooks, Part, reconstruct_tensor, write_term
from .tensors.terms.grid import median_exponent

DEFAULT_CODEC = 1


def assemble_artifact(
    program: Program,
    tensors: Sequence[TensorSource],
    provenance: Mapping[str, object] | None = None,
    codec: int = DEFAULT_CODEC,
    *,
    identity: Identity = UNKNOWN,
    encoded: EncodedStreams | None = None,
) -> bytes:
    """The bytes of an artifact whose integers are coded by the codec of that wire id.

    identity : of the files that the model belongs to; the section is left out when nothing is known
    encoded : remembers streams from one artifact to the next
    Deterministic; raises ArtifactError when the result would break a rule of spec/.
    """
    draft = _Draft(program, tensors, provenance, identity, codec, encoded or EncodedStreams())
    digest = tensors_digest(draft.entries, _reconstruct(tensors, draft.codebooks))
    data = write_container(draft.sections(digest), least_minor_version(program))
    decode_tensors(read_artifact(data))
    return data


def artifact_size(
    program: Program,
    tensors: Sequence[TensorSource],
    provenance: Mapping[str, object] | None = None,
    codec: int = DEFAULT_CODEC,
    *,
    identity: Identity = UNKNOWN,
    encoded: EncodedStreams | None = None,
) -> int:
    """Bytes that `assemble_artifact` would give, without reconstructing a tensor or reading anything back."""
    draft = _Draft(program, tensors, provenance, identity, codec, encoded or EncodedStreams())
    return len(write_container(draft.sections(bytes(DIGEST_BYTES)), least_minor_version(program)))


class EncodedStreams:
    """The streams of the artifact that was assembled last, each to be used again for the same arrays of integers."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[int, list[np.ndarray], bytes]] = {}

    def payload(self, index: int, members: Sequence[CodedValues], codec: int) -> bytes:
        """Stream `index` of these members, whose codes must not have been changed in place."""
        codes = [values.codes for values in members]
        if index in self._kept:
            kept_codec, kept_codes, payload = self._kept[index]
            same = len(codes) == len(kept_codes) and all(a is b for a, b in zip(codes, kept_codes, strict=True))
            if same and codec == kept_codec:
                return payload
        payload = encode_grid_stream(members, codec)
        self._kept[index] = codec, codes, payload
        return payload


class _Draft:
    """All of an artifact but the digest of its tensors."""

    def __init__(
        self,
        program: Program,
        tensors: Sequence[TensorSource],
        provenance: Mapping[str, object] | None,
        identity: Identity,
        codec: int,
        encoded: EncodedStreams,
    ) -> None:
        sets, self.codebooks = choose_sets(tensors), own_codebooks(tensors)
        self.entries = tuple(entry_of(tensor, index, sets, self.codebooks) for index, tensor in enumerate(tensors))
        matrices = all_matrices(tensors, self.codebooks)
        names = [tensor.name for tensor in tensors for part in tensor.parts for _ in part.stored(self.codebooks)]
        streams = _encode_streams(matrices, list(sets.values()), codec, encoded, names)
        self._before = [
            make_section(PROGRAM, encode_program(program)),
            make_section(DIRECTORY, write_directory(self.entries)),
            make_section(RAW, _raw_planes(matrices)),
            make_section(CODES, write_streams(streams), compress=False),
        ]
        self._after = [make_section(PROVENANCE, encode_provenance(provenance))] if provenance else []
        self._after += [make_section(IDENTITY, encode_identity(identity))] if identity.known else []

    def sections(self, digest: bytes) -> list[Section]:
        """The sections of the container."""
        return [*self._before, make_section(DIGEST, digest, compress=False), *self._after]


def _raw_planes(matrices: Sequence[StoredContent]) -> bytes:
    """Content of the RAW section."""
    return encode_raw_planes([(matrix.values, matrix.storage) for matrix in matrices if isinstance(matrix, RawContent)])


def _encode_streams(
    matrices: Sequence[StoredContent],
    sets: Sequence[ToldSet],
    codec: int,
    encoded: EncodedStreams | None = None,
    names: Sequence[str] = (),
) -> list[Stream]:
    """Stream 0, and those that the matrices name; none at all when there are no integers.

    names : of the tensor of each matrix, for errors
    """
    encoded = encoded or EncodedStreams()
    coded = [matrix for matrix in matrices if isinstance(matrix, CodedContent)]
    gaps = [(told.integers, told.universe) for told in sets if told.integers is not None]
    if not coded and not gaps:
        return []
    vectors = []
    for matrix in coded:
        for exponents in (matrix.values.row_exponents, matrix.values.column_exponents):
            if exponents is not None:
                vectors.append((exponents - median_exponent(exponents)).astype(np.int32)[None, :])
    scales = [exponent_scales(vector.size) for vector in vectors]
    scales += [gap_scales(integers.size, universe) for integers, universe in gaps]
    first = _encode_first_stream(vectors + [integers for integers, _ in gaps], scales)
    members: list[list[CodedValues]] = [[] for _ in range(max((matrix.stream for matrix in coded), default=0))]
    for matrix in coded:
        members[matrix.stream - 1].append(matrix.values)

    def encode(index: int) -> Stream:
        try:
            return Stream(codec, encoded.payload(index, members[index - 1], codec))
        except CodecFault as fault:
            named = [(m, name) for m, name in zip(matrices, names, strict=False) if isinstance(m, CodedContent)]
            raise fault.of([name for matrix, name in named if matrix.stream == index]) from fault

    work = sum(matrix.values.codes.size for matrix in coded)
    return [first, *in_order(encode, range(1, len(members) + 1), work)]


def _encode_first_stream(vectors: Sequence[np.ndarray], scales: Sequence[ExpectedScales]) -> Stream:
    """Stream 0: few numbers, by whatever codec makes it smallest."""
    candidates = [Stream(wire_id, codec.encode(vectors, scales)) for wire_id, codec in sorted(INTEGER_CODECS.items())]
    return min(candidates, key=lambda stream: len(stream.payload))


def encode_grid_stream(members: Sequence[CodedValues], codec: int = DEFAULT_CODEC) -> bytes:
    """One stream of several grids' codes or codebooks' indices, as the CODES section holds it."""
    return codec_of(codec).encode(
        [values.codes for values in members], [values.expected_scales() for values in members]
    )


def part_bytes(
    parts: Sequence[Part],
    shape: tuple[int, ...],
    codec: int = DEFAULT_CODEC,
    *,
    sets: KnownSets | None = None,
) -> int:
    """Bytes that one tensor's parts take by themselves: terms and raw planes as compressed, stream 0, integers.

    sets : of earlier tensors, which the parts may name for the bytes of the name
    """
    tensor = TensorSource("", shape, "float32", tuple(parts))
    index = 1 + max((entry for entry, _ in sets or {}), default=-1)
    told, books = choose_sets([tensor], sets, index), own_codebooks([tensor], index)
    writer = Writer()
    for term in entry_of(tensor, index, told, books).terms:
        write_term(writer, term)
    matrices = all_matrices([tensor], books)
    planes = _raw_planes(matrices)
    stored = make_section(RAW, planes).stored if planes else b""
    streams = _encode_streams(matrices, list(told.values()), codec)
    terms = make_section(DIRECTORY, writer.bytes()).stored  # a set told by bits is long, and compresses well
    return len(terms) + len(stored) + sum(len(stream.payload) for stream in streams)


def _reconstruct(tensors: Sequence[TensorSource], codebooks: Codebooks) -> list[np.ndarray]:
    arrays: list[np.ndarray] = []
    for tensor in tensors:
        arrays.append(reconstruct_tensor(tensor.parts, tensor.shape, arrays=arrays, codebooks=codebooks))
    return arrays
