"""How checkpoints are compiled, whichever they are and under whatever cap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .checkpoints.selection import EVERYTHING, Selection
from .effort import DEFAULT_EFFORT


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """As `compile_checkpoint` takes them.

    work : folder in which a run that was killed goes on;  keep_work : whether what is kept there outlives the run
    reproducible : the libraries are held to common_baseline.py, for which the process must be pinned
    """

    calibration: Path | str
    tokenizer: Path | str | None = None
    code: Sequence[Path | str] = ()
    evaluation: Sequence[Path | str] = ()
    evaluation_tokens: int | None = None
    architecture: Path | str | None = None
    selection: Selection = EVERYTHING
    recipe: str | Path = "default"
    effort: int = DEFAULT_EFFORT
    profile: str = "default"
    device: str = "cpu"
    seed: int = 0
    threads: int | None = None
    explain: bool = False
    work: Path | str | None = None
    keep_work: bool = False
    reproducible: bool = False
