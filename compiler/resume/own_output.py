"""The files that a compile writes, which a run that was killed after writing them may find there and write again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ...files.digests import file_sha256
from ...files.output import check_output, write_output
from .work_folder import OUTPUT, Memory


@dataclass(frozen=True, slots=True)
class OwnOutputs:
    """Where an artifact goes, and what is made of it.

    memory : of runs with the same command;  paths : of all files;  force : whether what is there may be replaced

    The digests of all files are one state, so that a run that ends well and is killed while it forgets them has
    forgotten all or none.
    """

    memory: Memory
    paths: tuple[Path, ...]
    force: bool

    def check(self) -> None:
        """Refuse, before the work, a path that cannot be written. Raises OutputError."""
        for path in self.paths:
            check_output(path, self._may_replace(path))

    def write(self, path: Path, data: bytes) -> None:
        """Write one of the files, whole or not at all; that it is this run's is kept before. Raises OutputError."""
        may_replace = self._may_replace(path)
        self.memory.keep(OUTPUT, state=self._made() | {str(path): hashlib.sha256(data).hexdigest()})
        write_output(path, data, may_replace)

    def _made(self) -> dict[str, str]:
        """Digests of what runs with the same command have written, by path."""
        return dict(self.memory.recall(OUTPUT) or {})

    def _may_replace(self, path: Path) -> bool:
        return self.force or (path.is_file() and self._made().get(str(path)) == file_sha256(path))
