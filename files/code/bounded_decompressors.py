"""Decompressors in bounded memory: what packed text is made of most often.

Strategy: every stream is fed in bounded pieces to a decompressor with a bounded dictionary, and refused with
`CannotDecode` and a reason where it would be larger than `MAX_DECODED_BYTES`, so that a bomb costs no more than that.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

MAX_DECODED_BYTES = 16 << 20
MAX_DICTIONARY_BYTES = 64 << 20
PIECE_BYTES = 1 << 20


class CannotDecode(Exception):
    """A value that cannot be computed here; the reason is said to the user."""


def _in_pieces(make: Callable[[], Any], data: bytes, name: str) -> bytes:
    """All members of a compressed stream, one decompressor each, until the data or the limit ends."""
    parts: list[bytes] = []
    size = 0
    try:
        while data:
            decompressor = make()
            part = decompressor.decompress(data, MAX_DECODED_BYTES - size + 1)
            size += len(part)
            parts.append(part)
            if size > MAX_DECODED_BYTES:
                raise CannotDecode(f"{name}: more than {MAX_DECODED_BYTES >> 20} MiB")
            if not decompressor.eof:
                if size == 0:
                    raise CannotDecode(f"{name}: the stream ends early")
                break
            data = decompressor.unused_data
    except (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError, MemoryError) as error:
        if not parts:
            raise CannotDecode(f"{name}: {error}") from error
    return b"".join(parts)


def decompress_lzma(data: bytes, format: int = lzma.FORMAT_AUTO, memlimit: Any = None, filters: Any = None) -> bytes:
    """`lzma.decompress` with bounded dictionary and output."""
    for item in filters or ():
        if item.get("dict_size", 0) > MAX_DICTIONARY_BYTES:
            raise CannotDecode("lzma: a dictionary that is too large")
    limit = None if format == lzma.FORMAT_RAW else 2 * MAX_DICTIONARY_BYTES
    return _in_pieces(lambda: lzma.LZMADecompressor(format, limit, filters), data, "lzma")


def decompress_zlib(data: bytes, wbits: int = zlib.MAX_WBITS, bufsize: int = 0) -> bytes:
    """`zlib.decompress` with bounded output."""
    return _in_pieces(lambda: zlib.decompressobj(wbits), data, "zlib")


def decompress_gzip(data: bytes) -> bytes:
    """`gzip.decompress` with bounded output."""
    return _in_pieces(lambda: zlib.decompressobj(31), data, "gzip")


def decompress_bz2(data: bytes) -> bytes:
    """`bz2.decompress` with bounded output."""
    return _in_pieces(bz2.BZ2Decompressor, data, "bz2")


def decompress_brotli(data: bytes) -> bytes:
    """`brotli.decompress` in pieces."""
    import brotli

    decompressor, parts, size = brotli.Decompressor(), [], 0
    try:
        part = decompressor.process(data, output_buffer_limit=PIECE_BYTES)
        while True:
            parts.append(part)
            size += len(part)
            if size > MAX_DECODED_BYTES:
                raise CannotDecode(f"brotli: more than {MAX_DECODED_BYTES >> 20} MiB")
            if decompressor.is_finished():
                return b"".join(parts)
            if decompressor.can_accept_more_data():
                raise CannotDecode("brotli: the stream ends early")
            part = decompressor.process(b"", output_buffer_limit=PIECE_BYTES)
    except brotli.error as error:
        raise CannotDecode(f"brotli: {error}") from error


def decompress_zstd(data: bytes, max_output_size: int = 0) -> bytes:
    """Zstandard frames in pieces."""
    import zstandard

    try:
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_DICTIONARY_BYTES)
        with decompressor.stream_reader(data, read_across_frames=True) as reader:
            decoded = reader.read(MAX_DECODED_BYTES + 1)
    except (zstandard.ZstdError, MemoryError) as error:
        raise CannotDecode(f"zstd: {error}") from error
    if len(decoded) > MAX_DECODED_BYTES:
        raise CannotDecode(f"more than {MAX_DECODED_BYTES >> 20} MiB")
    return bytes(decoded)


def decompress_step(kind: str, data: bytes) -> bytes:
    """One `.decompress(data)` of a decompressor object of `kind`."""
    return DECOMPRESSORS[kind](data)


DECOMPRESSORS: dict[str, Callable[..., bytes]] = {
    "lzma": decompress_lzma,
    "zlib": decompress_zlib,
    "bz2": decompress_bz2,
    "zstd": decompress_zstd,
    "brotli": decompress_brotli,
}
