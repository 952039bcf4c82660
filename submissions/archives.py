"""A stranger's archive, unpacked into an empty folder as the submission folder that it holds.

Strategy: every member is looked at before the first is written, and one that leads out of the folder, is no file,
folder or link, or stands there twice refuses the archive whole: to leave it out would judge another submission. Files
are made anew and never over something, links last, so that nothing is written through one. What is written is counted
while it is written, whatever the archive says of its sizes. Then a folder that is alone at the top is entered.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import DataError
from .archive_kinds import archive_kind, is_archive
from .archive_members import Member, TarMembers, ZipMembers, damage_told
from .chosen_folder import DECLARATION, picked_folder, several_told, submissions_below

MOST_BYTES = 512 << 20  # unpacked, and of a tar file without its compression
MOST_MEMBERS = 10_000
MOST_DEPTH = 32
CHUNK = 1 << 20
MAC_LEFTOVERS = {"__MACOSX", ".DS_Store"}  # beside the folder that a Mac packs


@dataclass(frozen=True, slots=True)
class OpenedArchive:
    """What was opened: the kind of archive, its files and their bytes together, and the folder in it that is judged
    ("" for all of it), relative, with "/".
    """

    archive: str
    files: int
    bytes: int
    entered: str


def unpack_submission(path: Path, folder: Path, inside: str = "") -> OpenedArchive:
    """Unpack an archive into an empty folder, and find the submission in it: the one `inside` where that is given.

    Raises DataError, without the archive's name, for what is damaged, hostile, too large or not one submission.
    """
    with damage_told(), _members(path) as archive:
        members = _checked(list(_bounded(archive)))
        written = _write(archive, members, folder)
    files = sum(member.kind != "folder" for member in members)
    entered = picked_folder(folder, inside) if inside else _entered(folder)
    name = "" if entered == folder else entered.relative_to(folder).as_posix()
    return OpenedArchive(archive_kind(path) or "", files, written, name)


@contextmanager
def _members(path: Path) -> Iterator[ZipMembers | TarMembers]:
    kind = archive_kind(path) or ""
    if kind == "zip":
        yield ZipMembers(path)
        return
    with open(path, "rb") as file:
        if kind == "tar":
            yield TarMembers(file)
            return
        with tempfile.TemporaryFile() as plain:
            _copy(_decompressed(file, kind.removeprefix("tar.")), plain, MOST_BYTES)
            plain.seek(0)
            yield TarMembers(plain)


def _decompressed(file: IO[bytes], compression: str) -> IO[bytes]:
    if compression == "gzip":
        return gzip.open(file)  # type: ignore[return-value]
    if compression == "bzip2":
        return bz2.open(file)
    if compression == "xz":
        return lzma.open(file)
    try:
        import zstandard
    except ImportError as error:
        raise DataError("it is packed with zstd, and the package zstandard is not installed") from error
    return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


def _bounded(archive: ZipMembers | TarMembers) -> Iterator[Member]:
    """The members, as long as there are not too many nor, by their own word, too large ones."""
    total = 0
    for number, member in enumerate(archive):
        total += member.bytes
        if number >= MOST_MEMBERS:
            raise DataError(f"it holds more than {MOST_MEMBERS:,} files")
        if total > MOST_BYTES:
            raise _too_large()
        yield member


def _checked(members: list[Member]) -> list[Member]:
    """The members under plain names; DataError for a name or a link that leads out, or a name that stands there twice.

    "./a" is "a", and "." itself is left out.
    """
    checked: dict[str, Member] = {}
    for member in members:
        name = member.name.removesuffix("/") if member.kind == "folder" else member.name
        while name.startswith("./"):
            name = name[2:]
        if name == "." and member.kind == "folder":
            continue
        _check_name(member.name, name)
        if member.kind == "link":
            _check_link(name, member.target)
        known = checked.get(name)
        if known is not None and not (known.kind == member.kind == "folder"):
            raise DataError(f"it holds {name} twice")
        checked[name] = Member(name, member.kind, member.bytes, member.target, member.source)
    for name in checked:
        for above in _folders_above(name):
            if above in checked and checked[above].kind != "folder":
                raise DataError(f"it holds {name} inside of {above}, which is no folder")
    return list(checked.values())


def _check_name(shown: str, name: str) -> None:
    parts = name.split("/")
    if name.startswith("/") or ".." in parts:
        raise DataError(f"a name in it leads out of its folder: {shown}")
    if not all(parts) or "." in parts or "\\" in name or "\0" in name:
        raise DataError(f"a name in it is none that every system reads alike: {shown}")
    if len(parts) > MOST_DEPTH:
        raise DataError(f"its folders lie more than {MOST_DEPTH} deep")


def _check_link(name: str, target: str) -> None:
    meant = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if not target or target.startswith("/") or meant == ".." or meant.startswith("../") or "\0" in target:
        raise DataError(f"a link in it leads out of its folder: {name} -> {target}")


def _folders_above(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def _write(archive: ZipMembers | TarMembers, members: list[Member], folder: Path) -> int:
    """Write folders and files, then links; the bytes of all files together."""
    left = MOST_BYTES
    files: dict[str, int] = {}
    for member in members:
        place = folder / member.name
        (place if member.kind == "folder" else place.parent).mkdir(parents=True, exist_ok=True)
        if member.kind == "file":
            with archive.open(member) as source, open(place, "xb") as file:
                files[member.name] = _copy(source, file, left)
            if files[member.name] != member.bytes:
                raise DataError(f"{member.name} in it is cut short")
            left -= files[member.name]
    for member in members:
        if member.kind == "hard link":
            if member.target.removeprefix("./") not in files:
                raise DataError(f"{member.name} in it is a hard link to no file of it: {member.target}")
            os.link(folder / member.target, folder / member.name, follow_symlinks=False)
            files[member.name] = files[member.target.removeprefix("./")]
    for member in members:
        if member.kind == "link":
            os.symlink(member.target, folder / member.name)
    return sum(files.values())


def _copy(source: IO[bytes], file: IO[bytes], most: int) -> int:
    """Bytes copied; DataError where there are more than `most`."""
    copied = 0
    while part := source.read(CHUNK):
        copied += len(part)
        if copied > most:
            raise _too_large()
        file.write(part)
    return copied


def _too_large() -> DataError:
    return DataError(f"it unpacks to more than {MOST_BYTES >> 20:,} MiB")


def _entered(folder: Path) -> Path:
    """The folder in it that is the submission; DataError where it is not one."""
    entered = folder
    while True:
        names = sorted(path.name for path in entered.iterdir() if path.name not in MAC_LEFTOVERS)
        only = entered / names[0] if len(names) == 1 else None
        if only is None or only.is_symlink() or not only.is_dir():
            break
        entered = only
    if only is not None and is_archive(only):
        raise DataError(f"it holds one more archive and nothing else, {only.relative_to(folder).as_posix()}")
    if not (entered / DECLARATION).is_file():
        found = submissions_below(folder)
        if len(found) > 1:
            raise DataError(several_told(found))
    return entered
