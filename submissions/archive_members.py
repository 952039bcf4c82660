"""The members of a stranger's zip or tar file, one form for both: a name, what it is, and its bytes as a stream.

Strategy: the libraries of Python read the structure; nothing of theirs writes. What is damaged, encrypted or cut short
is refused here with a sentence, whatever error the libraries have for it.
"""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import DataError

UTF8_NAME, ENCRYPTED = 0x800, 0x1  # flags of a zip file's member
TAR_BLOCK = 512
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError, OSError, UnicodeError)


@dataclass(frozen=True, slots=True)
class Member:
    """One member: `kind` is "file", "folder", "link" or "hard link", with its `target`; `bytes` as the archive says.

    Raises DataError for what is none of these.
    """

    name: str
    kind: str
    bytes: int
    target: str = ""
    source: Any = None


@contextmanager
def damage_told() -> Iterator[None]:
    """Say of a damaged archive that it is one, instead of the library's error; an error of memory or disk stays."""
    try:
        yield
    except RuntimeError as error:  # a compression that Python has not, or a password
        raise DataError(f"it is packed in a way that is not read here ({error})") from error
    except DAMAGED as error:
        if type(error).__name__ == "LZMAError" or not isinstance(error, OSError) or error.errno is None:
            raise DataError(f"it is damaged or cut short ({error or type(error).__name__})") from error
        raise DataError(f"it cannot be unpacked: {error.strerror}") from error
    except Exception as error:
        if type(error).__name__ in ("LZMAError", "ZstdError"):
            raise DataError(f"it is damaged or cut short ({error})") from error
        raise


class ZipMembers:
    """A zip file's members, in their order."""

    def __init__(self, path: Path) -> None:
        self.archive = zipfile.ZipFile(path)

    def __iter__(self) -> Iterator[Member]:
        for information in self.archive.infolist():
            yield self._member(information)

    def open(self, member: Member) -> IO[bytes]:
        """The bytes of a file, checked against their checksum at the end."""
        return self.archive.open(member.source)

    def _member(self, information: zipfile.ZipInfo) -> Member:
        name = _zip_name(information)
        if information.flag_bits & ENCRYPTED:
            raise DataError(f"it is encrypted ({name})")
        mode = information.external_attr >> 16
        if information.is_dir():
            return Member(name, "folder", 0)
        if stat.S_ISLNK(mode):
            with self.archive.open(information) as file:
                return Member(name, "link", 0, file.read(4096).decode("utf-8", "surrogateescape"))
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise DataError(f"{name} in it is a device, a pipe or a socket")
        return Member(name, "file", information.file_size, "", information)


def _zip_name(information: zipfile.ZipInfo) -> str:
    """The whole name; without the flag for UTF-8 it is UTF-8 all the same where its bytes are."""
    name = information.orig_filename
    if information.flag_bits & UTF8_NAME:
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


class TarMembers:
    """The members of a tar file that is not compressed, in their order; one that does not end as it should is cut."""

    def __init__(self, file: IO[bytes]) -> None:
        self.archive = tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape")
        self.file = file

    def __iter__(self) -> Iterator[Member]:
        for information in self.archive:
            yield self._member(information)
        self.file.seek(self.archive.offset)
        if self.file.read(TAR_BLOCK) != bytes(TAR_BLOCK):
            raise DataError("it is damaged or cut short (its end is missing)")

    def open(self, member: Member) -> IO[bytes]:
        """The bytes of a file."""
        file = self.archive.extractfile(member.source)
        if file is None:
            raise DataError(f"{member.name} in it cannot be read")
        return file

    def _member(self, information: tarfile.TarInfo) -> Member:
        name = information.name
        if information.isdir():
            return Member(name, "folder", 0)
        if information.issym():
            return Member(name, "link", 0, information.linkname)
        if information.islnk():
            return Member(name, "hard link", 0, information.linkname)
        if not information.isfile():
            raise DataError(f"{name} in it is a device, a pipe or a socket")
        return Member(name, "file", information.size, "", information)
