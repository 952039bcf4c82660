"""Digests over what a stage of a compile is computed from.

Strategy: values are spelled out with their types and lengths before they are hashed, so that no two lists of inputs
are written alike; arrays by dtype, shape and bytes. The surroundings, of which another kind may round differently,
count as inputs: the package's own source, the libraries that compute, and the instructions that they use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from ...format.program.program import encode_program
from ...version import VERSION
from ..instruction_sets import fingerprint, instruction_sets
from ..model.model import Model

PACKAGE = Path(__file__).resolve().parents[2]
THAT_COMPUTE = ("compiler", "format", "runtime")  # folders of the package whose source decides bytes


def digest_of(*inputs: object) -> str:
    """64 hex digits over plain values, arrays, records and sequences and mappings of them."""
    digest = hashlib.sha256()
    for piece in _pieces(inputs):
        digest.update(piece)
    return digest.hexdigest()


def digest_of_model(model: Model) -> str:
    """Over the program, and the names, types and values of the tensors."""
    tensors = [(tensor.name, tensor.dtype, tensor.values) for tensor in model.tensors]
    return digest_of(encode_program(model.program), tensors)


@cache
def digest_of_surroundings() -> str:
    """Over the package's source, the libraries that compute, the instructions they use and what these come to."""
    import numba

    sources = [PACKAGE / "version.py", *(p for name in THAT_COMPUTE for p in sorted((PACKAGE / name).rglob("*.py")))]
    texts = [(str(path.relative_to(PACKAGE)), path.read_bytes()) for path in sources if path.is_file()]
    versions = VERSION, numba.__version__, np.__version__, torch.__version__
    return digest_of(texts, versions, instruction_sets(), fingerprint())


def _pieces(value: object) -> Iterator[bytes | memoryview]:
    """The value's kind and length, and its bytes or those of what it holds."""
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        yield f"array {array.dtype.str} {array.shape}:".encode()
        yield memoryview(array.reshape(-1).view(np.uint8))
    elif isinstance(value, bytes | str):
        data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        yield f"{type(value).__name__} {len(data)}:".encode() + data
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _pieces({each.name: getattr(value, each.name) for each in fields(value)})
    elif isinstance(value, Mapping):
        yield f"mapping {len(value)}:".encode()
        for name in value:
            yield from _pieces((name, value[name]))
    elif isinstance(value, list | tuple):
        yield f"sequence {len(value)}:".encode()
        for each in value:
            yield from _pieces(each)
    elif isinstance(value, np.generic):
        yield from _pieces(value.item())
    else:
        yield f"{type(value).__name__} {value!r};".encode()
