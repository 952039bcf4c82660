"""SHA-256 of files and folders, which names what a result was made of."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_sha256(path: Path | str) -> str:
    """The digest of a file's contents as 64 hex digits; of a folder, over the names and digests of its files.

    Raises OSError when it cannot be read.
    """
    if Path(path).is_dir():
        files = sorted(each for each in Path(path).iterdir() if each.is_file())
        names = "".join(f"{file_sha256(each)}  {each.name}\n" for each in files)
        return hashlib.sha256(names.encode()).hexdigest()
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
