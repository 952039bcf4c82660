"""What is inside a compressed file: zlib, gzip, xz and lzma, zstd, bzip2 or brotli around one content.

Strategy: piece by piece up to a limit, so that a small file cannot fill the memory; then the stream must end where the
file does. brotli has no mark, so it is tried last, and only for files named like one. The shuffled bytes of some of the
public challenge's records are put back in order.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import brotli
import numpy as np
import zstandard

from ...errors import CheckpointError
from ...format.container.limits import DEFAULT_LIMITS

CONTENT_BYTES = DEFAULT_LIMITS.section_bytes
PIECE_BYTES = 1 << 20
WINDOW_BYTES = 1 << 27  # of a zstd frame: level 22 has no more
MEMORY_BYTES = 1 << 28  # of an lzma decoder
SHUFFLED = b"BSHF"
SUFFIXES_WITHOUT_MARK = (".ptz", ".br")
Pieces = Callable[[bytes], Iterator[bytes]]


class _Cut(Exception):
    """The stream ends early, or other bytes follow it; the message says which."""


def compression_of(data: bytes, path: Path) -> str | None:
    """The name of the compression; None when the bytes have no mark of one."""
    if data[:1] == b"\x78" and len(data) >= 2 and int.from_bytes(data[:2], "big") % 31 == 0:
        return "zlib"
    marks = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip", b"\xfd7zXZ": "xz", b"\x5d\0\0": "lzma", b"BZh": "bzip2"}
    found = next((name for mark, name in marks.items() if data.startswith(mark)), None)
    return found or ("brotli" if path.suffix in SUFFIXES_WITHOUT_MARK and _is_brotli(data) else None)


def decompress(data: bytes, path: Path, kind: str, limit: int | None = None) -> bytes:
    """The content of one stream that is the whole of `data`; CheckpointError when damaged, cut or above the limit."""
    content, limit = bytearray(), CONTENT_BYTES if limit is None else limit
    try:
        for piece in _PIECES[kind](data):
            content += piece
            if len(content) > limit:
                raise CheckpointError(
                    f"{path} unfolds into more than {limit:,} bytes; it is not a checkpoint of a "
                    "model that can be compiled"
                )
    except _Cut as error:
        raise CheckpointError(f"{path}: the {kind} stream {error}; copy it again") from error
    except (zlib.error, lzma.LZMAError, zstandard.ZstdError, brotli.error, OSError, ValueError, MemoryError) as error:
        raise CheckpointError(f"{path} is not a whole {kind} stream: {error}; copy it again") from error
    return _in_order(bytes(content), path)


def _zlib_pieces(data: bytes, window: int = zlib.MAX_WBITS) -> Iterator[bytes]:
    decoder, pending = zlib.decompressobj(window), data
    while not decoder.eof and (pending or not decoder.unconsumed_tail):
        piece = decoder.decompress(pending, PIECE_BYTES)
        if not piece and not decoder.unconsumed_tail:
            break
        pending = decoder.unconsumed_tail
        yield piece
    _check_end(decoder.eof, decoder.unused_data)


def _gzip_pieces(data: bytes) -> Iterator[bytes]:
    return _zlib_pieces(data, 16 + zlib.MAX_WBITS)


def _file_pieces(decoder: bz2.BZ2Decompressor | lzma.LZMADecompressor, data: bytes) -> Iterator[bytes]:
    piece = decoder.decompress(data, PIECE_BYTES)
    while piece or not (decoder.eof or decoder.needs_input):
        yield piece
        piece = b"" if decoder.eof else decoder.decompress(b"", PIECE_BYTES)
    _check_end(decoder.eof, decoder.unused_data)


def _bzip2_pieces(data: bytes) -> Iterator[bytes]:
    return _file_pieces(bz2.BZ2Decompressor(), data)


def _lzma_pieces(data: bytes) -> Iterator[bytes]:
    return _file_pieces(lzma.LZMADecompressor(memlimit=MEMORY_BYTES), data)


def _zstd_pieces(data: bytes) -> Iterator[bytes]:
    decoder = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).decompressobj()
    for start in range(0, len(data), PIECE_BYTES // 16):
        if decoder.eof:
            _check_end(True, data[start:])
        yield decoder.decompress(data[start : start + PIECE_BYTES // 16])
    _check_end(decoder.eof, decoder.unused_data)


def _brotli_pieces(data: bytes) -> Iterator[bytes]:
    decoder, pending = brotli.Decompressor(), data
    while not decoder.is_finished():
        piece = decoder.process(pending, output_buffer_limit=PIECE_BYTES)
        pending = b""
        if not piece and decoder.can_accept_more_data() and not decoder.is_finished():
            _check_end(False, b"")
        yield piece


def _check_end(ended: bool, behind: bytes) -> None:
    if not ended or behind:
        raise _Cut("ends early" if not ended else f"is followed by {len(behind):,} other bytes")


_PIECES: dict[str, Pieces] = {
    "zlib": _zlib_pieces,
    "gzip": _gzip_pieces,
    "xz": _lzma_pieces,
    "lzma": _lzma_pieces,
    "bzip2": _bzip2_pieces,
    "zstd": _zstd_pieces,
    "brotli": _brotli_pieces,
}


def _is_brotli(data: bytes) -> bool:
    """Whether the first piece of the bytes decodes, and to something."""
    try:
        return bool(brotli.Decompressor().process(data, output_buffer_limit=PIECE_BYTES))
    except brotli.error:
        return False


def _in_order(content: bytes, path: Path) -> bytes:
    """Bytes that were laid out plane by plane before compression: "BSHF", their stride, and every stride-th byte."""
    if not content.startswith(SHUFFLED) or len(content) < len(SHUFFLED) + 1:
        return content
    stride, planes = content[len(SHUFFLED)], np.frombuffer(content, np.uint8, offset=len(SHUFFLED) + 1)
    if stride < 1:
        raise CheckpointError(f"{path}: its shuffled bytes have a stride of 0; copy it again")
    ordered, start = np.empty_like(planes), 0
    for place in range(stride):
        count = len(ordered[place::stride])
        ordered[place::stride] = planes[start : start + count]
        start += count
    return ordered.tobytes()
