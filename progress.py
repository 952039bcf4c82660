"""How long work reports how far it is: two shapes of callback that every layer shares.

Strategy: work calls back and never prints. Whoever runs several stages takes a `Progress`; one
stage by itself takes a `StageProgress` and does not know its own name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

Progress = Callable[[str, int, int], None]  # (stage, done, total); a total of 0: the end is not known
StageProgress = Callable[[int, int], None]  # (done, total)


def silent(stage: str, done: int, total: int) -> None:
    """The `Progress` of a caller who does not ask."""


def silent_stage(done: int, total: int) -> None:
    """The `StageProgress` of a caller who does not ask."""


def stage_of(progress: Progress | None, stage: str) -> StageProgress | None:
    """`progress` with the stage filled in; None where nobody asks."""
    return None if progress is None else partial(progress, stage)
