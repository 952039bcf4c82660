"""The kinds of checkpoint that can become a program.

Strategy: a frontend knows one family of state_dicts: which names it uses, and how to turn tensors and
hyperparameters into a program. One tuple of them, by name; `build_model` picks by the tensor names that
it finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from ...format.program.program import Program
from ...format.registry import keyed
from ..checkpoints.checkpoint import Checkpoint
from ..model.model import Model, ModelTensor
from .gpt import Gpt
from .llama import Llama
from .mamba import Mamba
from .modded_nanogpt import ModdedNanogpt
from .nanochat import Nanochat
from .parameter_golf.frontend import ParameterGolf


class Frontend(Protocol):
    """What a family of architectures offers."""

    name: str
    model_types: tuple[str, ...]  # of Hugging Face's config.json

    def recognize(self, names: Iterable[str]) -> int:
        """How many of the tensor names belong to this family."""

    def build(self, checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Model:
        """The model of a checkpoint; CheckpointError when tensors and hyperparameters do not fit."""

    def restore(self, program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
        """The tensors as the checkpoint had them, with its names, shapes and types, from those that a program
        of this family reads. There may be fewer (parts joined again) or others.
        """


FRONTENDS: dict[str, Frontend] = keyed((ParameterGolf(), Llama(), Gpt(), Nanochat(), ModdedNanogpt(), Mamba()), "name")
