"""The sets of weights in what `torch.save` wrote, and which of them is read.

Strategy: a set is a mapping from names to tensors, at the top or under keys (`model`, `ema.module`); the state of an
optimizer is none. One is read: the one that the caller names, else the first by the usual order of names, in which
averaged weights come after the trained ones. When there are several, that is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from ...files.listing import listed
from .torch_file import Foreign

USUAL_ORDER = ("model", "state_dict", "model_state_dict", "model_state", "module", "net", "params", "weights")
OPTIMIZER_KEYS = {"state", "param_groups"}
NO_SETS = re.compile(r".*(optim|sched|scaler|rng|amp|grad).*")
WHOLE_FILE = ""  # the name of a set that is the content itself
DEPTH = 3


def weight_sets(content: object) -> dict[str, Mapping[str, Any]]:
    """Every set by its name, in the order of the file; under WHOLE_FILE the content itself where nothing else is one.

    Names of tensors are texts, and at least half of the values are tensors, so that what disturbs can be named.
    """
    found = dict(_sets_within(content, WHOLE_FILE, DEPTH)) if isinstance(content, Mapping) else {}
    found = {**_trees(content, found), **found}
    return found or ({WHOLE_FILE: content} if isinstance(content, Mapping) and _is_set(content) else {})


def _sets_within(content: Mapping[Any, Any], name: str, depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in content.items():
        if not isinstance(value, Mapping) or not isinstance(key, str) or NO_SETS.fullmatch(key.lower()):
            continue
        inner = f"{name}.{key}" if name else key
        if _is_set(value):
            yield inner, value
        elif depth and not value.keys() >= OPTIMIZER_KEYS:
            yield from _sets_within(value, inner, depth - 1)


def _trees(content: object, sets: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """By key whose tensors lie in tables within tables, as Megatron's do: all of them, named by their way there.

    Tables that hold mostly the same names are several models.
    """
    found = {}
    for key in USUAL_ORDER if isinstance(content, Mapping) else ():
        inner = [frozenset(names) for name, names in sets.items() if name.startswith(f"{key}.")]
        whole = [names for names in inner if any("." in name for name in names)]  # as those of a model are
        copies = any(2 * len(one & other) > min(len(one), len(other)) for one, other in combinations(whole, 2))
        if len(inner) > 1 and not copies:
            found[key] = dict(_leaves(content[key], ()))  # type: ignore[index]
    return found


def _leaves(content: Mapping[Any, Any], way: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and len(way) <= DEPTH:
            yield from _leaves(value, (*way, str(key)))
        else:
            yield ".".join((*way, str(key))), value


def _is_set(value: Mapping[Any, Any]) -> bool:
    import torch

    tensors = sum(isinstance(each, torch.Tensor) for each in value.values())
    return 2 * tensors >= len(value) > 0 and tensors > 0


def chosen_set(content: object, wanted: str | None, path: Path) -> tuple[str, Mapping[str, Any], tuple[str, ...]]:
    """(name, tensors, names of the others). Raises CheckpointError where there is no set, or not the wanted one."""
    sets = weight_sets(content)
    if isinstance(content, Mapping) and content.keys() >= OPTIMIZER_KEYS:
        raise CheckpointError(
            f"{path} holds the state of an optimizer, not of a model; give the file of the model's state_dict"
        )
    if not sets:
        raise CheckpointError(f"{path} holds {_held(content)}, not a state_dict; {_way_out(content, path)}")
    named = [name for name in sets if name]
    if wanted is not None and wanted not in named:
        there = f"the sets {', '.join(named)}" if named else "one set without a name; leave out --weights"
        raise CheckpointError(f"{path} has no set of weights {wanted!r}; it holds {there}", argument="weights")
    name = wanted if wanted is not None else min(sets, key=_rank)
    return name, sets[name], tuple(other for other in sets if other != name and not other.startswith(f"{name}."))


def _rank(name: str) -> int:
    first = name.split(".")[0]
    averaged = len(USUAL_ORDER) + 1 if "ema" in name.lower() or "avg" in name.lower() else len(USUAL_ORDER)
    return USUAL_ORDER.index(first) if first in USUAL_ORDER and "ema" not in name.lower() else averaged


def check_names(state: Mapping[Any, Any], path: Path) -> None:
    """Refuse a set in which a key is no name."""
    for name, value in state.items():
        if not isinstance(name, str):
            raise CheckpointError(
                f"{path}: {name!r} is {_described(value)}, not a tensor; save model.state_dict() alone"
            )


def _is_whole_model(value: object) -> bool:
    return isinstance(value, Foreign) and value.values is not None and "_modules" in value.values


def _way_out(content: object, path: Path) -> str:
    """What to do with a file in which no set of weights is; of a whole model, in the lines that do it."""
    keys = [key for key, value in content.items() if _is_whole_model(value)] if isinstance(content, Mapping) else []
    if not keys and not _is_whole_model(content):
        return "save model.state_dict()"
    taken = f"[{keys[0]!r}]" if keys else ""
    return (
        "no code of a file is run here, so save its weights alone where its code is, with the two lines "
        f'model = torch.load("{path.name}", weights_only=False){taken} and '
        f'torch.save(model.state_dict(), "{path.stem}-weights.pt")'
    )


def _held(content: object) -> str:
    plain = _described(content)
    return f"what is {plain}" if plain.startswith("of type") else plain


def _described(value: object) -> str:
    if isinstance(value, Foreign):
        if _is_whole_model(value):
            return f"a whole pickled model ({value.origin}), which is code and weights in one"
        return value.origin
    if isinstance(value, Mapping):
        if not value:
            return f"an empty {type(value).__name__}"
        whole = [f"{key!r}: {_described(each)}" for key, each in value.items() if _is_whole_model(each)]
        if whole:
            return f"no weights but under {whole[0]}"
        kinds = [f"{key} ({kind_of(each)})" for key, each in value.items()]
        return f"{len(kinds)} values of which none is a set of weights: {listed(kinds)}"
    return f"of type {type(value).__name__}"


def kind_of(value: object) -> str:
    """The type of a value in words."""
    return value.origin if isinstance(value, Foreign) else type(value).__name__
