"""What the files of other tools hold, as they store it: types, shapes, bytes and entropies, without a model made of it.

Strategy: the readers that a compile uses open the files (containers.py tells kinds by their first bytes in the same
way), but nothing is decoded to weights: a tensor is its bytes. Only torch's files need torch. Entropies are of order 0,
byte plane by byte plane of a number, so that they say what a plain coder would make of the bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...errors import CheckpointError
from ...files.listing import listed
from ...format.entropy import entropy_bits
from ...format.tensors.raw_planes import to_storage
from ...runtime.gguf_file import MAGIC as GGUF_MAGIC
from .compressed import compression_of
from .containers import BEGIN_BYTES, KNOWN_KINDS, mapped, not_inside, unfold
from .folder import weight_files
from .gguf_tensors import gguf_entries
from .identification import what_it_is
from .llama2c import is_llama2c, read_llama2c
from .llm_c import MAGIC as LLM_C_MAGIC
from .llm_c import read_llm_c
from .numpy_archive import archived_arrays, is_numpy_archive
from .safetensors_file import is_safetensors, safetensors_entries
from .shared_storage import find_owners, own_bytes
from .stored import check_element_count, unusual_storage
from .torch_file import load_torch

ZIP = b"PK\x03\x04"
DEPTH = 8  # of dictionaries within each other in a torch file
ITEM_BYTES = {"float64": 8, "int64": 8, "uint64": 8, "float32": 4, "int32": 4, "uint32": 4}
ITEM_BYTES |= {"float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2}  # of others a byte at a time is looked at


@dataclass(frozen=True, slots=True)
class HeldTensor:
    """One tensor as its file stores it.

    entropy_bits : order-0 entropy, bits a number
    shares : the tensor whose numbers, or some of them, these are, "" of one with its own; it has no bytes then
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    entropy_bits: float
    packed_bytes: int | None = None
    shares: str = ""

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What one or several files hold.

    kind : in words, with the compression;  files : their names;  file_bytes : of all of them
    content_bytes : what they unfold to, None where nothing is compressed;  notes : what else is to be known
    """

    path: Path
    kind: str
    files: tuple[str, ...]
    file_bytes: int
    content_bytes: int | None
    tensors: tuple[HeldTensor, ...]
    notes: tuple[str, ...] = ()


@dataclass
class _Content:
    """What one file holds, while it is being read."""

    kind: str
    tensors: list[HeldTensor]
    content_bytes: int | None = None
    notes: list[str] = field(default_factory=list)


def read_holdings(path: str | Path) -> Holdings:
    """What a checkpoint holds: a folder, or a file of safetensors, torch, GGUF, numpy arrays or llama2.c, perhaps
    compressed. CheckpointError in one sentence for anything else, and for what is damaged.
    """
    path = Path(path)
    files = weight_files(path)
    parts = [_read_file(file) for file in files]
    tensors = [tensor for part in parts for tensor in part.tensors]
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors")
    unfolded = [part.content_bytes for part in parts if part.content_bytes is not None]
    return Holdings(
        path,
        kind=" and ".join(dict.fromkeys(part.kind for part in parts)),
        files=tuple(file.name for file in files),
        file_bytes=sum(file.stat().st_size for file in files),
        content_bytes=sum(unfolded) if unfolded else None,
        tensors=tuple(tensors),
        notes=tuple(note for part in parts for note in part.notes),
    )


def _read_file(path: Path) -> _Content:
    try:
        with path.open("rb") as file:
            first = file.read(1)
            if not first:
                raise CheckpointError(f"{path} is neither an artifact nor a checkpoint: it is empty")
            data = mapped(path, file) if path.is_file() else memoryview(first + file.read(BEGIN_BYTES))
            if data[:4] == GGUF_MAGIC:
                return _Content("GGUF", list(_held(gguf_entries(path))))
            return _content_of(data, path, "", file)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error


def _content_of(data: bytes | memoryview, path: Path, compression: str, file: BinaryIO) -> _Content:
    """What bytes hold, which may be those of a compressed file's content; `file` has the same ones."""
    inside = f", {compression}" if compression else ""
    if is_safetensors(data):
        return _Content(f"safetensors{inside}", list(_held(safetensors_entries(data, path))))
    head = bytes(data[:16])
    if is_llama2c(data):
        tensors, _, notes = read_llama2c(data, path)
        entries = ((n, "float32", t.shape, memoryview(t.values).cast("B")) for n, t in tensors.items())
        return _Content(f"llama2.c{inside}", list(_held(entries)), None, list(notes))
    if head.startswith(LLM_C_MAGIC):
        tensors, _, notes = read_llm_c(data, path)
        planes = ((n, t.dtype, t.shape, t.values) for n, t in tensors.items() if t.values is not None)
        entries = ((n, dtype, shape, memoryview(to_storage(v, dtype)).cast("B")) for n, dtype, shape, v in planes)
        return _Content(f"llm.c{inside}", list(_held(entries)), None, list(notes))
    if head.startswith(ZIP) and (arrays := _numpy_archive(file, path)) is not None:
        return _Content(f"archive of numpy arrays{inside}", arrays, sum(array.bytes for array in arrays))
    if head.startswith((ZIP, b"\x80")):
        return _torch_content(load_torch(file, path), path, inside)
    kind = None if compression else compression_of(bytes(data[:BEGIN_BYTES]), path)
    if kind is not None:
        unfolded = unfold(data, path, kind)
        found = _content_of(unfolded, path, kind, io.BytesIO(unfolded))
        found.content_bytes = len(unfolded)
        return found
    if compression:
        raise not_inside(bytes(data[:BEGIN_BYTES]), path, compression)
    what, way_out = what_it_is(bytes(data[:BEGIN_BYTES]), path, len(data))
    way_out = way_out or f"give an artifact or {KNOWN_KINDS}"
    raise CheckpointError(f"{path} is neither an artifact nor a checkpoint: {what}; {way_out}")


def _held(entries: Iterable[tuple[str, str, tuple[int, ...], memoryview]]) -> Iterator[HeldTensor]:
    for name, dtype, shape, content in entries:
        yield HeldTensor(name, dtype, tuple(shape), len(content), _entropy(content, dtype, math.prod(shape)))


def _entropy(content: bytes | memoryview, dtype: str, elements: int) -> float:
    """Bits a number: the entropies of its byte planes together."""
    width = ITEM_BYTES.get(dtype, 1)
    planes = np.frombuffer(content, np.uint8)
    if not planes.size or planes.size % width or not elements:
        return 0.0
    planes = planes.reshape(-1, width)
    return sum(entropy_bits(planes[:, k]) for k in range(width)) * len(planes) / elements


def _numpy_archive(file: BinaryIO, path: Path) -> list[HeldTensor] | None:
    """The arrays of an .npz file; None for another archive."""
    if not is_numpy_archive(file):
        return None
    held = []
    for array in archived_arrays(file, path):
        content, shape = array.values.tobytes(), array.values.shape
        entropy = _entropy(content, array.dtype, math.prod(shape))
        held.append(HeldTensor(array.name, array.dtype, shape, len(content), entropy, array.packed_bytes))
    return held


def _torch_content(content: object, path: Path, inside: str) -> _Content:
    """Every tensor of what torch.save wrote, under the keys that lead to it."""
    found = dict(_tensors_within(content, "", DEPTH))
    check_element_count(found.values(), path)
    unusual = {name: kind for name, tensor in found.items() if (kind := unusual_storage(tensor))}
    plain = {name: tensor for name, tensor in found.items() if name not in unusual}
    held, owners = [], find_owners(plain)
    sizes, overlapping = own_bytes(plain, owners), 0
    for name, tensor in plain.items():
        flat = tensor.detach().resolve_neg().resolve_conj().reshape(-1).contiguous()
        content_bytes = _torch_bytes(flat)
        dtype, shares = str(tensor.dtype).removeprefix("torch."), owners.get(name, "")
        entropy = _entropy(content_bytes, dtype, tensor.numel())
        held.append(HeldTensor(name, dtype, tuple(tensor.shape), sizes[name], entropy, shares=shares))
        overlapping += not shares and sizes[name] < len(content_bytes)
    shared = sum(bool(tensor.shares) for tensor in held)
    notes = [f"{shared:,} of the tensors share their numbers with another one, and are counted there"] if shared else []
    if overlapping:
        notes.append(f"{overlapping:,} of the tensors have numbers that are counted with one before them")
    if unusual:
        notes.append(f"left out, not plainly stored: {listed([f'{name} ({kind})' for name, kind in unusual.items()])}")
    return _Content(f"torch{inside}", held, None, notes)


def _torch_bytes(flat: Any) -> memoryview:
    import torch

    return memoryview(flat.view(torch.uint8).numpy()) if flat.numel() else memoryview(b"")


def _tensors_within(content: object, key: str, depth: int) -> Iterator[tuple[str, Any]]:
    if hasattr(content, "untyped_storage") and hasattr(content, "numel"):
        yield key, content
    elif depth and isinstance(content, Mapping):
        for name, value in content.items():
            yield from _tensors_within(value, f"{key}.{name}" if key else str(name), depth - 1)
    elif depth and isinstance(content, list | tuple):
        for number, value in enumerate(content):
            yield from _tensors_within(value, f"{key}.{number}" if key else str(number), depth - 1)
