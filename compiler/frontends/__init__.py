"""From a checkpoint to a model: the frontends and how one is chosen."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import CheckpointError
from ..checkpoints.checkpoint import Checkpoint
from ..model.model import Model
from .architecture_file import FRONTEND_KEY, read_architecture
from .registry import FRONTENDS, Frontend

__all__ = ["FRONTENDS", "build_model", "read_architecture"]


def build_model(checkpoint: Checkpoint, architecture: Mapping[str, object] | None = None) -> Model:
    """The program and tensors of a checkpoint.

    Hyperparameters come from `architecture` (as `read_architecture` gives it, or a model's own
    `architecture`), else from the tensors' shapes, else from defaults, which the model lists. Raises
    CheckpointError when no frontend knows the tensor names, when hyperparameters are unknown or out of
    range, and, listing missing, unexpected and misshapen tensors, when the checkpoint does not fit.
    """
    architecture = dict(architecture or {})
    return _chosen(checkpoint, architecture).build(checkpoint, architecture)


def _named(name: object) -> Frontend:
    if not isinstance(name, str) or name not in FRONTENDS:
        raise CheckpointError(f"architecture: frontend {name!r} is unknown; known are {', '.join(sorted(FRONTENDS))}")
    return FRONTENDS[name]


def _chosen(checkpoint: Checkpoint, architecture: Mapping[str, object]) -> Frontend:
    if FRONTEND_KEY in architecture:
        return _named(architecture[FRONTEND_KEY])
    best = max(FRONTENDS.values(), key=lambda frontend: frontend.recognize(checkpoint.tensors))
    if best.recognize(checkpoint.tensors) == 0:
        first = ", ".join(list(checkpoint.tensors)[:3])
        known = ", ".join(sorted(FRONTENDS))
        raise CheckpointError(
            f"{checkpoint.path}: no frontend knows these tensors ({first}, ...); known architectures are {known}"
        )
    return best
