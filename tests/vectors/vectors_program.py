"""Test vectors of program.md: the bad programs of program_vectors.py, each in an otherwise good artifact."""

from __future__ import annotations

from collections.abc import Iterator

from program_vectors import GOOD, PROGRAM_VECTORS, SHAPES
from vector_files import Vector, artifact, digest, directory, entry, planes

from bytecap.errors import ArtifactError, MalformedArtifact, UnsupportedArtifact
from bytecap.format.program.program import decode_program, validate_program

RAW_FLOAT32 = b"\x00\x00"
DIRECTORY = directory(*(entry(f"tensor {index}", shape, RAW_FLOAT32) for index, shape in enumerate(SHAPES)))
TABLE_SHAPE = SHAPES[0]
TABLE_VALUES = [value / 8 - 2 for value in range(TABLE_SHAPE[0] * TABLE_SHAPE[1])]


def refusal_offset(program: bytes, minor_version: int) -> int | None:
    """Where the reader places the fault: the start of the operand or operation, none for a fault of the whole program.

    Taken from the reader when vectors are made, and compared with the stored figure ever after.
    """
    try:
        validate_program(decode_program(program, minor_version=minor_version), SHAPES)
    except ArtifactError as error:
        return error.offset
    return None


def program_vectors() -> Iterator[Vector]:
    table = ("table", TABLE_SHAPE, TABLE_VALUES)
    sha256 = digest(table)
    parts = (GOOD, directory(entry("table", TABLE_SHAPE, RAW_FLOAT32)), planes(TABLE_VALUES))
    data = artifact(*parts, digest=sha256)
    yield Vector("good-program-tied", "artifact", data, "An embedding that is also the head.", sha256=sha256.hex())
    late = artifact(*parts, digest=sha256, minor_version=1)
    says = "Version 1.1 in front of a program that needs no more than 1.0."
    yield Vector("bad-minor-not-least", "artifact", late, says, error=MalformedArtifact, rule="R-CAN-2", offset=9)
    for bad in PROGRAM_VECTORS:
        prefix = "unsupported" if bad.error is UnsupportedArtifact else "bad"
        data = artifact(bad.data, DIRECTORY, minor_version=bad.minor_version)
        offset = refusal_offset(bad.data, bad.minor_version)
        yield Vector(
            f"{prefix}-program-{bad.name}",
            "artifact",
            data,
            bad.sentence,
            error=bad.error,
            rule=bad.rule,
            offset=offset,
        )
