"""What callers may write for a path or a size, and what it becomes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CapError
from ..files.sizes import parse_size

if TYPE_CHECKING:
    from ..compiler.checkpoints.selection import Selection
    from ..runtime.scoring_budget import ScoringBudget

PathLike = str | os.PathLike[str]


def optional_path(path: PathLike | None) -> Path | None:
    """The path, or None where none was given."""
    return None if path is None else Path(path)


def paths_of(data: PathLike | Sequence[PathLike] | None) -> list[str]:
    """One or several paths, patterns or "-" as a list; empty for None."""
    if data is None:
        return []
    return [str(data)] if isinstance(data, str | os.PathLike) else [str(path) for path in data]


def selection_of(weights: str | None, ignore: Sequence[str], rename: Sequence[str]) -> Selection:
    """Which tensors of a checkpoint are read, and by which names."""
    from ..compiler.checkpoints.selection import Selection

    several = ((given,) if isinstance(given, str) else tuple(given) for given in (ignore, rename))
    return Selection(weights, *several)


def size_in_bytes(size: int | str) -> int:
    """Bytes of a size given as a number or as a text such as "16MB"; CapError for a text that is not a size."""
    try:
        return parse_size(size) if isinstance(size, str) else size
    except ValueError as error:
        raise CapError(str(error)) from error


def budget_of(seconds: float | None, memory: int | str | None) -> ScoringBudget:
    """What scoring may take; 0 as None, no limit of its own."""
    from ..runtime.scoring_budget import ScoringBudget

    return ScoringBudget(seconds or None, (None if memory is None else size_in_bytes(memory)) or None)
