"""The kinds of checkpoint that can become a program.

Strategy: a frontend knows one family of state_dicts: which names it uses, and how to turn tensors and
hyperparameters into a program. One tuple of them, by name; `build_model` picks by the tensor names that
it finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from ...format.registry import keyed
from ..checkpoints.checkpoint import Checkpoint
from ..model.model import Model
from .parameter_golf import ParameterGolf


class Frontend(Protocol):
    """What a family of architectures offers."""

    name: str

    def recognize(self, names: Iterable[str]) -> int:
        """How many of the tensor names belong to this family."""

    def build(self, checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
        """The model of a checkpoint; CheckpointError when tensors and hyperparameters do not fit."""


FRONTENDS: dict[str, Frontend] = keyed((ParameterGolf(),), "name")
