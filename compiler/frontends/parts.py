"""Tensors that a program reads otherwise than a checkpoint stores them: parts of fused projections and of banks of
matrices, and gains that are stored less 1.

Strategy: the name says what was done. `NAME[64:96]` are rows 64 to 95 of NAME, `NAME[3]` is the fourth matrix of a
bank, and `NAME+1` is NAME plus 1. So an artifact needs nothing else to give the stored tensor back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...errors import CheckpointError
from ..model.model import ModelTensor

ONE = "+1"
PART = re.compile(r"(?P<whole>.+)\[(?P<start>\d{1,9})(:(?P<stop>\d{1,9}))?\]")


def rows_name(name: str, start: int, stop: int) -> str:
    """The name of the rows start to stop - 1 of a tensor."""
    return f"{name}[{start}:{stop}]"


def split_rows(name: str, values: np.ndarray, sizes: Sequence[int]) -> dict[str, np.ndarray]:
    """Consecutive rows of a tensor [sum of sizes, ...], by the names of the parts."""
    stops = np.cumsum(sizes).tolist()
    if stops[-1] != len(values):
        raise CheckpointError(f"{name} has {len(values)} rows, and its parts have {' + '.join(map(str, sizes))}")
    return {
        rows_name(name, stop - size, stop): values[stop - size : stop] for stop, size in zip(stops, sizes, strict=True)
    }


def split_bank(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """The elements along the first axis, by the names of the parts."""
    return {f"{name}[{index}]": element for index, element in enumerate(values)}


def whole_name(name: str) -> str:
    """The name of the tensor that a name is a part of; the name itself when it is no part."""
    match = PART.fullmatch(name)
    return match["whole"] if match else name


def add_one(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """A gain that is stored less 1, as it multiplies; float32, as the models' own code computes it."""
    return {name + ONE: values + np.float32(1)}


def subtract_one(tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
    """The inverse of `add_one`, exact where the sum was: to 2^-24, so that adding 1 again gives the same gain."""
    return [
        replace(tensor, name=tensor.name.removesuffix(ONE), values=tensor.values - np.float32(1))
        if tensor.name.endswith(ONE)
        else tensor
        for tensor in tensors
    ]


def join_parts(tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
    """The inverse of `split_rows` and `split_bank`: parts as one tensor in the place and type of the first of them.

    Raises CheckpointError when a part of a tensor is missing.
    """
    parts: dict[str, dict[tuple[int, int | None], ModelTensor]] = {}
    for tensor in tensors:
        match = PART.fullmatch(tensor.name)
        if match:
            place = int(match["start"]), int(match["stop"]) if match["stop"] else None
            parts.setdefault(match["whole"], {})[place] = tensor
    whole = {name: ModelTensor(name, *_joined(name, parts[name])) for name in parts}
    restored = {whole.get(whole_name(t.name), t).name: whole.get(whole_name(t.name), t) for t in tensors}
    return list(restored.values())


def _joined(name: str, parts: Mapping[tuple[int, int | None], ModelTensor]) -> tuple[np.ndarray, str]:
    """Values and type of the whole."""
    places = sorted(parts, key=lambda place: place[0])
    ends = [start + 1 if stop is None else stop for start, stop in places]
    if [start for start, _ in places] != [0, *ends[:-1]]:
        raise CheckpointError(f"parts of {name} are missing; there are {', '.join(parts[p].name for p in places)}")
    values = [parts[place].values for place in places]
    banked = places[0][1] is None
    return np.stack(values) if banked else np.concatenate(values), parts[places[0]].dtype
