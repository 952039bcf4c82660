"""Finished parts of an experiment, kept in a folder, so that a run that was stopped goes on where it was.

Strategy: a part is one JSON document in a file of its own, named by what it is and by the digest of everything it depends on:
the contents of the inputs, the options, the version. Files are written whole or not at all, so whatever is there is finished;
other inputs or options give other names and never meet a stale part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ...format.errors import OutputError
from ...format.output import write_output
from ...format.version import VERSION


class KeptParts:
    """The parts of one experiment on one set of inputs.

    basis : what every part depends on, as JSON values; paths stand for the contents of their files
    """

    def __init__(self, folder: Path, basis: Mapping[str, object]) -> None:
        self.folder, self.basis = folder, basis

    @cached_property
    def _prefix(self) -> str:
        contents = {name: file_digest(value) if isinstance(value, Path) else value for name, value in self.basis.items()}
        return json.dumps({"version": VERSION, **contents}, sort_keys=True)

    def part(self, name: str, key: Mapping[str, object], measure: Callable[[], Any]) -> Any:
        """What `measure` returns, a JSON value, or what an earlier run kept of it; raises OutputError when it cannot be kept."""
        digest = hashlib.sha256((self._prefix + json.dumps({"part": name, **key}, sort_keys=True)).encode()).hexdigest()[:16]
        path = self.folder / f"{name}-{digest}.json"
        if path.is_file():
            return json.loads(path.read_text("utf-8"))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {self.folder}: {error.strerror or error}") from error
        found = measure()
        write_output(path, json.dumps(found, allow_nan=False).encode(), force=True)
        return json.loads(json.dumps(found))


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
