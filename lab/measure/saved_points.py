"""Finished parts of a long measurement in a folder, so that a run that was stopped goes on and loses nothing.

Strategy: one JSON file a part, written whole or not at all, in a subfolder named by the digest of
everything that the parts depend on. A file that is not the JSON of a part (a full disk, another hand)
counts as not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ...compiler.frontends.architecture_file import is_preset
from ...errors import OutputError
from ...files.digests import file_sha256
from ...files.nested_text import parse_json
from ...files.output import write_output

Part = TypeVar("Part")


class SavedPoints:
    """Parts by name in `folder`, or nowhere when it is None."""

    def __init__(self, folder: Path | None, digest: str) -> None:
        """OutputError when the folder cannot be made."""
        self.folder = None if folder is None else folder / digest
        try:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {self.folder}: {error.strerror or error}; name another folder") from error

    def load(self, name: str, read: Callable[[Any], Part]) -> Part | None:
        """What `read` makes of a finished part; None when it is not there, or is none that `read` knows."""
        if self.folder is None:
            return None
        try:
            return read(parse_json((self.folder / f"{name}.json").read_bytes()))
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            return None

    def save(self, name: str, part: Mapping) -> None:
        """Keep a finished part; OutputError when it cannot be written."""
        if self.folder is not None:
            write_output(
                self.folder / f"{name}.json", (json.dumps(part, indent=1, allow_nan=False) + "\n").encode(), force=True
            )


def digest_of(files: Sequence[Path | None], options: Mapping[str, object]) -> str:
    """First 16 hex digits of the SHA-256 over the files' contents, in order, and the options; what is
    None differs from any file.
    """
    total = hashlib.sha256()
    for path in files:
        if path is None:
            total.update(b"none")
            continue
        if is_preset(path):
            total.update(str(path).encode())
            continue
        total.update(bytes.fromhex(file_sha256(path)))
    total.update(json.dumps(options, sort_keys=True).encode())
    return total.hexdigest()[:16]
