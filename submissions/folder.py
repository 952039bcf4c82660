"""A bounded, read-only view of a stranger's folder.

Strategy: the folder is listed once, and only listed names can be read. Every part of a name is opened
from the folder above it and without following links, so that neither a link nor a name nor a change
behind our back leads out of the folder; what is not a regular file is never opened for reading. The
number of files, the bytes of a file and the bytes of all reads together have limits. What could not be
read, or not whole, is kept in `unread` with its reason, and the judgement says it: a section that gets
less text than there is need not ask why.
"""

from __future__ import annotations

import codecs
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ..errors import DataError

BYTE_ORDER_MARKS = (  # longest first: the mark of UTF-32-LE begins with that of UTF-16-LE
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class FolderLimits:
    """How much of a folder is looked at: files listed, folders inside each other, bytes of one file and of all
    reads together. Texts have limits of their own: they stay in memory, at up to four bytes a character.
    """

    files: int = 10_000
    depth: int = 32
    file_bytes: int = 64 << 20
    total_bytes: int = 256 << 20
    text_bytes: int = 8 << 20
    total_text_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class SubmissionFile:
    """A listed file: `name` relative to the folder with "/", `bytes` on disk (of a link: of its own text).

    kind : str     "file", "link" (never followed), or "special" (a pipe, a device, a socket; never opened)
    target : str   of a link: the name in the folder that it means, "" where it leads out
    """

    name: str
    bytes: int
    kind: str = "file"
    target: str = ""

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return self.kind == "link"

    @property
    def suffix(self) -> str:
        """The last suffix in lower case, ".py"; "" without one."""
        return os.path.splitext(self.name)[1].lower()


@dataclass(frozen=True, slots=True)
class FolderText:
    """A decoded file.

    encoding : str     "utf-8", "utf-16-le", ...
    bom : bool         whether it began with a byte order mark, which `text` leaves out
    damaged : bool     whether some bytes are not of that encoding; they stand as U+FFFD
    truncated : bool   whether the file goes on after the text, or could not be read at all; see `unread`
    """

    text: str
    encoding: str
    bom: bool
    damaged: bool = False
    truncated: bool = False


@dataclass(slots=True)
class SubmissionFolder:
    """The files of a folder by name, and their contents within limits; made by `open_folder`.

    files : tuple          every file, sorted by name; links and special files are listed and never read
    unlisted : tuple       sentences on what the listing left out, and why
    unread : dict          by name, why a file was not read, or not whole
    """

    path: Path
    files: tuple[SubmissionFile, ...]
    unlisted: tuple[str, ...]
    limits: FolderLimits
    unread: dict[str, str] = field(default_factory=dict)
    _bytes_read: int = 0
    _text_bytes_read: int = 0
    _texts: dict[str, FolderText] = field(default_factory=dict)
    _by_name: dict[str, SubmissionFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_name = {file.name: file for file in self.files}

    def get(self, name: str) -> SubmissionFile | None:
        """The listed file of this name, None if there is none: "../x", "/x" and names through links never are."""
        return self._by_name.get(name)

    def read_text(self, name: str) -> FolderText:
        """A listed file as text, within the limits of texts. Read once: asking again costs nothing.

        Raises KeyError for a name that is not listed; whatever else is wrong is in `unread`.
        """
        if name not in self._texts:
            left = self.limits.total_text_bytes - self._text_bytes_read
            data = self.read_bytes(name, min(self.limits.text_bytes, left))
            self._text_bytes_read += len(data)
            self._texts[name] = decode_text(data, truncated=name in self.unread)
        return self._texts[name]

    def read_bytes(self, name: str, limit: int | None = None) -> bytes:
        """The first `limit` bytes of a listed file, all by default; fewer where `unread` says so.

        Raises KeyError for a name that is not listed.
        """
        file = self._by_name[name]
        if file.kind != "file":
            self.unread[name] = f"it is a {file.kind}" if file.is_link else "it is a special file"
            return b""
        allowed = min(self.limits.file_bytes, self.limits.total_bytes - self._bytes_read)
        limit = allowed if limit is None else min(limit, allowed)
        try:
            data = _read_inside(self.path, name, limit + 1)
        except OSError as error:
            self.unread[name] = error.strerror or str(error)
            return b""
        if len(data) > limit:
            self.unread[name] = f"only the first {limit:,} of {max(file.bytes, len(data)):,} bytes were read"
        self._bytes_read += min(len(data), limit)
        return data[:limit]

    @contextmanager
    def open_file(self, name: str) -> Iterator[BinaryIO]:
        """A listed regular file for reading at any place; what is read of it is the caller's to limit.

        Raises KeyError for a name that is not listed, OSError for what cannot be opened or is not a regular file.
        """
        if self._by_name[name].kind != "file":
            raise OSError(f"{name} is not a regular file")
        with _opened_inside(self.path, name) as file:
            yield file


def open_folder(path: str | Path, limits: FolderLimits | None = None) -> SubmissionFolder:
    """List a folder; raises DataError when it is none or cannot be listed at all."""
    path, limits = Path(path), limits or FolderLimits()
    files: list[SubmissionFile] = []
    unlisted: list[str] = []
    try:
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise DataError(f"{path} cannot be opened as a folder: {error.strerror or error}") from error
    try:
        for file in _listed(top, "", limits.depth, unlisted):
            if len(files) >= limits.files:
                unlisted.append(f"only the first {limits.files:,} files were looked at")
                break
            files.append(file)
    finally:
        os.close(top)
    return SubmissionFolder(path, tuple(sorted(files, key=lambda file: file.name)), tuple(unlisted), limits)


def decode_text(data: bytes, truncated: bool = False) -> FolderText:
    """Bytes as text: by a byte order mark, else UTF-8, else UTF-16 where every other byte is mostly zero."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding, True, truncated)
    even, odd = data[0:4096:2].count(0), data[1:4096:2].count(0)
    half = min(len(data), 4096) // 2
    if half >= 8 and max(even, odd) > 0.7 * half and min(even, odd) < 0.1 * half:
        return _decoded(data, "utf-16-le" if odd > even else "utf-16-be", False, truncated)
    return _decoded(data, "utf-8", False, truncated)


def _decoded(data: bytes, encoding: str, bom: bool, truncated: bool) -> FolderText:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        text = decoder.decode(data, final=not truncated)  # a limit may cut a character in two
        return FolderText(text, encoding, bom, False, truncated)
    except UnicodeDecodeError:
        return FolderText(data.decode(encoding, "replace"), encoding, bom, True, truncated)


def _listed(folder: int, prefix: str, depth: int, unlisted: list[str]) -> Iterator[SubmissionFile]:
    """Files below an opened folder, in order of their names within each folder."""
    with os.scandir(folder) as entries:
        sorted_entries = sorted(entries, key=lambda entry: entry.name)
    for entry in sorted_entries:
        name = prefix + entry.name
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            unlisted.append(f"{name}: {error.strerror or error}")
            continue
        if not stat.S_ISDIR(status.st_mode):
            kind = _kind(status.st_mode)
            yield SubmissionFile(name, status.st_size, kind, _target(folder, name) if kind == "link" else "")
        elif depth <= 1:
            unlisted.append(f"{name}/: too many folders inside each other")
        else:
            yield from _listed_folder(folder, entry.name, name, depth - 1, unlisted)


def _target(folder: int, name: str) -> str:
    """The name that a link means by its text alone; "" where that leads out of the folder."""
    try:
        text = os.readlink(name.rpartition("/")[2], dir_fd=folder)
    except OSError:
        return ""
    meant = posixpath.normpath(posixpath.join(posixpath.dirname(name), text))
    return "" if text.startswith("/") or meant.split("/")[0] in ("..", ".") else meant


def _listed_folder(above: int, own_name: str, name: str, depth: int, unlisted: list[str]) -> Iterator[SubmissionFile]:
    try:
        folder = os.open(own_name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
    except OSError as error:
        unlisted.append(f"{name}/: {error.strerror or error}")
        return
    try:
        yield from _listed(folder, f"{name}/", depth, unlisted)
    finally:
        os.close(folder)


def _kind(mode: int) -> str:
    return "file" if stat.S_ISREG(mode) else "link" if stat.S_ISLNK(mode) else "special"


def _read_inside(path: Path, name: str, count: int) -> bytes:
    """At most `count` bytes of a regular file."""
    with _opened_inside(path, name) as file:
        return file.read(count)


@contextmanager
def _opened_inside(path: Path, name: str) -> Iterator[BinaryIO]:
    """A regular file, each part of whose name is opened without following a link."""
    *folders, own_name = name.split("/")
    opened = [os.open(path, os.O_RDONLY | os.O_DIRECTORY)]
    try:
        for folder in folders:
            opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened[-1]))
        # A pipe that took the file's place since the listing must not be waited for.
        opened.append(os.open(own_name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=opened[-1]))
        if not stat.S_ISREG(os.fstat(opened[-1]).st_mode):
            raise OSError("it is not a regular file any more")
        with os.fdopen(opened.pop(), "rb") as file:
            yield file
    finally:
        for descriptor in opened:
            os.close(descriptor)
