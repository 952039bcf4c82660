"""Which tensors of a checkpoint are read: one of several sets of weights, without names that the caller leaves out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ...errors import CheckpointError
from .listing import listed


@dataclass(frozen=True, slots=True)
class Selection:
    """weights : name of a set of weights, where a file holds several (`ema`); None: the usual one
    ignore : names of tensors to leave out, with * and ? as in a shell
    """

    weights: str | None = None
    ignore: tuple[str, ...] = ()

    def left_out(self, names: Iterable[str], path: Path) -> list[str]:
        """The names that `ignore` means. CheckpointError for a pattern that means none, most likely misspelled."""
        names = list(names)
        for pattern in self.ignore:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise CheckpointError(
                    f"{path} has no tensor {pattern!r} to leave out; there are {listed(names)}", argument="ignore"
                )
        return [name for name in names if any(fnmatchcase(name, pattern) for pattern in self.ignore)]


EVERYTHING = Selection()
