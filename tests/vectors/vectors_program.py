"""Test vectors of program.md: the bad programs of program_vectors.py, each in an otherwise good artifact."""

from __future__ import annotations

from collections.abc import Iterator

from program_vectors import GOOD, PROGRAM_VECTORS, SHAPES
from vector_files import Vector, artifact, digest, directory, entry, planes

from bytecap.errors import ArtifactError, UnsupportedArtifact
from bytecap.format.program.program import decode_program, validate_program

RAW_FLOAT32 = b"\x00\x00"
DIRECTORY = directory(*(entry(f"tensor {index}", shape, RAW_FLOAT32) for index, shape in enumerate(SHAPES)))
TABLE_SHAPE = SHAPES[0]
TABLE_VALUES = [value / 8 - 2 for value in range(TABLE_SHAPE[0] * TABLE_SHAPE[1])]


def refusal_offset(program: bytes) -> int | None:
    """Where the reader places the fault: the start of the operand or operation, none for a fault of the whole program.

    Taken from the reader when vectors are made, and compared with the stored figure ever after.
    """
    try:
        validate_program(decode_program(program), SHAPES)
    except ArtifactError as error:
        return error.offset
    return None


def program_vectors() -> Iterator[Vector]:
    table = ("table", TABLE_SHAPE, TABLE_VALUES)
    sha256 = digest(table)
    data = artifact(GOOD, directory(entry("table", TABLE_SHAPE, RAW_FLOAT32)), planes(TABLE_VALUES), digest=sha256)
    yield Vector("good-program-tied", "artifact", data, "An embedding that is also the head.", sha256=sha256.hex())
    for bad in PROGRAM_VECTORS:
        prefix = "unsupported" if bad.error is UnsupportedArtifact else "bad"
        data = artifact(bad.data, DIRECTORY)
        offset = refusal_offset(bad.data)
        yield Vector(
            f"{prefix}-program-{bad.name}",
            "artifact",
            data,
            bad.sentence,
            error=bad.error,
            rule=bad.rule,
            offset=offset,
        )
