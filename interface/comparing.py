"""Two artifacts side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..progress import Progress
from .arguments import PathLike
from .evaluating import evaluate

if TYPE_CHECKING:
    from ..format.comparison import Comparison
    from ..runtime.scoring import Gap, Score


@dataclass(frozen=True, slots=True)
class Difference:
    """How two artifacts differ.

    comparison : Comparison           bytes, tensors, program and provenance
    scores : pair of Score or None    of the first and the second on the same text, when it was given
    gap : Gap or None                 the second less the first in mBPB, with the standard error over sequences
    """

    comparison: Comparison
    scores: tuple[Score, Score] | None = None
    gap: Gap | None = None


def diff(
    first: PathLike,
    second: PathLike,
    *,
    data: Sequence[PathLike] = (),
    tokenizer: PathLike | None = None,
    max_tokens: int | None = None,
    progress: Progress | None = None,
) -> Difference:
    """Compare two artifacts; with `data` (as of `evaluate`) score both on it.

    Raises ArtifactError, and with data what `evaluate` raises.
    """
    from ..format.comparison import compare_artifacts

    comparison = compare_artifacts(Path(first).read_bytes(), Path(second).read_bytes())
    if not data:
        return Difference(comparison)
    scored = evaluate(
        second, data=list(data), tokenizer=tokenizer, max_tokens=max_tokens, against=first, progress=progress
    )
    if scored.reference is None:
        return Difference(comparison)
    return Difference(comparison, (scored.reference, scored.score), scored.gap)
