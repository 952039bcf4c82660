"""Data files opened for reading, gzip and zstd undone on the way.

Strategy: what a file is compressed with is told by its first bytes, never by its name. What is read is counted as it
lies on the disk, so that somebody may say how far a reading is. A cut or damaged compression is an error with the
file's name; what other compressions there are is said, with the way out.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import zstandard

from ..errors import DataError
from ..files.artifact_file import STANDARD_INPUT
from .foreign_content import AS_UTF8, NEITHER

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
OTHER_COMPRESSED = {
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "lz4",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
}
IN_ZIP = {  # in the beginning of a zip archive: what it is then
    b".npy": ("an archive of numpy arrays", NEITHER),
    b"/data.pkl": ("a checkpoint of torch.save", NEITHER),
    b"[Content_Types].xml": ("a document of Microsoft Office", AS_UTF8),
    b"mimetypeapplication/": ("a document of LibreOffice or an EPUB", AS_UTF8),
}
HEAD_BYTES = 1 << 16
FED_TO_ZSTD = 1 << 7  # its decoder cannot be told to stop, and makes up to 32 KiB of a byte


@contextlib.contextmanager
def opened(path: str, taken: Callable[[int], None] | None = None) -> Iterator[BinaryIO]:
    """A file's content, decompressed; DataError when it cannot be read or its compression is damaged.

    taken : hears of how many bytes of the file itself are taken, each time
    """
    try:
        with contextlib.ExitStack() as stack:
            given: Any = sys.stdin.buffer if path == STANDARD_INPUT else stack.enter_context(open(path, "rb"))
            yield _decompressed(io.BufferedReader(given if taken is None else _Counted(given, taken)), path)
    except (gzip.BadGzipFile, zstandard.ZstdError, zlib.error, EOFError) as error:
        raise DataError(f"{path} is damaged: {error}; copy it again") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def is_plain(file: BinaryIO) -> bool:
    """Whether what `opened` gave lies on the disk as it is read, not compressed."""
    return isinstance(file, io.BufferedReader) and not isinstance(file.raw, _ZstdStream)


def _decompressed(raw: io.BufferedReader, path: str) -> Any:
    head = raw.peek(8)[:8]
    if head.startswith(GZIP):
        return gzip.GzipFile(fileobj=raw)
    if head.startswith(ZSTD):
        return io.BufferedReader(_ZstdStream(raw))
    kind = next((name for magic, name in OTHER_COMPRESSED.items() if head.startswith(magic)), None)
    if kind == "zip" and (known := next((told for part, told in IN_ZIP.items() if part in raw.peek(HEAD_BYTES)), None)):
        raise DataError(f"{path} is {known[0]}, not data; {known[1]}")
    if kind is not None:
        raise DataError(f"{path} looks like {kind} data; decompress it first, or use gzip or zstd")
    return raw


class _Counted(io.RawIOBase):
    """A file that says how much of it is taken."""

    def __init__(self, raw: BinaryIO, taken: Callable[[int], None]) -> None:
        self._raw, self._taken = raw, taken

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._raw.read(len(buffer))
        self._taken(len(block))
        buffer[: len(block)] = block
        return len(block)


class _ZstdStream(io.RawIOBase):
    """The content of zstd frames, one after the other; an end inside a frame is an error, which the library's own
    reader passes over.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._frame, self._ready = raw, zstandard.ZstdDecompressor().decompressobj(), memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            block = self._frame.unused_data if self._frame.eof else b""
            block = block or self._raw.read(FED_TO_ZSTD)
            if not block and not self._frame.eof:
                raise zstandard.ZstdError("it ends inside a frame")
            if not block:
                return 0
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._ready = memoryview(self._frame.decompress(block))
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count
