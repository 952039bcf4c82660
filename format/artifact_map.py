"""The annotated map of a whole artifact: what every byte of the file is, and of every section once it is decompressed.

Strategy: the container's map (container/describe.py) has a region a section; each gets nested regions that cover its
decoded bytes exactly once. Program, directory, table of streams and identity are read again by their own readers
through a cursor that records its fields; planes and payloads are cut where the decoder says that a tensor ends.
Integers are not cut further: a coder's symbols end within bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from .artifact import Artifact, DecodedTensors, decode_contents, read_artifact
from .codecs import codec_of
from .container.container import CODES, DIGEST, DIRECTORY, IDENTITY, PROGRAM, PROVENANCE, RAW, read_minor_version
from .container.describe import Region, describe_container
from .container.field_recorder import Field, FieldRecorder
from .container.limits import DEFAULT_LIMITS, Limits
from .identity import read_identity
from .program.listing import operand_text
from .program.program import read_program
from .tensors.directory import read_directory_at
from .tensors.matrices import in_planes, in_streams, stored_matrices
from .tensors.member_sets import ENCODINGS
from .tensors.raw_planes import STORAGES, plane_slices
from .tensors.streams import read_streams_at
from .tensors.terms import TERMS_BY_ID
from .tensors.terms.codebook import SHARED_BOOK
from .tensors.terms.grid import NO_STEPS, OWN_STEPS
from .tensors.terms.subset import AXES

SIDES = ("row", "column")
KINDS = {kind: term.name for kind, term in TERMS_BY_ID.items()}
STEPS = {NO_STEPS: "none", OWN_STEPS: "its own"}
CHOICES: Mapping[str, Sequence[str] | Mapping[int, str]] = {  # fields of the directory that choose from a list
    "type": STORAGES,
    "storage": STORAGES,
    "kind of term": KINDS,
    "kind of matrix": KINDS,
    "kind of codewords": {**KINDS, SHARED_BOOK: "those of another term"},
    "encoding of the set": ENCODINGS,
    "row steps": STEPS,
    "column steps": STEPS,
    "axis": AXES,
}


def describe_artifact(data: bytes, limits: Limits = DEFAULT_LIMITS) -> list[Region]:
    """Regions in file order that cover every byte exactly once; those of sections have nested ones, whose offsets are
    in the decoded section and which cover it likewise.

    Raises ArtifactError for bytes that `read_artifact` or `decode_contents` refuses.
    """
    artifact = read_artifact(data, limits)
    contents = decode_contents(artifact)
    minor_version = read_minor_version(data)
    describe: dict[int, Callable[[bytes], Iterable[Region]]] = {
        PROGRAM: lambda decoded: _program_regions(decoded, artifact, minor_version),
        DIRECTORY: lambda decoded: _directory_regions(decoded, limits),
        RAW: lambda decoded: _raw_regions(artifact),
        CODES: lambda decoded: _code_regions(decoded, artifact, contents, limits),
        DIGEST: lambda decoded: [Region(0, len(decoded), "digest", "SHA-256 of all decoded tensors")],
        PROVENANCE: lambda decoded: [Region(0, len(decoded), "provenance", decoded.decode("utf-8"))],
        IDENTITY: lambda decoded: _identity_regions(decoded),
    }
    regions = describe_container(data, limits)
    stored = [section for section in artifact.sections if section.stored]
    head = regions[: len(regions) - len(stored)]
    for region, section in zip(regions[len(head) :], stored, strict=True):
        nested = describe[section.id](section.decoded) if section.id in describe else ()
        head.append(replace(region, nested=tuple(nested)))
    return head


def _identity_regions(decoded: bytes) -> Iterator[Region]:
    cursor = FieldRecorder(decoded)
    read_identity(cursor)
    for field in cursor.fields:
        value = "SHA-256" if isinstance(field.value, memoryview) else f"{field.value:,}"
        yield Region(field.offset, field.length, field.name, value)


def _program_regions(decoded: bytes, artifact: Artifact, minor_version: int) -> Iterator[Region]:
    """The program's numbers, then of each instruction the operation and each operand, however many fields that has."""
    cursor = FieldRecorder(decoded, where="program")
    program = read_program(cursor, minor_version=minor_version)
    names = [entry.name for entry in artifact.directory]
    head = [field for field in cursor.fields if field.name and field.where == "program" and field.name != "operation"]
    for field in head:
        yield Region(field.offset, field.length, field.name, f"{field.value:,}")
    found = _operand_fields(cursor.fields[len(head) :])
    for index, instruction in enumerate(program.instructions):
        opcode = next(found)[0]
        yield Region(opcode.offset, opcode.length, f"r{index}", f"{instruction.name} (operation {opcode.value})")
        for name, kind, value in instruction.values():
            fields = next(found)
            length = fields[-1].offset + fields[-1].length - fields[0].offset
            text = "none" if value is None else operand_text(kind, value, names)
            yield Region(fields[0].offset, length, f"r{index} {instruction.name} {name}", text)


def _operand_fields(fields: Sequence[Field]) -> Iterator[list[Field]]:
    """The fields of each operation byte and of each operand: those that were read in one place."""
    for _, group in groupby(fields, key=lambda field: field.where if field.name != "operation" else object()):
        yield list(group)


def _directory_regions(decoded: bytes, limits: Limits) -> Iterator[Region]:
    cursor = FieldRecorder(decoded, where="directory")
    entries = iter(read_directory_at(cursor, limits))
    tensor = ""
    for field in cursor.fields:
        if field.where == "directory" and field.name == "name":
            tensor = next(entries).name
        name = f"{tensor} {field.name}" if tensor and field.name != "name" else field.name
        yield Region(field.offset, field.length, name, _directory_text(field))


def _directory_text(field: Field) -> str:
    if field.name == "bitmap":
        return "a bit a number, 1 for a member"
    if field.name in CHOICES:
        number = int(str(field.value))
        return f"{number} ({CHOICES[field.name][number]})"
    return f"{field.value:.9g}" if isinstance(field.value, float) else str(field.value)


def _raw_regions(artifact: Artifact) -> Iterator[Region]:
    raw = in_planes(stored_matrices(artifact.directory))
    keys, matrices = list(raw), list(raw.values())
    for piece in plane_slices([(matrix.elements, matrix.storage) for matrix in matrices]):
        matrix, (entry, term, _) = matrices[piece.index], keys[piece.index]
        name = _matrix_name(artifact, entry, term, matrix.name)
        which = "the most significant bytes" if piece.plane == 0 else f"bytes of plane {piece.plane}"
        yield Region(piece.start, piece.length, name, f"{which} of {matrix.elements:,} {matrix.storage} values")


def _code_regions(decoded: bytes, artifact: Artifact, contents: DecodedTensors, limits: Limits) -> Iterator[Region]:
    """The table of streams, then each payload cut by matrix, stream 0 by the side of a matrix and by set."""
    cursor = FieldRecorder(decoded, where="codes")
    read_streams_at(cursor, limits)
    parts = _payload_parts(artifact, contents)
    for field in cursor.fields:
        if field.name == "payload":
            number = int(field.where.rpartition(" ")[2])
            yield from _payload_regions(field, parts.get(number, []))
            continue
        stream = f"{field.where.partition(' / ')[2]} ".lstrip()
        value = codec_of(int(str(field.value))).name if field.name == "codec" else f"{field.value:,}"
        yield Region(field.offset, field.length, stream + field.name, value)


def _payload_parts(artifact: Artifact, contents: DecodedTensors) -> dict[int, list[tuple[str, str, int]]]:
    """By stream (name, text, bytes) of what stands in it, in its order."""
    matrices = in_streams(stored_matrices(artifact.directory))
    found: dict[int, list[tuple[str, str, int]]] = {}
    for key, size in contents.matrix_bytes.items():
        matrix = matrices[key]
        name = _matrix_name(artifact, key[0], key[1], matrix.name)
        text = f"{matrix.rows:,} x {matrix.columns:,} integers"
        found.setdefault(matrix.record.stream, []).append((name, text, size))
    steps = [
        (
            _matrix_name(artifact, key[0], key[1], matrices[key].name),
            f"step exponents of {(matrices[key].rows, matrices[key].columns)[side]:,} {SIDES[side]}s",
            size,
        )
        for (key, side), size in contents.step_bytes.items()
    ]
    sets = [
        (_matrix_name(artifact, *key, ""), "set, gaps or changes", size) for key, size in contents.set_bytes.items()
    ]
    return {0: steps + sets, **found}


def _payload_regions(field: Field, parts: Sequence[tuple[str, str, int]]) -> Iterator[Region]:
    """Parts of a payload one after another. One that ends within the byte in which the one before it ended has no byte
    of its own and is named with the next; the coder's last bytes belong to the last part.
    """
    start, waiting = field.offset, ""
    end = field.offset + field.length
    if not parts:
        yield Region(start, field.length, field.where.partition(" / ")[2], "the coder's own bytes, no integers")
    for number, (name, text, size) in enumerate(parts):
        last = number == len(parts) - 1
        length = end - start if last else size
        if length:
            yield Region(start, length, name, text + waiting)
            start, waiting = start + length, ""
        else:
            waiting += f"; in the same byte {name}, {text}"


def _matrix_name(artifact: Artifact, entry: int, term: int, matrix: str) -> str:
    """A tensor, of several terms the number of the term from 1, and what the matrix is in it."""
    found = artifact.directory[entry]
    which = [f"term {term + 1}"] if len(found.terms) > 1 else []
    return " ".join([found.name, *which, *([matrix] if matrix else [])])
