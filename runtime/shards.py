"""Files of token ids: the public challenge's shard, those of llm.c, and bare numbers without a header.

Strategy: a header of 256 int32, little-endian: a magic number, the version, the number of tokens n, the rest reserved;
then n uint16 or uint32, little-endian. The header and the file's size must agree to the byte before any token is used,
because a shard cut short would silently be scored on less text. A file without a header is read as bare numbers only
where a caller knows the vocabulary, against which they are held; and that it was assumed is said.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files.output import write_output

SHARD_MAGIC = 20240520
SHARD_VERSION = 1
WIDE_MAGIC, WIDE_VERSION = 20240801, 7  # llm.c's for vocabularies beyond 16 bits
HEADER_BYTES = 256 * 4
RESERVED_FROM = 3 * 4
MAX_TOKEN_ID = 0xFFFF
MAX_TOKENS = 0x7FFF_FFFF
NARROW: np.dtype = np.dtype("<u2")
WIDE: np.dtype = np.dtype("<u4")
LAYOUTS: dict[int, tuple[int, np.dtype]] = {SHARD_MAGIC: (SHARD_VERSION, NARROW), WIDE_MAGIC: (WIDE_VERSION, WIDE)}


@dataclass(frozen=True, slots=True)
class ShardLayout:
    """Where the ids of a file are: `count` of them from byte `offset`; `bare` when no header says so."""

    dtype: np.dtype
    count: int
    offset: int
    bare: bool


def is_shard(head: bytes) -> bool:
    """Whether a file that begins with `head` calls itself a shard."""
    return len(head) >= 4 and struct.unpack_from("<i", head)[0] in LAYOUTS


def shard_layout(head: bytes, size: int, source: str, vocabulary_size: int | None = None) -> ShardLayout:
    """The layout of a file of `size` bytes that begins with `head`.

    With a vocabulary a file without a header is taken for bare numbers: uint16 unless the vocabulary is beyond 16 bits
    or every second number is 0. Raises DataError, naming file and way out, for a size that is not exactly what the
    header says, another version, bare numbers of 64 bits, and a file that is neither.
    """
    if size and vocabulary_size is not None and not is_shard(head):
        return _bare_layout(head, size, source, vocabulary_size)
    count = _checked_count(head, size, source)
    return ShardLayout(LAYOUTS[struct.unpack_from("<i", head)[0]][1], count, HEADER_BYTES, False)


def size_by_header(head: bytes) -> int | None:
    """Bytes that a shard with this beginning must have; None where it has no header."""
    if not is_shard(head) or len(head) < HEADER_BYTES:
        return None
    magic, _, count = struct.unpack_from("<3i", head)
    return HEADER_BYTES + LAYOUTS[magic][1].itemsize * count


def _bare_layout(head: bytes, size: int, source: str, vocabulary_size: int) -> ShardLayout:
    reserved = head[RESERVED_FROM:HEADER_BYTES]
    if size <= HEADER_BYTES or any(reserved):
        halves = np.frombuffer(head[: len(head) // 4 * 4], NARROW)
        wide = vocabulary_size > MAX_TOKEN_ID + 1 or (halves.size >= 4 and not halves[1::2].any() and halves.any())
        dtype = WIDE if wide else NARROW
        words = np.frombuffer(head[: len(head) // 8 * 8], WIDE)
        if wide and words.size >= 4 and not words[1::2].any() and words.any():
            raise DataError(
                f"{source} has no shard's header, and every second number of 32 bits is 0, as in token ids of 64 bits "
                "each; write them with 16 or 32 bits, ids.astype('uint16').tofile('ids.bin')"
            )
        if size % dtype.itemsize == 0:
            return ShardLayout(dtype, size // dtype.itemsize, 0, True)
        raise DataError(
            f"{source} has no shard's header, and {size:,} bytes are no whole number of bare {dtype.name} token ids of "
            f"{dtype.itemsize} bytes each: it was cut, or is something else; write it again, as a shard or "
            "with whole ids, or give UTF-8 text under another name than *.bin"
        )
    found = f"it starts with {head[:4].hex()}, not with the number {SHARD_MAGIC}"
    raise DataError(f"{source} is not a token shard: {found}; write it again, or give UTF-8 text")


def read_shard(path: str | Path) -> np.ndarray:
    """The tokens of a shard: uint16 or uint32 [tokens], read-only.

    Raises DataError, naming the file and the way out, when it cannot be read, is not a shard, is of
    another version, or its size is not exactly what its header says.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    return decode_shard(data, str(path))


def decode_shard(data: bytes, source: str) -> np.ndarray:
    """The tokens in the bytes of a shard, uint16 or uint32 [tokens]; `source` names them in a DataError."""
    layout = shard_layout(data, len(data), source, None)
    return np.frombuffer(data, layout.dtype, count=layout.count, offset=layout.offset)


def _checked_count(head: bytes, size: int, source: str) -> int:
    if not size:
        raise DataError(f"{source} is empty; a shard has a header of {HEADER_BYTES} bytes and at least one token")
    if not is_shard(head):
        found = f"it starts with {head[:4].hex()}, not with the number {SHARD_MAGIC}"
        raise DataError(f"{source} is not a token shard: {found}; write it again, or give UTF-8 text")
    if size < HEADER_BYTES:
        raise DataError(f"{source} ends inside the shard header, at byte {size} of {HEADER_BYTES}; copy it again")
    magic, version, count = struct.unpack_from("<3i", head)
    known, dtype = LAYOUTS[magic]
    if version != known:
        raise DataError(f"{source} is a shard of version {version}; only version {known} is known, write it as that")
    if count < 1:
        raise DataError(f"{source} says that it holds {count} tokens; a shard needs at least one, write it again")
    body, width = size - HEADER_BYTES, dtype.itemsize
    if body != width * count:
        raise DataError(
            f"{source} says {count:,} tokens ({width * count:,} bytes) but holds {_held(body, width)}; "
            "it was cut or damaged, copy it again"
        )
    return count


def _held(body: int, width: int) -> str:
    rest = body % width
    odd = "" if not rest else " and one odd byte" if rest == 1 else f" and {rest} odd bytes"
    return f"{body:,} bytes: {body // width:,} tokens{odd}"


def encode_shard(tokens: np.ndarray) -> bytes:
    """The bytes of a shard of `tokens`, an integer array [tokens].

    Raises DataError for no tokens, more than the header can count, or an id that 16 bits cannot
    hold.
    """
    tokens = np.asarray(tokens)
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu" or not 1 <= tokens.size <= MAX_TOKENS:
        raise DataError(
            f"a shard holds 1 to {MAX_TOKENS:,} integers in one row, not {tokens.dtype} {list(tokens.shape)}"
        )
    wrong = np.flatnonzero((tokens < 0) | (tokens > MAX_TOKEN_ID))
    if wrong.size:
        raise DataError(
            f"token {int(wrong[0]):,} has the id {int(tokens[wrong[0]])}; a shard holds ids from 0 to {MAX_TOKEN_ID}"
        )
    header = struct.pack("<3i", SHARD_MAGIC, SHARD_VERSION, tokens.size).ljust(HEADER_BYTES, b"\0")
    return header + tokens.astype("<u2").tobytes()


def write_shard(path: str | Path, tokens: np.ndarray, *, force: bool = False) -> None:
    """Write `tokens` as a shard, whole or not at all; an existing file is replaced only with `force`.

    Raises DataError as `encode_shard` does, and OutputError when the file exists or cannot be
    written.
    """
    write_output(path, encode_shard(tokens), force)
