"""What a binary file of a folder is, from its bytes: weights and their layout, an artifact, a tokenizer, data.

Strategy: a compression around the bytes is taken off in bounded pieces, then the content's first bytes tell the kind,
never the name. Of an archive of torch.save only the directory and the pickle are read, of safetensors and numpy only
headers: sizes and layouts need no numbers. A kind that is not known is data, and says so.
"""

from __future__ import annotations

import io
import json
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import BytecapError, DataError
from ..runtime.shards import SHARD_MAGIC
from ..runtime.tokenizers.sentencepiece_model import FIRST_PIECE
from .blob_pickles import Pickled, read_pickled
from .folder import SubmissionFile, SubmissionFolder

CONTENT_BYTES = 192 << 20  # of what a compressed file unfolds into
HEADER_BYTES = 16 << 20  # of one pickle or header
ENTRIES = 100_000  # of one archive
PICKLES = 8  # of one archive, where torch.save writes one
HEAD_BYTES = 512
BESIDE_PIECES = 1 << 20  # bytes of a tokenizer that are no pieces of it; how text is normalized takes a quarter of that
NAMED_KINDS = (  # place, bytes there, kind, what it is
    (0, b"\x89BCAP", "artifact", "an artifact of bytecap"),
    (0, b"PGRP", "weights", "a record's weights in groups that lrzip compressed"),
    (0, b"GGUF", "weights", "GGUF"),
    (0, b"version https://git-lfs.github.com/spec/", "pointer", "a git-lfs pointer to a file that is not here"),
    (0, b"\x89PNG\r\n", "picture", "a picture"),
    (0, b"\xff\xd8\xff", "picture", "a picture"),
    (0, b"GIF8", "picture", "a picture"),
    (0, b"%PDF", "picture", "a PDF document"),
    (0, b"\x7fELF", "program", "a compiled program or library (ELF)"),
    (0, b"MZ", "program", "a compiled program or library (Windows)"),
    (0, b"\xcf\xfa\xed\xfe", "program", "a compiled program or library (macOS)"),
    (0, struct.pack("<i", SHARD_MAGIC), "shard", "a token shard"),
)
SAFETENSORS_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I8": "int8"}
SAFETENSORS_TYPES |= {"U8": "uint8", "I64": "int64", "I32": "int32", "I16": "int16", "BOOL": "bool"}
UNREADABLE = (  # what the readers of headers raise for bytes of no such file
    BytecapError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,  # of the header of a .npy file
)
INT8_KEY = "__quant_format__"
SCALES = (".scale", ".gs", ".lqAs", ".lqBs", ".lqAs_a", ".lqBs_a")


@dataclass(frozen=True, slots=True)
class Blob:
    """A binary file.

    name, bytes : the file
    kind : str             "weights", "artifact", "tokenizer", "shard", "array", "pointer", "picture", "program",
                           "data" or "damaged"
    what : str             the same in words, the layout included
    wrapper : str          the compression around it, "" without
    content_bytes : int    of what is inside the compression, else the bytes
    tensors, elements      how many, and the numbers in all of them; 0 where it has none or none could be told
    types : dict           elements by type
    names : tuple          what its pickle would import beyond what weights need
    """

    name: str
    bytes: int
    kind: str = "data"
    what: str = ""
    wrapper: str = ""
    content_bytes: int = 0
    tensors: int = 0
    elements: int = 0
    types: Mapping[str, int] | None = None
    names: tuple[str, ...] = ()


def read_blob(folder: SubmissionFolder, file: SubmissionFile) -> tuple[Blob, bytes]:
    """What a file is, and its content without compression; no content where only headers had to be read."""
    blob = Blob(file.name, file.bytes, content_bytes=file.bytes)
    try:
        with folder.open_file(file.name) as opened:
            head = opened.read(HEAD_BYTES)
            if head.startswith(b"PK\x03\x04"):
                return replace(blob, **_archive(opened)), b""
            if _is_safetensors(head):
                opened.seek(0)
                return replace(blob, **_safetensors(opened, file.bytes)), b""
    except UNREADABLE as error:
        return replace(blob, kind="damaged", what=f"it cannot be read ({error})"), b""
    return _from_content(blob, folder.read_bytes(file.name))


def _from_content(blob: Blob, data: bytes) -> tuple[Blob, bytes]:
    """A file without directory: its bytes are needed, or what is inside their compression."""
    from ..compiler.checkpoints.compressed import compression_of, decompress

    path = Path(blob.name)
    wrapper = compression_of(data, path)
    content = data
    try:
        if wrapper is not None:
            content = decompress(data, path, wrapper, CONTENT_BYTES)
            blob = replace(blob, wrapper=wrapper, content_bytes=len(content))
        return replace(blob, **_kind_of(content)), content
    except UNREADABLE as error:
        what = f"it cannot be read ({str(error).removeprefix(f'{path}: ').removeprefix(f'{path} ')})"
        return replace(blob, kind="damaged", what=what), b""


def _kind_of(content: bytes) -> dict[str, Any]:
    """The fields of a `Blob` that its content tells."""
    for place, mark, kind, what in NAMED_KINDS:
        if content[place : place + len(mark)] == mark:
            return {"kind": kind, "what": what}
    if content.startswith(b"PK\x03\x04"):
        return _archive(io.BytesIO(content))
    if _is_safetensors(content):
        return _safetensors(io.BytesIO(content), len(content))
    if content.startswith(b"\x93NUMPY"):
        dtype, shape = _numpy_header(io.BytesIO(content[:HEADER_BYTES]))
        return {"kind": "array", "what": f"a numpy array {dtype} {list(shape)}", **_counts([(dtype, shape)])}
    if content.startswith(b"\x80") and len(content) > 2 and content[1] <= 5:
        return _pickled(read_pickled(content[:HEADER_BYTES], "the file"))
    if _is_tokenizer(content):
        return _tokenizer(content)
    return {"kind": "data", "what": f"data that begin with {content[:8].hex(' ')}" if content else "an empty file"}


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= HEADER_BYTES


def _is_tokenizer(content: bytes) -> bool:
    return FIRST_PIECE.match(content) is not None


def _tokenizer(content: bytes) -> dict[str, Any]:
    """A tokenizer of sentencepiece, or data that are made up as one."""
    beside = len(content) - _bytes_of_pieces(content)
    if beside > BESIDE_PIECES:
        return {"kind": "data", "what": f"a tokenizer with {beside:,} bytes that are no pieces of it"}
    return {"kind": "tokenizer", "what": "a tokenizer"}


def _bytes_of_pieces(content: bytes) -> int:
    """Bytes of the fields that are a list's pieces, the first of sentencepiece's message; they need not come first."""
    place = pieces = 0
    while place < len(content):
        begin, key = place, content[place]
        if key & 7 != 2 or key > 0x7F:  # every field of the message has a length
            break
        length, place = read_varint(content, place + 1)
        place += length
        if key == 0x0A and place <= len(content):
            pieces += place - begin
    return pieces


def read_varint(content: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place behind it; one that does not end is larger than all of the content,
    and the place its end.
    """
    value = 0
    for shift, byte in enumerate(content[place : place + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, place + shift + 1
    return len(content) + 1, len(content)


def _safetensors(file: BinaryIO, size: int) -> dict[str, Any]:
    length = int.from_bytes(file.read(8), "little")
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise DataError(f"its header is no JSON: {error}") from error
    entries = [entry for name, entry in header.items() if name != "__metadata__"] if isinstance(header, dict) else []
    found, end = [], 0
    for entry in entries:
        if not isinstance(entry, dict) or not _is_shape(entry.get("shape")) or not _is_shape(entry.get("data_offsets")):
            raise DataError("an entry of its header is not whole")
        found.append((SAFETENSORS_TYPES.get(str(entry.get("dtype")), str(entry.get("dtype"))), tuple(entry["shape"])))
        end = max([end, *entry["data_offsets"]])
    if end + 8 + length != size:
        raise DataError(f"its header tells {end + 8 + length:,} bytes, and it has {size:,}")
    return {"kind": "weights", "what": "safetensors", **_counts(found)}


def _is_shape(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(side, int) and 0 <= side < 1 << 48 for side in value)


def _archive(file: BinaryIO) -> dict[str, Any]:
    """A zip archive: of torch.save, of numpy's savez, or of something else; no entry is unpacked but headers."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > ENTRIES:
            raise DataError(f"it is an archive of {len(entries):,} files")
        pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
        if pickles:
            return _pickled(_archived_pickles(archive, pickles))
        if entries and all(entry.filename.endswith(".npy") for entry in entries):
            found = []
            for entry in entries[:10_000]:
                with archive.open(entry) as opened:
                    found.append(_numpy_header(opened))
            return {"kind": "weights", "what": "arrays of numpy (npz)", **_counts(found)}
    return {"kind": "data", "what": f"an archive of {len(entries):,} files"}


def _archived_pickles(archive: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo]) -> Pickled:
    """What the first says, with the names of all: torch.load may take another than the first."""
    if len(entries) > PICKLES:
        raise DataError(f"it is an archive of {len(entries):,} pickles")
    found = []
    for entry in entries:
        with archive.open(entry) as opened:
            found.append(read_pickled(opened.read(HEADER_BYTES), entry.filename))
    return replace(found[0], names=tuple(sorted({name for each in found for name in each.names})))


def _numpy_header(file: Any) -> tuple[str, tuple[int, ...]]:
    """Type and shape of a .npy file. ValueError for another header."""
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return ("python objects, a pickle" if dtype.hasobject else str(dtype)), shape


def _pickled(found: Pickled) -> dict[str, Any]:
    """Weights, where the pickle describes tensors; else data."""
    counts = _counts([(tensor.dtype, tensor.shape) for tensor in found.tensors])
    scales = sum(tensor.elements for tensor in found.tensors if _is_scale(tensor.path))
    fields: dict[str, Any] = {**counts, "names": found.other_names, "elements": counts["elements"] - scales}
    if not found.tensors:
        return {**fields, "kind": "data", "what": "a pickle without tensors"}
    form = "an older file of torch.save" if found.is_old else "a file of torch.save"
    return {**fields, "kind": "weights", "what": f"{form}: {_layout(found)}"}


def _is_scale(path: str) -> bool:
    return path.startswith("scales.") or path.endswith(SCALES)


def _layout(found: Pickled) -> str:
    """The layout in words, by the names that the records' scripts give to its parts."""
    value = found.value
    keys = value if isinstance(value, Mapping) else getattr(value, "state", None)
    if not isinstance(keys, Mapping):
        return "tensors"
    if INT8_KEY in keys:
        return f"int8 codes and scales ({keys[INT8_KEY]})"
    if isinstance(keys.get("w"), Mapping) and isinstance(keys.get("m"), Mapping):
        kinds = Counter(str(kind.get("type", "") if isinstance(kind, Mapping) else kind) for kind in keys["m"].values())
        told = ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common(6))
        return f"integers and scales of a record ({told})"
    entries = [entry.get("type") for entry in keys.values() if isinstance(entry, Mapping) and "type" in entry]
    if entries and len(entries) == len(keys):
        told = ", ".join(f"{count} of {kind}" for kind, count in Counter(map(str, entries)).most_common(6))
        return f"packed entries ({told})"
    return "a state_dict"


def _counts(found: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, Any]:
    types: Counter[str] = Counter()
    tensors = 0
    for dtype, shape in found:
        types[dtype] += math.prod(shape)
        tensors += 1
    return {"tensors": tensors, "elements": sum(types.values()), "types": dict(types)}
