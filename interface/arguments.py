"""What callers may write for a path or a size, and what it becomes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CapError, CompileError, DataError, WrongTypeError
from ..files.sizes import parse_size
from .argument_types import described, is_whole

if TYPE_CHECKING:
    from ..compiler.checkpoints.selection import Selection
    from ..runtime.scoring_budget import ScoringBudget

PathLike = str | os.PathLike[str]
MOST_BITS = 16


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

    return Selection(weights, tuple(texts_of(ignore)), tuple(texts_of(rename)))


def texts_of(given: str | Sequence[str]) -> list[str]:
    """Several texts; one alone is not taken for its letters."""
    return [given] if isinstance(given, str) else list(given)


def size_in_bytes(size: float | str) -> int:
    """Bytes of a size given as a number, 16e6, too, or as a text such as "16MB"; CapError for a text that is not a
    size and a number below 0, WrongTypeError for what is neither.
    """
    if isinstance(size, float) and size.is_integer():
        size = int(size)
    if not isinstance(size, str) and not is_whole(size):
        raise WrongTypeError(f"a size is {described(size)}; give bytes as a whole number, or a text such as '16MB'")
    try:
        found = parse_size(size) if isinstance(size, str) else int(size)
    except ValueError as error:
        raise CapError(str(error)) from error
    if found < 0:
        raise CapError(f"{found} bytes are no size; give a number that is not negative")
    return found


def budget_of(seconds: float | None, memory: int | str | None) -> ScoringBudget:
    """What scoring may take; 0 as None, no limit of its own."""
    from ..runtime.scoring_budget import ScoringBudget

    return ScoringBudget(seconds or None, (None if memory is None else size_in_bytes(memory)) or None)


def beginning_of(bos: int | str | None) -> int | None:
    """The id of the token before each document, NO_TOKEN for none, None where nobody said; else DataError."""
    from ..runtime.tokens import NO_TOKEN

    if bos == "none":
        return NO_TOKEN
    if bos is None:
        return None
    with suppress(ValueError):
        if int(bos) >= 0:
            return int(bos)
    raise DataError(f"{bos!r} is no token that begins documents; give its id, or none")


def reading_of(documents: str) -> str:
    """How documents are read; DataError for another word."""
    from ..runtime.evaluation import AUTO, JOINED, SEPARATE

    if documents not in (AUTO, JOINED, SEPARATE):
        raise DataError(f"documents are '{JOINED}', '{SEPARATE}' or '{AUTO}', not {documents!r}")
    return documents


def refuse_bits(bits: float, least: float, *, or_none: bool = False) -> None:
    """CompileError for bits a weight that are none: at least so many, at most 16, or 0 where weights may be removed."""
    if not least <= bits <= MOST_BITS and not (or_none and bits == 0):
        zero = "0 to remove, or " if or_none else ""
        raise CompileError(f"bits are {bits}; give {zero}{least} to {MOST_BITS}")
