"""The tokens that the shipped loader scores and the bytes of text that each stands for.

Strategy: the public challenge's conventions. Tokens come from its shards; bytes from counts beside these where there
are some, else from a table by token, which is read out of the sentencepiece model without sentencepiece, or was put
beside the script by the packer. A size that does not fit its header to the byte stops the run.
"""

from __future__ import annotations

import glob
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SHARD_NUMBERS = {(20240520, 1): "<u2", (20240801, 7): "<u4"}  # magic and version; the second is llm.c's
COUNTS_MARK = "_bytes_"  # in the name of a file of byte counts
NORMAL, UNKNOWN, CONTROL, UNUSED, BYTE = 1, 2, 3, 5, 6  # kinds of pieces
LEADING, NO_TEXT = 1 << 14, 1 << 15  # beside the bytes in a table's entry


def read_shard(path: str) -> np.ndarray:
    """The ids of a shard."""
    numbers = np.fromfile(path, "<i4", 256)
    kind = SHARD_NUMBERS.get(tuple(numbers[:2].tolist()))
    if not kind:
        raise SystemExit(f"{path} is not a token shard")
    ids = np.fromfile(path, kind, offset=1024)
    if len(ids) != numbers[2] or os.path.getsize(path) != 1024 + ids.nbytes:
        raise SystemExit(f"{path} says {numbers[2]} tokens but holds {os.path.getsize(path) - 1024} bytes of them")
    return ids


def read_ids(pattern: str) -> tuple[np.ndarray, np.ndarray | None]:
    """int64 ids of all shards that a pattern, or a folder's fineweb_val_*.bin, names; and bytes by token, where counts
    lie beside every shard.
    """
    pattern = os.path.join(pattern, "fineweb_val_*.bin") if os.path.isdir(pattern) else pattern
    paths = sorted(path for path in glob.glob(pattern) if COUNTS_MARK not in os.path.basename(path))
    if not paths:
        raise SystemExit(f"no shard matches {pattern}; give --data or set DATA_PATH")
    beside = [os.path.join(os.path.dirname(path), counts_name(os.path.basename(path))) for path in paths]
    parts = [read_shard(path).astype(np.int64) for path in paths]
    if not all(path not in paths and os.path.exists(path) for path in beside):
        return np.concatenate(parts), None
    counts = [read_shard(path) for path in beside]
    if [len(part) for part in parts] != [len(part) for part in counts]:
        raise SystemExit(f"the counts of bytes beside {pattern} are of other tokens")
    return np.concatenate(parts), np.concatenate(counts).astype(np.int64)


def counts_name(name: str) -> str:
    """X_val_0.bin has its counts in X_val_bytes_0.bin."""
    return name.replace("_val_", f"_val{COUNTS_MARK}", 1)


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of the fields of a protobuf message."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}[kind] if kind != 2 else varint()
        yield key >> 3, data[at : at + size]
        at += size


def table_of_model(data: bytes) -> np.ndarray:
    """Entries by piece of a sentencepiece model: bytes without a leading space, LEADING where there is one, NO_TEXT for
    pieces without text.
    """
    entries = []
    for number, piece in fields(data):
        if number == 1:
            known = dict(fields(piece))  # type: ignore[arg-type]
            text, kind = known[1].decode(), known.get(3, NORMAL)  # type: ignore[union-attr]
            leading = text.startswith("\u2581")
            size = len(text[leading:].replace("\u2581", " ").encode())
            entries.append(
                NO_TEXT if kind in (UNKNOWN, CONTROL, UNUSED) else 1 if kind == BYTE else size | leading * LEADING
            )
    return np.array(entries, np.int64)


def read_table(path: str) -> np.ndarray:
    """Entries by piece, of a sentencepiece model or of the packer's table."""
    data = Path(path).read_bytes()
    if data[:1] == b"x":
        return np.frombuffer(zlib.decompress(data), "<u2").astype(np.int64)
    try:
        return table_of_model(data)
    except (KeyError, IndexError, UnicodeDecodeError, AttributeError, TypeError):
        raise SystemExit(f"{path} is no sentencepiece model; give --tokenizer or set TOKENIZER_PATH") from None


def bytes_of_ids(ids: np.ndarray, table: np.ndarray, boundary: int) -> np.ndarray:
    """int64 [n]: bytes of each token behind the one before it; the first counts none. A boundary token beyond the table
    has no text; any other stops the run.
    """
    if ids.max() >= len(table):
        if (ids[ids >= len(table)] != boundary).any():
            raise SystemExit(f"the data have tokens up to {ids.max()}, the tokenizer only {len(table)} pieces")
        table = np.pad(table, (0, ids.max() + 1 - len(table)), constant_values=NO_TEXT)
    entries = table[ids]
    spaces = (entries[1:] & LEADING > 0) & (entries[:-1] & NO_TEXT == 0)
    return np.concatenate(([0], (entries[1:] & LEADING - 1) + spaces))
