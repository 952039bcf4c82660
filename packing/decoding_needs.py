"""What of the loader's decoding half an artifact needs, and the artifact in the form that this half reads.

Strategy: the modules are always the same; their tables by number keep only the kinds of terms, sets and codecs that
occur, and the kernels are those of these codecs. Sections that need zstandard or brotli are stored plainly.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from ..errors import CompileError
from ..format.artifact import Artifact, read_artifact, write_artifact
from ..format.codecs import INTEGER_CODECS, codec_of
from ..format.codecs.static_rans import StaticRans
from ..format.container.container import FIRST_ANCILLARY, make_section
from ..format.tensors.matrices import in_planes, stored_matrices, stored_sets
from ..format.tensors.member_sets import ENCODINGS
from ..format.tensors.terms import Grid, Raw
from .kernel_text import kernel_text

# In the order in which they are joined, each after those that it uses; before them stands `program`.
DECODING_MODULES = (
    "artifact_fields",
    "kernel_ways",
    "class_tables",
    "class_streams",
    "mixing_tables",
    "static_tables",
    "static_lanes",
    "term_values",
    "integer_streams",
    "decoding",
)
SIDE_CODEC = 1  # in which a static stream tells its tables


def decoding_tables(artifact: Artifact) -> Mapping[str, AbstractSet[int]]:
    """By a table's name the keys that the loader keeps for this artifact."""
    matrices = stored_matrices(artifact.directory)
    terms = {term.wire_id for entry in artifact.directory for term in entry.terms}
    terms |= {Raw.wire_id} if in_planes(matrices) else set()
    terms |= {Grid.wire_id for matrix in matrices.values() if isinstance(getattr(matrix, "record", None), Grid)}
    sets = {ENCODINGS.index(stored.record.encoding) for stored in stored_sets(artifact.directory).values()}
    codecs = stream_codecs(artifact)
    return {"TERMS": terms, "SETS": sets, "CODECS": codecs, "TOGETHER": codecs & {StaticRans.wire_id}}


def decoding_constants(artifact: Artifact) -> Mapping[str, str]:
    """What top-level names of the loader are assigned."""
    codecs = stream_codecs(artifact)
    return {"KERNELS": kernel_text(sorted(codecs | {SIDE_CODEC} if StaticRans.wire_id in codecs else codecs))}


def stream_codecs(artifact: Artifact) -> set[int]:
    """Wire ids of the codecs of all streams; CompileError for one of another package, which a script cannot have."""
    found = {stream.codec for stream in artifact.streams}
    for wire_id in sorted(found - INTEGER_CODECS.keys()):
        raise CompileError(f"the codec {codec_of(wire_id).name!r} is of another package and cannot be packed")
    return found


def stored_plainly(data: bytes) -> bytes:
    """The artifact with its critical sections uncompressed: the same contents and digest, a few bytes more.

    Raises ArtifactError.
    """
    artifact = read_artifact(data)
    sections = tuple(
        make_section(each.id, each.decoded, compress=False) if each.id < FIRST_ANCILLARY else each
        for each in artifact.sections
    )
    return write_artifact(replace(artifact, sections=sections))
