"""The files that text and tokens come from: their names, their compression, and what they hold.

Strategy: a file is known by its first bytes, after gzip or zstd is undone; only where these say nothing does the name
decide. Text is read in blocks and documents are handed on one by one, so that a caller who needs little reads little.
"""

from __future__ import annotations

import codecs
import enum
import glob
import itertools
import operator
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DataError
from ..files.artifact_file import STANDARD_INPUT
from ..files.nested_text import parse_json
from ..files.pipes import pipe_refused
from .foreign_content import reading_notes, refuse_foreign, refuse_foreign_ids
from .opened_data import GZIP, HEAD_BYTES, ZSTD, is_plain, opened
from .shards import is_shard

DOCUMENT_SEPARATOR = "\0"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SHARD_SUFFIX = ".bin"
LINES_SUFFIXES = (".jsonl", ".ndjson")
COMPRESSED_SUFFIXES = (".gz", ".zst", ".zstd")
BLOCK_BYTES = 1 << 22
TEXT_BLOCK_BYTES = 1 << 20  # of a text that is encoded: about a second's work
SIDECAR_MARK = "_bytes_"  # in the name of a file of byte counts beside a shard
TEXT_FIELD = "text"
KINDS_OF_JSON = {type(None): "null", bool: "true or false", int: "a number", float: "a number", list: "a list"}


class Content(enum.Enum):
    """What a data file holds."""

    SHARD = "token shard"
    TEXT = "text"
    LINES = "JSON lines"


@dataclass(frozen=True, slots=True)
class DataFile:
    """One data file; `head` is how its content begins, decompressed, and `plain` whether it was not compressed.

    read_head : of standard input, which is read once, how it turned out to begin
    """

    path: str
    content: Content
    head: bytes
    plain: bool
    read_head: bytearray = field(default_factory=bytearray, compare=False)


def expand_data(data: str | Path | Sequence[str | Path]) -> list[str]:
    """The files that paths, patterns such as "val_*.bin" and "-" name, in order, each pattern's sorted by name.

    A pattern leaves out the byte counts beside shards. Raises DataError when a pattern matches nothing, and for a file
    that is named twice: its text would count as often, and scores would seem surer than they are.
    """
    given = [data] if isinstance(data, str | Path) else list(data)
    found: list[str] = []
    for entry in map(str, given):
        if entry == STANDARD_INPUT or os.path.exists(entry) or not glob.has_magic(entry):
            found.append(entry)
            continue
        matches = sorted(name for name in glob.glob(entry) if SIDECAR_MARK not in Path(name).name)
        if not matches:
            raise DataError(f"no file matches {entry}; give an existing file or another pattern")
        found += matches
    if not found:
        raise DataError("no data file is given")
    seen: set[str] = set()
    for entry in found:
        place = entry if entry == STANDARD_INPUT else os.path.realpath(entry)
        if place in seen:
            raise DataError(f"{entry} is given twice, which would count it twice; give each file once")
        seen.add(place)
    return found


def inspect_data(path: str) -> DataFile:
    """What a file holds, told from its beginning; DataError when it cannot be read or is empty."""
    if path == STANDARD_INPUT:
        return DataFile(path, Content.TEXT, b"", False)
    if Path(path).is_char_device() and os.path.realpath(path) != os.devnull:
        raise DataError(f"{path} is a device, which may never end; give a file, or a part of it as standard input (-)")
    if refused := pipe_refused(Path(path)):
        raise DataError(f"{refused}, or give it as standard input (-)")
    if Path(path).is_dir():
        raise DataError(f"{path} is a folder; name the files in it, or a pattern such as '{Path(path) / '*.txt'}'")
    with opened(path) as file:
        plain, head = is_plain(file), file.read(HEAD_BYTES)
    if not head:
        raise DataError(f"{path} is empty; give a token shard or UTF-8 text")
    if not plain and head.startswith((GZIP, ZSTD)):
        raise DataError(f"{path} is compressed twice; decompress it once")
    content = _content(path, head)
    if content is not Content.SHARD:
        refuse_foreign(path, head)
    elif not is_shard(head):
        refuse_foreign_ids(path, head)
    return DataFile(path, content, head, plain)


def notes_of_file(file: DataFile) -> list[str]:
    """What was assumed of a text, in sentences; of standard input once it was read."""
    if file.content is not Content.TEXT:
        return []
    shown = "standard input" if file.path == STANDARD_INPUT else file.path
    return reading_notes(shown, _name(file.path), file.head or bytes(file.read_head))


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
    groups = itertools.groupby(_numbered_parts(file, taken), key=operator.itemgetter(0))
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


def _numbered_parts(file: DataFile, taken: Callable[[int], None] | None) -> Iterator[tuple[int, str]]:
    """Parts of text, each with the number of its document."""
    number = 0
    for block in _text_blocks(file, taken):
        for place, part in enumerate(block.split(DOCUMENT_SEPARATOR)):
            number += place > 0
            yield number, part


def _text_blocks(source: DataFile, taken: Callable[[int], None] | None) -> Iterator[str]:
    """The text in blocks, decoded from UTF-8 without a byte order mark."""
    path = source.path
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    with opened(path, taken) as file:
        while block := file.read(TEXT_BLOCK_BYTES):
            if path == STANDARD_INPUT and offset == 0:  # of which nothing was looked at before
                source.read_head[:] = block[:HEAD_BYTES]
                if is_shard(block):
                    raise DataError(
                        f"{path} holds a token shard, and standard input is read as text; give it as a file"
                    )
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
        spread = "; a document over several lines, or a list of them, is none" if line.strip() in (b"{", b"[") else ""
        raise DataError(f"{place} is not JSON ({error}); each line is one document{spread}") from error
    text = value.get(TEXT_FIELD) if isinstance(value, dict) else None
    if not isinstance(text, str):
        if isinstance(value, dict) and TEXT_FIELD in value:
            kind = KINDS_OF_JSON.get(type(text), "an object")
            raise DataError(f"{place} has a {TEXT_FIELD!r} that is {kind}; write it as text, or leave the line out")
        names = ", ".join(list(value)[:6]) if isinstance(value, dict) else type(value).__name__
        raise DataError(f"{place} has no {TEXT_FIELD!r} of type text (it has: {names})")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{place} holds half of a surrogate pair, which is no character; write it again") from error
    return text
