"""Which files are archives of a submission: by their names alone, since a checkpoint is a zip file, too."""

from __future__ import annotations

from pathlib import Path

COMPRESSIONS = {"": "", ".gz": "gzip", ".xz": "xz", ".bz2": "bzip2", ".zst": "zstd"}
SHORT_SUFFIXES = {".tgz": "gzip", ".txz": "xz", ".tbz2": "bzip2", ".tzst": "zstd"}
NOT_OPENED = (".7z", ".rar", ".gz", ".xz", ".bz2", ".zst", ".jar", ".cab", ".lzh")


def archive_kind(path: Path) -> str | None:
    """ "zip", "tar", or "tar.gzip" and its like, by the end of a name; None for what is no archive."""
    name = path.name.lower()
    if name.endswith(".zip"):
        return "zip"
    known = {**{f".tar{end}": word for end, word in COMPRESSIONS.items()}, **SHORT_SUFFIXES}
    word = next((word for end, word in known.items() if name.endswith(end)), None)
    return None if word is None else f"tar.{word}".rstrip(".")


def is_archive(path: Path) -> bool:
    """Whether `path` is a file that is named as an archive which is opened here."""
    return archive_kind(path) is not None and path.is_file()


def is_submission(path: Path) -> bool:
    """Whether `path` is judged as a submission: a folder, or an archive of one."""
    return path.is_dir() or is_archive(path)


def is_other_archive(path: Path) -> bool:
    """Whether `path` is named as an archive of a kind that is not opened here."""
    return archive_kind(path) is None and path.name.lower().endswith(NOT_OPENED)
