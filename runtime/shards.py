"""Token shards: the public challenge's file of token ids.

Strategy: a header of 256 int32, little-endian: the magic 20240520, the version 1, the number of
tokens n, the rest reserved; then n uint16, little-endian. The header and the file's size must agree
to the byte before any token is used, because a shard cut short would silently be scored on less
text.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files.output import write_output

SHARD_MAGIC = 20240520
SHARD_VERSION = 1
HEADER_BYTES = 256 * 4
MAX_TOKEN_ID = 0xFFFF
MAX_TOKENS = 0x7FFF_FFFF


def is_shard(head: bytes) -> bool:
    """Whether a file that begins with `head` calls itself a shard."""
    return head[:4] == struct.pack("<i", SHARD_MAGIC)


def read_shard(path: str | Path) -> np.ndarray:
    """The tokens of a shard: uint16 [tokens], read-only.

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
    """The tokens in the bytes of a shard, uint16 [tokens]; `source` names them in a DataError."""
    count = _checked_count(data, source)
    return np.frombuffer(data, dtype="<u2", count=count, offset=HEADER_BYTES).astype(np.uint16, copy=False)


def _checked_count(data: bytes, source: str) -> int:
    if not data:
        raise DataError(f"{source} is empty; a shard has a header of {HEADER_BYTES} bytes and at least one token")
    if not is_shard(data):
        found = f"it starts with {data[:4].hex()}, not with the number {SHARD_MAGIC}"
        raise DataError(f"{source} is not a token shard: {found}; write it again, or give UTF-8 text")
    if len(data) < HEADER_BYTES:
        raise DataError(f"{source} ends inside the shard header, at byte {len(data)} of {HEADER_BYTES}; copy it again")
    _, version, count = struct.unpack_from("<3i", data)
    if version != SHARD_VERSION:
        raise DataError(
            f"{source} is a shard of version {version}; only version {SHARD_VERSION} is known, write it as that"
        )
    if count < 1:
        raise DataError(f"{source} says that it holds {count} tokens; a shard needs at least one, write it again")
    body = len(data) - HEADER_BYTES
    if body != 2 * count:
        raise DataError(
            f"{source} says {count:,} tokens ({2 * count:,} bytes) but holds {_held(body)}; "
            "it was cut or damaged, copy it again"
        )
    return count


def _held(body: int) -> str:
    odd = " and one odd byte" if body % 2 else ""
    return f"{body:,} bytes: {body // 2:,} tokens{odd}"


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
