"""Biases that a file has and the code of its model type does not read.

Strategy: a rule says of every part of a model whether it has a bias: always, never, or as a key of the configuration
says. transformers leaves out what it does not expect, with a warning among others, and llama.cpp often reads it; so a
file with such biases is one model here and another there, and is refused, unless they are zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...errors import CheckpointError
from ...files.listing import listed
from ..checkpoints.checkpoint import Checkpoint

Rule = bool | tuple[str, bool]  # whether there is a bias; or the key that says it, and what silence means


def refuse_unread(
    checkpoint: Checkpoint,
    family: str,
    rules: Mapping[str, Rule],
    values: Mapping[str, object],
    biases: Iterable[tuple[str, str]],
) -> None:
    """Raises CheckpointError for a bias that is not zero where the `family` or the configuration's `values` exclude it.

    rules : by part; what is not there has a bias;  biases : name of the tensor and the part that it belongs to
    """
    found: dict[Rule, list[str]] = {}
    for name, part in biases:
        rule = rules.get(part, True)
        if not _has(rule, values) and checkpoint.tensors[name].any():
            found.setdefault(rule, []).append(name)
    for rule, names in found.items():
        source = "" if checkpoint.configuration is None else checkpoint.configuration.source
        raise CheckpointError(
            f"{checkpoint.path} holds {listed(names)}, which a {family!r} by {source} does not have, so that other "
            f"programs leave them out; {_way_out(rule)}"
        )


def _has(rule: Rule, values: Mapping[str, object]) -> bool:
    return rule if isinstance(rule, bool) else bool(values.get(rule[0], rule[1]))


def _way_out(rule: Rule) -> str:
    kept = "name the model type whose code has them" if isinstance(rule, bool) else f'say "{rule[0]}": true in it'
    return f"{kept} if they belong to the model, or leave them out here, too (--ignore)"
