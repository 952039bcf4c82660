"""What is inside a compressed file: zlib, gzip, xz and lzma, zstd, bzip2 or brotli around one content.

Strategy: piece by piece up to a limit, so that a small file cannot fill the memory; then the stream must end where the
file does. brotli has no mark, so it is tried last, and only for files named like one. The shuffled bytes of some of the
public challenge's records are put back in order.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import brotli
import numpy as np
import zstandard

from ...errors import CheckpointError
from ...format.container.limits import DEFAULT_LIMITS
from ...runtime.opened_data import FED_TO_ZSTD

CONTENT_BYTES = DEFAULT_LIMITS.section_bytes
PIECE_BYTES = 1 << 20
FED_BYTES = 1 << 16  # of the stream at once
WINDOW_BYTES = 1 << 27  # of a zstd frame: level 22 has no more
MEMORY_BYTES = 1 << 28  # of an lzma decoder
SHUFFLED = b"BSHF"
SUFFIXES_WITHOUT_MARK = (".ptz", ".br")
Pieces = Callable[[bytes | memoryview], Iterator[bytes]]
DAMAGED = (zlib.error, lzma.LZMAError, zstandard.ZstdError, brotli.error, OSError, ValueError, MemoryError)


class _Cut(Exception):
    """The stream ends early, or other bytes follow it; the message says which."""


def compression_of(data: bytes, path: Path) -> str | None:
    """The name of the compression; None when the bytes have no mark of one."""
    if data[:1] == b"\x78" and len(data) >= 2 and int.from_bytes(data[:2], "big") % 31 == 0:
        return "zlib"
    marks = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip", b"\xfd7zXZ": "xz", b"\x5d\0\0": "lzma", b"BZh": "bzip2"}
    found = next((name for mark, name in marks.items() if data.startswith(mark)), None)
    return found or ("brotli" if path.suffix in SUFFIXES_WITHOUT_MARK and _is_brotli(data) else None)


def unfolded_head(data: bytes | memoryview, kind: str) -> bytes:
    """How the content begins, a piece or less of it; nothing where the stream is damaged before it."""
    try:
        return next((piece for piece in _PIECES[kind](data) if piece), b"")
    except (_Cut, *DAMAGED):
        return b""


def decompress(data: bytes | memoryview, path: Path, kind: str, limit: int | None = None) -> bytes:
    """The content of one stream that is the whole of `data`; CheckpointError when damaged, cut or above the limit.

    Takes the memory of the content once, and of shuffled bytes twice.
    """
    content, limit = io.BytesIO(), CONTENT_BYTES if limit is None else limit
    try:
        for piece in _PIECES[kind](data):
            content.write(piece)
            if content.tell() > limit:
                raise CheckpointError(
                    f"{path} unfolds into more than {limit:,} bytes; it is not a checkpoint of a "
                    "model that can be compiled"
                )
    except _Cut as error:
        raise CheckpointError(f"{path}: the {kind} stream {error}; copy it again") from error
    except DAMAGED as error:
        raise CheckpointError(f"{path} is not a whole {kind} stream: {error}; copy it again") from error
    return _in_order(content.getvalue(), path)  # which is the stream's own memory


def _zlib_pieces(data: bytes | memoryview, window: int = zlib.MAX_WBITS) -> Iterator[bytes]:
    decoder = zlib.decompressobj(window)
    for start in range(0, len(data), FED_BYTES):
        if decoder.eof:
            _check_end(True, len(data) - start)
        pending: bytes | memoryview = data[start : start + FED_BYTES]
        while not decoder.eof:
            piece = decoder.decompress(pending, PIECE_BYTES)
            pending = decoder.unconsumed_tail
            if not piece and not pending:
                break
            yield piece
    _check_end(decoder.eof, len(decoder.unused_data))


def _gzip_pieces(data: bytes | memoryview) -> Iterator[bytes]:
    return _zlib_pieces(data, 16 + zlib.MAX_WBITS)


def _file_pieces(decoder: bz2.BZ2Decompressor | lzma.LZMADecompressor, data: bytes | memoryview) -> Iterator[bytes]:
    for start in range(0, len(data), FED_BYTES):
        if decoder.eof:
            _check_end(True, len(data) - start)
        yield decoder.decompress(data[start : start + FED_BYTES], PIECE_BYTES)
        while not (decoder.eof or decoder.needs_input):
            yield decoder.decompress(b"", PIECE_BYTES)
    _check_end(decoder.eof, len(decoder.unused_data))


def _bzip2_pieces(data: bytes | memoryview) -> Iterator[bytes]:
    return _file_pieces(bz2.BZ2Decompressor(), data)


def _lzma_pieces(data: bytes | memoryview) -> Iterator[bytes]:
    return _file_pieces(lzma.LZMADecompressor(memlimit=MEMORY_BYTES), data)


def _zstd_pieces(data: bytes | memoryview) -> Iterator[bytes]:
    decoder = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).decompressobj()
    for start in range(0, len(data), FED_TO_ZSTD):
        if decoder.eof:
            _check_end(True, len(data) - start)
        yield decoder.decompress(data[start : start + FED_TO_ZSTD])
    _check_end(decoder.eof, len(decoder.unused_data))


def _brotli_pieces(data: bytes | memoryview) -> Iterator[bytes]:
    decoder, pending = brotli.Decompressor(), bytes(data)
    while not decoder.is_finished():
        piece = decoder.process(pending, output_buffer_limit=PIECE_BYTES)
        pending = b""
        if not piece and decoder.can_accept_more_data() and not decoder.is_finished():
            _check_end(False, 0)
        yield piece


def _check_end(ended: bool, behind: int) -> None:
    if not ended or behind:
        raise _Cut("ends early" if not ended else f"is followed by {behind:,} other bytes")


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
