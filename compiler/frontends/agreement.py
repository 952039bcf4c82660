"""Whether those who tell the hyperparameters of a checkpoint agree: one sentence for every family."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ...errors import CheckpointError
from ...files.printable import shown_value
from ..checkpoints.checkpoint import Checkpoint

EVALUATED_LENGTH = 1024  # longer contexts are possible, and evaluated at this length unless one says otherwise
SHAPES, CALLER = "shapes", "architecture"  # who told, where no file did

Of = TypeVar("Of")  # the hyperparameters of one frontend


@dataclass(frozen=True, slots=True)
class Resolved(Generic[Of]):
    """The hyperparameters of a model, who told each, and the names of those that are assumed."""

    hyperparameters: Of
    told: Mapping[str, str]
    assumed: tuple[str, ...]


def who_told(
    names: Iterable[str],
    told: Collection[str],
    source: str,
    shapes: Collection[str],
    given: Collection[str],
) -> dict[str, str]:
    """Who told each of the hyperparameters `names` that somebody told: the caller, else the shapes, else `source`."""
    origins = dict.fromkeys(told, source) | dict.fromkeys(shapes, SHAPES) | dict.fromkeys(given, CALLER)
    return {name: origins[name] for name in names if name in origins}


def require(condition: bool, message: str) -> None:
    """Raises CheckpointError with `message`, as one about the architecture, unless the condition holds."""
    if not condition:
        raise CheckpointError(f"architecture: {message}")


def refuse_contradictions(
    checkpoint: Checkpoint, shapes: Mapping[str, object], told: Mapping[str, object], source: str
) -> None:
    """Raises CheckpointError where `source` told something else than the shapes of the tensors do."""
    wrong = [name for name in shapes if told.get(name, shapes[name]) != shapes[name]]
    if wrong:
        says, say = ([f"{name} {values[name]}" for name in wrong] for values in (told, shapes))
        raise CheckpointError(
            f"{checkpoint.path}: {source} says {', '.join(says)}, the tensors say {', '.join(say)}; "
            "give the configuration of this checkpoint, or what is right in an --architecture file"
        )


def refuse_foreign(source: str, foreign: Mapping[str, object], family: str) -> None:
    """Raises CheckpointError where `source` says arguments of a model that the code of its family does not have."""
    if foreign:
        said = ", ".join(f"{name} {shown_value(value)}" for name, value in foreign.items())
        raise CheckpointError(
            f"{source} says {said}, which the code of {family} has not: the model may compute otherwise; if it does "
            f'not, say family = "{family}" in an --architecture file'
        )


def refuse_zeros(values: Mapping[str, object], names: Sequence[str], source: str) -> None:
    """Raises CheckpointError for a 0 that may mean none: its code divides by it, or sees nothing through it."""
    for name in names:
        if values.get(name) == 0 and not isinstance(values[name], bool):
            raise CheckpointError(f"{source} says {name} 0, with which its code computes no model; say null for none")


def require_grouped_heads(heads: int, kv_heads: int) -> None:
    """Raises CheckpointError unless key-value heads serve equal groups of query heads."""
    require(heads % kv_heads == 0, f"num_key_value_heads {kv_heads} does not divide num_attention_heads {heads}")


def require_token(boundary_token: int, vocab_size: int) -> None:
    """Raises CheckpointError for a boundary token that the vocabulary has not."""
    require(boundary_token < vocab_size, f"boundary_token {boundary_token} is not below vocab_size {vocab_size}")


def require_layers(name: str, named: Sequence[int], layers: int) -> None:
    """Raises CheckpointError when a list of layers names one that is not there."""
    beyond = [layer for layer in named if layer >= layers]
    require(not beyond, f"{name} names layer {beyond[:1]}, but num_hidden_layers is {layers}")
