"""An artifact's bytes in, its program and its tensors out, with nothing but numpy.

    header, instructions, arrays, way = decode_artifact(data)

`header` and `instructions` are those of program.py, `arrays` float32 in the order of the directory, and `way` is how
the integers were decoded. What the packer prunes to the artifact's own kinds are the tables TERMS, SETS and CODECS;
what it writes is the text KERNELS (packing/decoding_needs.py).
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np

from .artifact_fields import read_sections
from .integer_streams import decode_streams
from .program import Header, Instruction, read_program
from .term_values import Directory, read_entries

PROGRAM, DIRECTORY, RAW, CODES, DIGEST = 1, 2, 3, 4, 5


def decode_artifact(
    data: bytes, ways: str = "numba c python"
) -> tuple[Header, list[Instruction], list[np.ndarray], str]:
    """Program, tensors, and the way that the kernels were run: the first of `ways` that is there.

    ValueError when the tensors are not those that were stored.
    """
    sections, directory = read_sections(data), Directory()
    entries = read_entries(directory, sections[DIRECTORY])
    fill_planes(directory.planes, sections[RAW])
    way = decode_streams(ways, sections[CODES], directory)
    digest = hashlib.sha256()
    for name, shape, terms in entries:
        total = terms[0]()
        for term in terms[1:]:
            total = total + term()
        directory.tensors.append(np.ascontiguousarray(total, "<f4").reshape(shape))
        digest.update(struct.pack("<I", len(name)) + name + struct.pack(f"<{1 + len(shape)}I", len(shape), *shape))
        digest.update(directory.tensors[-1])
    if digest.digest() != sections[DIGEST]:
        raise ValueError("the decoded tensors are not those that were stored")
    return (*read_program(sections[PROGRAM]), directory.tensors, way)


def fill_planes(planes: list[tuple[int, np.ndarray]], data: bytes) -> None:
    """Raw values: those of float32, float16, bfloat16, each in byte planes, the most significant first."""
    at = 0
    for storage, width in enumerate((4, 2, 2)):
        targets = [values for kind, values in planes if kind == storage]
        total = sum(values.size for values in targets)
        words = np.frombuffer(data, np.uint8, width * total, at).reshape(width, total)[::-1].T.copy()
        numbers = words.view(("<f4", "<f2", "<u2")[storage]).ravel()
        if storage > 1:
            numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
        at += width * total
        for values in targets:
            values[:] = numbers[: values.size].reshape(values.shape)
            numbers = numbers[values.size :]
