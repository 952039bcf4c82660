"""The output of a compile, which a run that was killed after writing it may find there and write again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ...files.digests import file_sha256
from ...files.output import check_output, write_output
from .work_folder import OUTPUT, Memory


@dataclass(frozen=True, slots=True)
class OwnOutput:
    """Where an artifact goes.

    memory : of runs with the same command;  path : None for nowhere;  force : whether what is there may be replaced
    """

    memory: Memory
    path: Path | str | None
    force: bool

    def check(self) -> None:
        """Refuse, before the work, a path that cannot be written. Raises OutputError."""
        if self.path is not None:
            check_output(self.path, self._may_replace())

    def write(self, artifact: bytes) -> None:
        """Write the artifact, whole or not at all; that it is this run's is kept before. Raises OutputError."""
        if self.path is not None:
            may_replace = self._may_replace()
            self.memory.keep(OUTPUT, str(self.path), state=hashlib.sha256(artifact).hexdigest())
            write_output(self.path, artifact, may_replace)

    def _may_replace(self) -> bool:
        path = Path(str(self.path))
        made = self.memory.recall(OUTPUT, str(self.path))
        return self.force or (made is not None and path.is_file() and file_sha256(path) == made)
