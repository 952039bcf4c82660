"""Which tensors of a torch file are others, or parts of them: their numbers lie in one storage, and count once.

Strategy: a tensor reaches over an interval of bytes of its storage. One whose interval lies within that of a tensor
without gaps is part of it, whatever its own shape and order. One with gaps (every second number) has only those who
walk over the same numbers. Two that overlap without either being within the other stay two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Steps = tuple[tuple[int, int], ...]  # (stride, size), the least stride first, of as few dimensions as these walks need


def find_owners(tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """By name of a tensor whose numbers another one has: the name of that one, which is no part of a third.

    tensors : plainly stored, in the order of the file, of which the first of several equal ones owns their numbers
    """
    storages: dict[int, list[tuple[int, int, Steps, str]]] = {}
    for name, tensor in tensors.items():
        if tensor.numel():
            size, steps = tensor.element_size(), _steps(tensor)
            start = tensor.storage_offset() * size
            stop = start + (1 + sum(stride * (count - 1) for stride, count in steps)) * size
            storages.setdefault(tensor.untyped_storage().data_ptr(), []).append((start, stop, steps, name))
    owners: dict[str, str] = {}
    for reached in storages.values():
        whole, end = "", -1  # the tensor without gaps that reaches farthest, of those that begin no later
        gapped: dict[tuple[int, int, Steps], str] = {}
        for start, stop, steps, name in sorted(reached, key=lambda each: (each[0], -each[1], not _is_whole(each[2]))):
            if stop <= end:
                owners[name] = whole
            elif _is_whole(steps):
                whole, end = name, stop
            elif (owner := gapped.setdefault((start, stop, steps), name)) != name:
                owners[name] = owner
    return owners


def _steps(tensor: torch.Tensor) -> Steps:
    steps: list[tuple[int, int]] = []
    for stride, size in sorted((step, size) for step, size in zip(tensor.stride(), tensor.shape, strict=True)):
        if steps and stride == steps[-1][0] * steps[-1][1]:
            steps[-1] = (steps[-1][0], steps[-1][1] * size)  # goes on where the last one ends, as one of more would
        elif size > 1:
            steps.append((stride, size))
    return tuple(steps)


def _is_whole(steps: Steps) -> bool:
    """Whether these steps come by every number between the first and the last, and by each once."""
    return not steps or (len(steps) == 1 and steps[0][0] == 1)
