"""Weights that a module computes from others of its tensors: pruned ones and those under weight norm, made whole.

Strategy: torch's own ways of doing that are told by the names that they give: `weight_orig` and `weight_mask` of
pruning, `weight_g` and `weight_v` of the older weight norm, `parametrizations.weight.original0` and `1` of the newer.
What they stand for is what the module computes with. Another parametrization is named, with the way out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ...errors import CheckpointError
from ...files.listing import counted, listed
from .stored import Stored

PRUNED, NORMED = "pruned", "under weight norm"
WAYS = {PRUNED: ("_orig", "_mask"), NORMED: ("_g", "_v")}  # what is behind the names of the two that make a weight
PARAMETRIZED = re.compile(r"(?P<module>.+\.)?parametrizations\.(?P<name>\w+)\.(?P<rest>.+)")
NEWER = ("original0", "original1")
WAY_OUT = "torch.nn.utils.parametrize.remove_parametrizations makes it an ordinary one; save the state_dict after that"


def without_parametrizations(tensors: Mapping[str, Stored], path: Path) -> tuple[dict[str, Stored], tuple[str, ...]]:
    """The tensors with each such weight under its own name, and what was done, in words.

    Raises CheckpointError for parametrizations that are none of these.
    """
    made: dict[str, tuple[str, Stored]] = {}  # by the first of the two
    done: dict[str, list[str]] = {}
    gone: set[str] = set()
    for weight, first, second, way in _pairs(tensors):
        values = _made(tensors[first], tensors[second], way)
        if values is not None and weight not in tensors:
            made[first] = weight, Stored(values, tensors[first].dtype if way == PRUNED else "float32")
            done.setdefault(way, []).append(weight)
            gone.add(second)
    left = [name for name in tensors if PARAMETRIZED.fullmatch(name) and name not in gone | made.keys()]
    if left:
        raise CheckpointError(
            f"{path} holds weights that a parametrization of the module computes ({listed(left)}), which is not known "
            f"here; {WAY_OUT}"
        )
    pairs = (made.get(name, (name, tensor)) for name, tensor in tensors.items() if name not in gone)
    return dict(pairs), tuple(f"{counted(len(of))} {way}, made whole: {listed(of)}" for way, of in done.items())


def _pairs(tensors: Mapping[str, Stored]) -> Iterator[tuple[str, str, str, str]]:
    """(name of the weight, first and second of what it is made of, the way)"""
    for name in tensors:
        match = PARAMETRIZED.fullmatch(name)
        if match and match["rest"] == NEWER[0]:
            second = name.removesuffix(NEWER[0]) + NEWER[1]
            if second in tensors:
                yield (match["module"] or "") + match["name"], name, second, NORMED
        for way, (one, other) in WAYS.items():
            weight = name.removesuffix(one)
            named = way == PRUNED or weight.endswith("weight")
            if weight != name and named and weight + other in tensors:
                yield weight, name, weight + other, way


def _made(first: Stored, second: Stored, way: str) -> np.ndarray | None:
    """float32 values of a weight; None where the two do not fit."""
    if not first.is_float or first.values is None or second.values is None:
        return None
    if way == PRUNED:
        mask = np.asarray(second.values, np.float32)
        fits = mask.shape == first.shape and bool(((mask == 0) | (mask == 1)).all())
        return first.values * mask if fits else None
    if not second.is_float or first.values.ndim != second.values.ndim or first.values.ndim < 2:
        return None
    kept = tuple(axis for axis, size in enumerate(first.shape) if size == 1)
    if any(size not in (1, other) for size, other in zip(first.shape, second.shape, strict=True)):
        return None
    lengths = np.sqrt(np.square(second.values, dtype=np.float64).sum(kept, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(second.values * (first.values / lengths), np.float32)
