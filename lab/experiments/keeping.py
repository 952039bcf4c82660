"""Finished parts of an experiment, kept in a folder, so that a run that was stopped goes on where it was.

Strategy: a part is a JSON value in a file of its own (saved_points.py), named by what it is and by the digest
of its key and of everything that all parts depend on: the contents of the inputs, the options, the version.
Other inputs or options never meet a stale part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ...compiler.checkpoints.folder import source_files
from ...runtime.tokenizers import tokenizer_files
from ...version import VERSION
from ..measure.saved_points import SavedPoints, digest_of

READ = {"checkpoint": source_files, "tokenizer": tokenizer_files}  # by name of a path that stands for several files


class KeptParts:
    """The parts of one experiment on one set of inputs.

    basis : what every part depends on, as JSON values; paths stand for the contents of their files, those of a
        checkpoint and of a tokenizer for all files they are read from
    """

    def __init__(self, folder: Path, basis: Mapping[str, object]) -> None:
        self.folder, self.basis = folder, basis

    @cached_property
    def _digest(self) -> str:
        files = {name: value for name, value in sorted(self.basis.items()) if isinstance(value, Path)}
        options = {name: value for name, value in self.basis.items() if name not in files}
        read = [each for name, path in files.items() for each in READ.get(name, _itself)(path)]
        return digest_of(read, {"version": VERSION, "files": list(files), **options})

    def part(self, name: str, key: Mapping[str, object], measure: Callable[[], Any]) -> Any:
        """What `measure` returns, a JSON value, or what an earlier run kept of it.

        Raises OutputError when it cannot be kept.
        """
        written = self._digest + json.dumps(key, sort_keys=True)
        file = f"{name}-{hashlib.sha256(written.encode()).hexdigest()[:16]}"
        saved = SavedPoints(self.folder, "")
        kept = saved.load(file, _as_kept)
        if kept is None:
            kept = json.loads(json.dumps({"key": key, "value": measure()}, allow_nan=False))
            saved.save(file, kept)
        return kept["value"]


def _itself(path: Path) -> list[Path]:
    return [path]


def _as_kept(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `part` kept, a key and a value; LookupError or TypeError for anything else."""
    return {"key": document["key"], "value": document["value"]}
