"""The files that text and tokens come from: their names, their compression, and what they hold.

Strategy: a file is known by its first bytes, after gzip or zstd is undone; only where these say nothing does the name
decide. Text is read in blocks and documents are handed on one by one, so that a caller who needs little reads little.
"""

from __future__ import annotations

import codecs
import contextlib
import enum
import glob
import gzip
import io
import itertools
import operator
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from ..errors import DataError
from ..files.artifact_file import STANDARD_INPUT
from ..files.nested_text import parse_json
from .foreign_content import reading_notes, refuse_foreign
from .shards import is_shard

DOCUMENT_SEPARATOR = "\0"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SHARD_SUFFIX = ".bin"
LINES_SUFFIXES = (".jsonl", ".ndjson")
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
OTHER_COMPRESSED = {b"\xfd7zXZ": "xz", b"BZh": "bzip2", b"PK\x03\x04": "zip"}
COMPRESSED_SUFFIXES = (".gz", ".zst", ".zstd")
HEAD_BYTES = 1 << 16
BLOCK_BYTES = 1 << 22
TEXT_BLOCK_BYTES = 1 << 20  # of a text that is encoded: about a second's work
FED_TO_ZSTD = 1 << 7  # its decoder cannot be told to stop, and makes up to 32 KiB of a byte
SIDECAR_MARK = "_bytes_"  # in the name of a file of byte counts beside a shard
TEXT_FIELD = "text"


class Content(enum.Enum):
    """What a data file holds."""

    SHARD = "token shard"
    TEXT = "text"
    LINES = "JSON lines"


@dataclass(frozen=True, slots=True)
class DataFile:
    """One data file; `head` is how its content begins, decompressed, and `plain` whether it was not compressed."""

    path: str
    content: Content
    head: bytes
    plain: bool


def expand_data(data: str | Path | Sequence[str | Path]) -> list[str]:
    """The files that paths, patterns such as "val_*.bin" and "-" name, in order, each pattern's sorted by name.

    A pattern leaves out the byte counts beside shards. Raises DataError when a pattern matches nothing.
    """
    given = [data] if isinstance(data, str | Path) else list(data)
    found: list[str] = []
    for entry in map(str, given):
        if entry == STANDARD_INPUT or Path(entry).exists() or not glob.has_magic(entry):
            found.append(entry)
            continue
        matches = sorted(name for name in glob.glob(entry) if SIDECAR_MARK not in Path(name).name)
        if not matches:
            raise DataError(f"no file matches {entry}; give an existing file or another pattern")
        found += matches
    if not found:
        raise DataError("no data file is given")
    return found


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


def _decompressed(raw: io.BufferedReader, path: str) -> Any:
    head = raw.peek(8)[:8]
    if head.startswith(GZIP):
        return gzip.GzipFile(fileobj=raw)
    if head.startswith(ZSTD):
        return io.BufferedReader(_ZstdStream(raw))
    kind = next((name for magic, name in OTHER_COMPRESSED.items() if head.startswith(magic)), None)
    if kind == "zip" and b".npy" in raw.peek(HEAD_BYTES):
        raise DataError(f"{path} is an archive of numpy arrays, not data; give a token shard or UTF-8 text")
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


def inspect_data(path: str) -> DataFile:
    """What a file holds, told from its beginning; DataError when it cannot be read or is empty."""
    if path == STANDARD_INPUT:
        return DataFile(path, Content.TEXT, b"", False)
    if Path(path).is_char_device() and os.path.realpath(path) != os.devnull:
        raise DataError(f"{path} is a device, which may never end; give a file, or a part of it as standard input (-)")
    if Path(path).is_fifo():
        raise DataError(
            f"{path} is a pipe, which is read only once; write it to a file, or give it as standard input (-)"
        )
    if Path(path).is_dir():
        raise DataError(f"{path} is a folder; name the files in it, or a pattern such as '{Path(path) / '*.txt'}'")
    with opened(path) as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise DataError(f"{path} is empty; give a token shard or UTF-8 text")
    with open(path, "rb") as raw:
        plain = not raw.read(4).startswith((GZIP, ZSTD))
    content = _content(path, head)
    if content is not Content.SHARD:
        refuse_foreign(path, head)
    return DataFile(path, content, head, plain)


def notes_of_file(file: DataFile) -> list[str]:
    """What was assumed of a text, in sentences."""
    return reading_notes(file.path, _name(file.path), file.head) if file.content is Content.TEXT else []


def _name(path: str) -> str:
    """In lower case, without what its compression adds."""
    name = path.lower()
    for suffix in COMPRESSED_SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def _content(path: str, head: bytes) -> Content:
    name = _name(path)
    if is_shard(head) or name.endswith(SHARD_SUFFIX):
        return Content.SHARD
    return Content.LINES if name.endswith(LINES_SUFFIXES) or _is_json_line(head) else Content.TEXT


def _is_json_line(head: bytes) -> bool:
    """Whether the first line is a whole JSON object with a text."""
    head = head.removeprefix(BYTE_ORDER_MARK)
    try:
        value = parse_json(head.split(b"\n")[0]) if head.startswith(b"{") else None
    except ValueError:
        return False
    return isinstance(value, dict) and isinstance(value.get(TEXT_FIELD), str)


def documents_of(file: DataFile, taken: Callable[[int], None] | None = None) -> Iterator[Iterator[str]]:
    """The documents of a text, which NUL separates, or of JSON lines, one a line, each as parts of its text in their
    order, which is read no further than they are taken; some may be empty. `taken` as in `opened`.

    Raises DataError for bytes that are not UTF-8 and lines that are no object with a text, naming the place.
    """
    if file.content is Content.LINES:
        return (iter([text]) for text in _documents_of_lines(file.path, taken))
    groups = itertools.groupby(_numbered_parts(file.path, taken), key=operator.itemgetter(0))
    return ((part for _, part in group) for _, group in groups)


def text_bytes(file: DataFile, most: int) -> int:
    """UTF-8 bytes of all text in a file, to the first `most` or a little more; quick, as nothing is encoded.

    Of a text that is not compressed that is the file's size. Raises as `documents_of` does.
    """
    if file.plain and file.content is Content.TEXT:
        return os.stat(file.path).st_size
    found = 0
    for document in documents_of(file):
        for part in document:
            found += len(part.encode())
            if found >= most:
                return found
    return found


def _numbered_parts(path: str, taken: Callable[[int], None] | None) -> Iterator[tuple[int, str]]:
    """Parts of text, each with the number of its document."""
    number = 0
    for block in _text_blocks(path, taken):
        for place, part in enumerate(block.split(DOCUMENT_SEPARATOR)):
            number += place > 0
            yield number, part


def _text_blocks(path: str, taken: Callable[[int], None] | None) -> Iterator[str]:
    """The text in blocks, decoded from UTF-8 without a byte order mark."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    with opened(path, taken) as file:
        while block := file.read(TEXT_BLOCK_BYTES):
            if path == STANDARD_INPUT and offset == 0:  # of which nothing was looked at before
                refuse_foreign(path, block[:HEAD_BYTES])
                if _is_json_line(block):
                    raise DataError(f"{path} holds JSON lines, and standard input is read as text; give them as a file")
            skipped = len(BYTE_ORDER_MARK) if offset == 0 and block.startswith(BYTE_ORDER_MARK) else 0
            pending = len(decoder.getstate()[0])
            yield _decoded(decoder, block[skipped:], path, offset + skipped - pending)
            offset += len(block)
        pending = len(decoder.getstate()[0])
        yield _decoded(decoder, b"", path, offset - pending, final=True)


def _decoded(decoder: codecs.IncrementalDecoder, block: bytes, path: str, offset: int, final: bool = False) -> str:
    try:
        return decoder.decode(block, final)
    except UnicodeDecodeError as error:
        found = f"byte 0x{error.object[error.start]:02x} at offset {offset + error.start:,} ({error.reason})"
        raise DataError(
            f"{path} is neither a token shard nor UTF-8 text: {found}; convert it to UTF-8, or give a shard"
        ) from error


def _documents_of_lines(path: str, taken: Callable[[int], None] | None) -> Iterator[str]:
    with opened(path, taken) as file:
        for number, line in enumerate(file, start=1):
            if line.strip() and (text := _text_of_line(line, f"{path}: line {number:,}")):
                yield text


def _text_of_line(line: bytes, place: str) -> str:
    """The text of one JSON object; DataError that names the place for anything else."""
    try:
        value = parse_json(line)
    except ValueError as error:
        raise DataError(f"{place} is not JSON ({error}); each line is one document") from error
    text = value.get(TEXT_FIELD) if isinstance(value, dict) else None
    if not isinstance(text, str):
        names = ", ".join(list(value)[:6]) if isinstance(value, dict) else type(value).__name__
        raise DataError(f"{place} has no {TEXT_FIELD!r} of type text (it has: {names})")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{place} holds half of a surrogate pair, which is no character; write it again") from error
    return text
