"""Archives of numpy arrays (.npz), as MLX and people who train in JAX or numpy write their weights.

Strategy: an archive is one when every entry is an .npy. The bytes that all would unfold to are counted before any is
unfolded, and a header that says another length than its entry has is an error, so that a small file takes no more
memory than it has weights. Objects, which are pickles, are never read.
"""

from __future__ import annotations

import io
import lzma
import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...errors import CheckpointError
from ...format.container.limits import DEFAULT_LIMITS
from ...format.tensors.raw_planes import from_storage
from .compressed import CONTENT_BYTES
from .stored import Stored, to_float32

NPY = ".npy"
BROKEN = (zipfile.BadZipFile, ValueError, EOFError, OSError, RuntimeError, zlib.error, lzma.LZMAError)
NAMES = {"f2": "float16", "f4": "float32", "f8": "float64", "b1": "bool"}
NAMES |= {f"{kind}{size}": f"{word}{8 * size}" for kind, word in (("i", "int"), ("u", "uint")) for size in (1, 2, 4, 8)}
BFLOAT16 = "V2"  # a type of ml_dtypes, which numpy writes as two bytes of unknown meaning


@dataclass(frozen=True, slots=True, eq=False)
class ArchivedArray:
    """name : without .npy;  dtype : by torch's name;  values : as stored;  packed_bytes : in the archive"""

    name: str
    dtype: str
    values: np.ndarray
    packed_bytes: int


def is_numpy_archive(file: BinaryIO) -> bool:
    """Whether a file that begins as a zip archive does holds .npy files, and nothing else."""
    try:
        names = zipfile.ZipFile(file).namelist()
    except BROKEN:
        return False
    return bool(names) and all(name.endswith(NPY) for name in names)


def archived_arrays(file: BinaryIO, path: Path) -> Iterator[ArchivedArray]:
    """The arrays of an archive, in its order. CheckpointError for a damaged one, for one that unfolds into too much,
    and for what is no plain array.
    """
    try:
        archive = zipfile.ZipFile(file)
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > CONTENT_BYTES or len(entries) > DEFAULT_LIMITS.tensors:
            most = f"{CONTENT_BYTES:,} bytes or {DEFAULT_LIMITS.tensors:,} arrays"
            raise CheckpointError(f"{path} unfolds into more than {most}")
        for entry in entries:
            yield _array(archive, entry, path)
    except BROKEN as error:
        raise CheckpointError(f"{path} is not a whole archive: {error}; copy it again") from error


def read_numpy_archive(file: BinaryIO, path: Path) -> dict[str, Stored]:
    """The arrays as tensors, by name; CheckpointError as for `archived_arrays`, and for two of one name."""
    found: dict[str, Stored] = {}
    for array in archived_arrays(file, path):
        if array.name in found:
            raise CheckpointError(f"{path} holds {array.name!r} twice; write it again")
        values = np.array(array.values, order="C")  # of its own memory, which others write to
        if array.dtype == "bfloat16":
            values = from_storage(values.view(np.uint16), array.dtype)
        elif values.dtype.kind == "f":
            values = to_float32(values)
        found[array.name] = Stored(values, array.dtype)
    return found


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> ArchivedArray:
    """One array, of whose header no more is believed than its entry has bytes."""
    name = entry.filename.removesuffix(NPY)
    file = io.BytesIO(archive.read(entry))
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = read_header(file)
    kind = dtype.str[1:]
    if kind not in NAMES and kind != BFLOAT16:
        raise CheckpointError(f"{path} holds {name!r}, which is of type {dtype} and no tensor")
    content = file.read()
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name!r} has {len(content):,} bytes for a shape of {shape}")
    values = np.frombuffer(content, dtype).reshape(shape, order="F" if columns_first else "C")
    values = values.astype(dtype.newbyteorder("<"), copy=False)
    return ArchivedArray(name, NAMES.get(kind, "bfloat16"), values, entry.compress_size)
