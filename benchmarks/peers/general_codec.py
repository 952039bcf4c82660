"""The best of the general compressors, for peers that leave their integers to one: brotli 11, LZMA, zstd 22.

Strategy: all are tried and the smallest counts; a byte in front says which it was. That is in the peer's favour.
"""

from __future__ import annotations

import lzma

import brotli
import zstandard

FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "lp": 0, "pb": 0}]


def compress_general(data: bytes) -> bytes:
    """The smallest of the three behind the byte that names it."""
    found = (
        b"B" + brotli.compress(data, quality=11, lgwin=24),
        b"L" + lzma.compress(data, lzma.FORMAT_RAW, filters=FILTERS),
        b"Z" + zstandard.ZstdCompressor(level=22).compress(data),
    )
    return min(found, key=len)


def decompress_general(data: bytes) -> bytes:
    """Inverse of `compress_general`; ValueError for a byte that names none."""
    kind, body = data[:1], data[1:]
    if kind == b"B":
        return brotli.decompress(body)
    if kind == b"L":
        return lzma.decompress(body, lzma.FORMAT_RAW, filters=FILTERS)
    if kind == b"Z":
        return zstandard.ZstdDecompressor().decompress(body)
    raise ValueError(f"no general compressor is named {kind!r}")


def encode_head(data: bytes) -> bytes:
    """u32 length of what `compress_general` makes of it, and that."""
    head = compress_general(data)
    return len(head).to_bytes(4, "little") + head


def decode_head(data: bytes) -> tuple[bytes, int]:
    """Inverse of `encode_head` at the front of a file: its data, and where the rest of the file begins."""
    end = 4 + int.from_bytes(data[:4], "little")
    return decompress_general(data[4:end]), end
