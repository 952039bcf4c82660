"""The K-quants and I-quants of GGUF files, made and read by ggml's own library (llama.cpp).

Strategy: `libggml-base.so`, named in BYTECAP_GGML_LIBRARY, quantizes every matrix to one type with an
importance matrix of E[x²] a column, the diagonal of the same second moments that the other peers get,
and reads its blocks back. Control tensors are float32, as in such files. "gguf" gives every matrix one
type; "gguf-mixed" keeps the embedding, which is the head too, in a finer one, as llama.cpp's own
mixtures do. The container is minimal, smaller than GGUF's own: magic, a zlib'd table of names, types
and shapes, then the blocks. Rows must be a multiple of 256 weights, of
32 in the older types, which llama.cpp falls back on. To build the library from a source
tree of llama.cpp:

    cmake -S llama.cpp -B build -DBUILD_SHARED_LIBS=ON -DGGML_OPENMP=OFF -DLLAMA_CURL=OFF
    cmake --build build --target ggml-base      # build/bin/libggml-base.so
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .peer import PUBLISHED_PASSTHROUGH_ELEMENTS, Peer, StateDict, UnsuitableModel, is_control

LIBRARY_VARIABLE = "BYTECAP_GGML_LIBRARY"
MAGIC = b"GGML"
ROW_MULTIPLE, SMALL_ROW_MULTIPLE = 256, 32
FLOAT = "F32"
EMBEDDING = "tok_emb.weight"
TYPES = {
    "Q6_K": 14,
    "Q5_K": 13,
    "Q4_K": 12,
    "IQ4_XS": 23,
    "Q3_K": 11,
    "IQ3_S": 21,
    "Q2_K": 10,
    "Q8_0": 8,
    "Q5_1": 7,
    "Q5_0": 6,
    "IQ4_NL": 20,
    "Q4_0": 2,
}  # ggml's numbers, finest first, those of small blocks last
SMALL_BLOCKS = ("Q8_0", "Q5_1", "Q5_0", "IQ4_NL", "Q4_0")  # what llama.cpp falls back on where rows do not fit
READERS = {
    name: f"dequantize_row_{name[:-2].lower()}_K" if name.endswith("_K") else f"dequantize_row_{name.lower()}"
    for name in TYPES
}
FLOATS = ctypes.POINTER(ctypes.c_float)


def library_path() -> Path | None:
    """The library named in the environment, None when none is or it is not there."""
    named = os.environ.get(LIBRARY_VARIABLE)
    return Path(named) if named and Path(named).is_file() else None


def missing() -> str:
    """What has to be installed, empty when nothing."""
    return "" if library_path() else f"libggml-base.so of llama.cpp (name its path in {LIBRARY_VARIABLE})"


@functools.cache
def load_library(path: Path) -> ctypes.CDLL:
    """ggml's library with the signatures of what is called here."""
    library = ctypes.CDLL(str(path))
    library.ggml_row_size.restype = ctypes.c_size_t
    library.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, FLOATS, ctypes.c_void_p, *[ctypes.c_int64] * 3, FLOATS]
    for reader in READERS.values():
        getattr(library, reader).argtypes = [ctypes.c_void_p, FLOATS, ctypes.c_int64]
        getattr(library, reader).restype = None
    return library


def compress(
    state_dict: StateDict,
    hessians: Mapping[str, Tensor],
    *,
    type: str,
    embedding_type: str | None = None,
    passthrough_elements: int = PUBLISHED_PASSTHROUGH_ELEMENTS,
) -> tuple[bytes, dict[str, Tensor]]:
    """The file's bytes and the tensors they decode to.

    UnsuitableModel for a matrix whose rows ggml cannot cut into blocks.
    """
    library = load_library(library_path())
    entries, blocks = [], []
    for name, tensor in state_dict.items():
        values = np.ascontiguousarray(tensor.float().numpy())
        matrix_type = embedding_type or type if name == EMBEDDING else type
        kind = FLOAT if is_control(name) or tensor.numel() <= passthrough_elements else matrix_type
        entries.append((name, kind, list(values.shape)))
        blocks.append(
            values.tobytes()
            if kind == FLOAT
            else quantize(library, kind, values, hessians[name].diagonal().float().numpy())
        )
    data = encode_container(entries, blocks)
    return data, decode(data, library)


def quantize(library: ctypes.CDLL, kind: str, values: np.ndarray, importance: np.ndarray) -> bytes:
    """Blocks of float32 `values` [rows, columns] with float32 `importance` [columns]."""
    rows, columns = values.shape
    multiple = SMALL_ROW_MULTIPLE if kind in SMALL_BLOCKS else ROW_MULTIPLE
    if columns % multiple:
        raise UnsuitableModel(f"rows of {columns} weights; {kind} needs a multiple of {multiple}")
    importance = np.ascontiguousarray(importance, dtype=np.float32)
    blocks = ctypes.create_string_buffer(rows * library.ggml_row_size(TYPES[kind], columns))
    source = values.ctypes.data_as(FLOATS)
    written = library.ggml_quantize_chunk(
        TYPES[kind], source, blocks, 0, rows, columns, importance.ctypes.data_as(FLOATS)
    )
    if written != len(blocks):
        raise RuntimeError(f"ggml wrote {written} bytes of {kind} where {len(blocks)} were due")
    return blocks.raw


def decode(data: bytes, library: ctypes.CDLL) -> dict[str, Tensor]:
    """float32 tensors of a file's bytes."""
    entries, body = decode_table(data)
    tensors, place = {}, 0
    for name, kind, shape in entries:
        count = int(np.prod(shape))
        values = np.empty(shape, dtype=np.float32)
        size = 4 * count if kind == FLOAT else shape[0] * library.ggml_row_size(TYPES[kind], shape[1])
        part = body[place : place + size]
        place += size
        if kind == FLOAT:
            values[...] = np.frombuffer(part, dtype="<f4").reshape(shape)
        else:
            getattr(library, READERS[kind])(part, values.ctypes.data_as(FLOATS), count)
        tensors[name] = torch.from_numpy(values)
    return tensors


def encode_container(entries: list[tuple[str, str, list[int]]], blocks: list[bytes]) -> bytes:
    """Magic, u32 length of the zlib'd JSON table of (name, type, shape), the table, the blocks in its order."""
    table = zlib.compress(json.dumps(entries, separators=(",", ":")).encode(), 9)
    return MAGIC + struct.pack("<I", len(table)) + table + b"".join(blocks)


def decode_table(data: bytes) -> tuple[list[list], bytes]:
    """The table and everything behind it."""
    (length,) = struct.unpack_from("<I", data, len(MAGIC))
    start = len(MAGIC) + 4
    return json.loads(zlib.decompress(data[start : start + length])), data[start + length :]


MIXED = (
    ("Q5_K", "Q6_K"),
    ("Q4_K", "Q6_K"),
    ("IQ4_XS", "Q6_K"),
    ("IQ4_XS", "Q5_K"),
    ("Q3_K", "Q6_K"),
    ("IQ3_S", "Q6_K"),
    ("Q2_K", "Q6_K"),
    ("Q5_0", "Q8_0"),
    ("IQ4_NL", "Q8_0"),
    ("IQ4_NL", "Q5_1"),
)

PEERS = (
    Peer(
        "gguf", compress, tuple({"type": name} for name in TYPES), published=None, needs_hessians=True, missing=missing
    ),
    Peer(
        "gguf-mixed",
        compress,
        tuple({"type": t, "embedding_type": e} for t, e in MIXED),
        published=None,
        needs_hessians=True,
        missing=missing,
    ),
)
