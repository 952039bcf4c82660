"""The kinds of checkpoint that can become a program.

Strategy: a frontend knows one family of state_dicts: which names it uses, how to turn tensors and hyperparameters into
a program, and how to start such a model afresh. One registry by name; `build_model` picks by the names it finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np

from ..checkpoints.checkpoint import Checkpoint
from ..model.model import Model


class Frontend(Protocol):
    """What a family of architectures offers."""

    name: str

    def recognize(self, names: Iterable[str]) -> int:
        """How many of the tensor names belong to this family."""

    def build(self, checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
        """The model of a checkpoint; CheckpointError when tensors and hyperparameters do not fit."""

    def initial_state(self, architecture: Mapping[str, object], seed: int) -> dict[str, np.ndarray]:
        """Fresh float32 weights of an architecture, a function of the arguments alone."""


FRONTENDS: dict[str, Frontend] = {}


def register_frontend(frontend: Frontend) -> Frontend:
    """Add a frontend under its name; ValueError when the name is taken."""
    if frontend.name in FRONTENDS:
        raise ValueError(f"frontend {frontend.name!r} is registered already")
    FRONTENDS[frontend.name] = frontend
    return frontend
