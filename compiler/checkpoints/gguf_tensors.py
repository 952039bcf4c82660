"""Reads GGUF files: every type that the gguf package decodes, under Hugging Face's names.

Strategy: tensor by tensor from the mapped file, on all cores, so that nothing is there twice. Values are those that
ggml's own formulas give, in float32; what llama.cpp's converter did to a tensor (gguf_names.py) is undone at once.
Nothing of the file is run, and its counts are checked before anything is allocated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

from ...errors import CheckpointError
from ...files.listing import counted, listed
from ...format.container.limits import DEFAULT_LIMITS
from ...format.parallel import in_order
from ...runtime.gguf_file import GgufDamaged, GgufFile, GgufTensor, read_gguf
from .configuration import Configuration
from .gguf_configuration import gguf_configuration
from .gguf_layout import head_counts, to_hugging_face
from .gguf_names import ARCHITECTURES, GgufArchitecture
from .rounded_twins import RoundedTwins, StoredMatrix, find_twins

Kind = gguf.GGMLQuantizationType
PLAIN = {Kind.F32: "float32", Kind.F16: "float16", Kind.BF16: "bfloat16", Kind.F64: "float32"}
MANTISSA = {Kind.F32: 24, Kind.F16: 11, Kind.BF16: 8, Kind.F64: 24}  # bits of a number as it is read
TABLE_AND_HEAD = ("token_embd.weight", "output.weight")
Place = tuple[Path, GgufFile, GgufTensor]  # where a tensor lies
FACTORS = {"rope_freqs.weight": "all", "rope_factors_long.weight": "long", "rope_factors_short.weight": "short"}


@dataclass(frozen=True, slots=True, eq=False)
class GgufContent:
    """What a file holds, in the terms of a checkpoint.

    notes : what was decoded, in words;  twins : a table and a head that are one matrix, where they are
    """

    tensors: dict[str, np.ndarray]
    dtypes: dict[str, str]
    configuration: Configuration
    notes: tuple[str, ...]
    twins: RoundedTwins | None


def read_gguf_tensors(files: Sequence[Path]) -> GgufContent:
    """Tensors and configuration of a GGUF file, or of one in several parts, the first of which has the metadata.

    Raises CheckpointError, which names the file: damaged, of an architecture or with a type that is not known.
    """
    opened = [(path, _opened(path)) for path in files]
    placed = {tensor.name: (path, file, tensor) for path, file in opened for tensor in file.tensors}
    path, metadata = files[0], opened[0][1].metadata
    if not placed:
        raise CheckpointError(
            f"{path} is a GGUF file without tensors, such as one of a vocabulary alone; give the file with the weights"
        )
    _check_sizes(placed, path)
    factors = {FACTORS[name]: _decoded(*placed.pop(name)) for name in FACTORS if name in placed}
    configuration = gguf_configuration(metadata, placed, factors, path)
    architecture = ARCHITECTURES[str(metadata["general.architecture"])]
    unknown = [name for name in placed if architecture.hugging_face_name(name) is None]
    if unknown:
        raise CheckpointError(f"{path} holds tensors that a GGUF of this architecture has not: {listed(unknown)}")
    heads, elements = head_counts(configuration.values), _elements(placed)

    def decode(name: str) -> np.ndarray:
        return to_hugging_face(_decoded(*placed[name]), name, architecture, heads, str(path))

    tensors, dtypes, kinds = {}, {}, Counter[str]()
    for name, values in zip(placed, in_order(decode, list(placed), elements), strict=True):
        ours, kind = str(architecture.hugging_face_name(name)), Kind(placed[name][2].kind)
        tensors[ours], dtypes[ours] = values, PLAIN.get(kind, "float32")
        kinds.update([] if kind in PLAIN else [kind.name])
    decoded = [f"{counted(count)} of {kind} decoded to float32" for kind, count in sorted(kinds.items())]
    return GgufContent(tensors, dtypes, configuration, tuple(decoded), _twins(placed, tensors, architecture))


def _twins(
    placed: Mapping[str, Place], tensors: Mapping[str, np.ndarray], architecture: GgufArchitecture
) -> RoundedTwins | None:
    """Table and head, where they are one matrix.

    placed : where each lies, by GGUF's names;  tensors : decoded, by Hugging Face's
    """
    both = []
    for name in TABLE_AND_HEAD:
        if name not in placed:
            return None
        ours, kind = str(architecture.hugging_face_name(name)), Kind(placed[name][2].kind)
        block, size = gguf.GGML_QUANT_SIZES[kind]
        both.append(StoredMatrix(ours, tensors[ours], kind.name, MANTISSA.get(kind, 8 * size / block)))
    return find_twins(*both)


def _opened(path: Path) -> GgufFile:
    try:
        return read_gguf(path)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except GgufDamaged as error:
        raise CheckpointError(f"{path} is not a whole GGUF file: {error}; copy it again") from error


def _elements(placed: Mapping[str, Place]) -> int:
    return sum(math.prod(tensor.shape) for _, _, tensor in placed.values())


def _check_sizes(placed: Mapping[str, Place], path: Path) -> None:
    elements = _elements(placed)
    if elements > DEFAULT_LIMITS.elements:
        raise CheckpointError(f"{path} has {elements:,} weights; at most {DEFAULT_LIMITS.elements:,} can be compiled")
    decodable = {*PLAIN, *gguf.quants._type_traits}  # the package has no public list
    for where, file, tensor in placed.values():
        known = tensor.kind in Kind._value2member_map_ and Kind(tensor.kind) in decodable
        if not known:
            name = Kind(tensor.kind).name if tensor.kind in Kind._value2member_map_ else f"number {tensor.kind}"
            raise CheckpointError(
                f"{where}: {tensor.name!r} is of ggml's type {name}, which is not decoded here; "
                f"known are {', '.join(sorted(kind.name for kind in decodable))}"
            )
        block, size = gguf.GGML_QUANT_SIZES[Kind(tensor.kind)]
        if tensor.shape[-1] % block:
            raise CheckpointError(f"{where}: rows of {tensor.name!r} are not whole blocks of {block}; copy it again")
        if tensor.offset + math.prod(tensor.shape) // block * size > len(file.data):
            raise CheckpointError(f"{where} is not a whole GGUF file: {tensor.name!r} ends beyond it; copy it again")


def gguf_entries(path: Path) -> Iterator[tuple[str, str, tuple[int, ...], memoryview]]:
    """(name, type, shape, bytes as stored) of every tensor of one file, under GGUF's own names; nothing is decoded.

    Raises CheckpointError for a damaged file and for a type that ggml's table does not have.
    """
    file = _opened(path)
    for tensor in file.tensors:
        if tensor.kind not in set(Kind):
            raise CheckpointError(f"{path} holds {tensor.name!r} in type {tensor.kind}, which is not known")
        kind, count = Kind(tensor.kind), math.prod(tensor.shape)
        block, size = gguf.GGML_QUANT_SIZES[kind]
        content = file.data[tensor.offset : tensor.offset + count // block * size]
        if len(content) != count // block * size:
            raise CheckpointError(f"{path} is not a whole GGUF file: it ends within {tensor.name!r}; copy it again")
        yield tensor.name, PLAIN[kind] if kind in PLAIN and kind is not Kind.F64 else kind.name, tensor.shape, content


def _decoded(_: Path, file: GgufFile, tensor: GgufTensor) -> np.ndarray:
    """float32 array of the tensor's shape."""
    kind, count = Kind(tensor.kind), math.prod(tensor.shape)
    if not count:
        return np.zeros(tensor.shape, np.float32)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    stored = np.frombuffer(file.data, np.uint8, count // block * size, tensor.offset)
    if kind is Kind.F64:
        with np.errstate(over="ignore"):
            return stored.view("<f8").astype(np.float32).reshape(tensor.shape)
    if kind is Kind.F32:
        return stored.view("<f4").astype(np.float32).reshape(tensor.shape)
    rows = stored.reshape(*tensor.shape[:-1], tensor.shape[-1] // block * size)
    with np.errstate(all="ignore"):  # what is not finite is refused by name, later
        return np.ascontiguousarray(gguf.quants.dequantize(rows, kind), np.float32).reshape(tensor.shape)
