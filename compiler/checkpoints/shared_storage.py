"""Which tensors of a torch file are others, or parts of them: their numbers lie in one storage, and count once.

Strategy: a tensor reaches over an interval of bytes of its storage. One whose interval lies within that of a tensor
without gaps is part of it, whatever its own shape and order. One with gaps (every second number) has only those who
walk over the same numbers. Two that overlap without either being within the other stay two, and what both have counts
for the first: where intervals overlap, the numbers that were counted are marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Steps = tuple[tuple[int, int], ...]  # (stride, size), the least stride first, of as few dimensions as these walks need


def find_owners(tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """By name of a tensor whose numbers another one has: the name of that one, which is no part of a third.

    tensors : plainly stored, in the order of the file, of which the first of several equal ones owns their numbers
    """
    owners: dict[str, str] = {}
    for reached in _by_storage(tensors):
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


def own_bytes(tensors: Mapping[str, torch.Tensor], owners: Mapping[str, str]) -> dict[str, int]:
    """Bytes of each tensor that none before it has, in the order of the file; none of one that has an owner."""
    sizes = {name: 0 if name in owners else each.numel() * each.element_size() for name, each in tensors.items()}
    for reached in _by_storage({name: tensor for name, tensor in tensors.items() if name not in owners}):
        spans = sorted((start, stop) for start, stop, *_ in reached)
        if any(following[0] < before[1] for before, following in pairwise(spans)):
            end = max(stop for _, stop in spans)
            sizes.update(_marked_bytes(tensors, reached, end))
    return sizes


def _marked_bytes(
    tensors: Mapping[str, torch.Tensor], reached: Iterable[tuple[int, int, Steps, str]], end: int
) -> Iterator[tuple[str, int]]:
    """(name, bytes that none before it has) of what reaches over the first `end` bytes of one storage."""
    import torch

    unit = min(tensors[name].element_size() for *_, name in reached)  # sizes are powers of two
    marked = torch.zeros(end // unit, dtype=torch.bool)
    for start, stop, _, name in reached:
        tensor, window = tensors[name], marked[start // unit : stop // unit]
        times = tensor.element_size() // unit
        strides = (*(stride * times for stride in tensor.stride()), 1)
        shape = (*(size if stride else 1 for size, stride in zip(tensor.shape, strides, strict=False)), times)
        own = marked.as_strided(shape, strides, tensor.storage_offset() * times)
        looked_at = window if own.numel() > window.numel() else own  # one that shows its numbers several times
        before = int(looked_at.sum())
        own.fill_(True)
        yield name, unit * (int(looked_at.sum()) - before)


def _by_storage(tensors: Mapping[str, torch.Tensor]) -> Iterable[list[tuple[int, int, Steps, str]]]:
    """(first byte, end, steps, name) of the tensors of each storage."""
    storages: dict[int, list[tuple[int, int, Steps, str]]] = {}
    for name, tensor in tensors.items():
        if tensor.numel():
            size, steps = tensor.element_size(), _steps(tensor)
            start = tensor.storage_offset() * size
            stop = start + (1 + sum(stride * (count - 1) for stride, count in steps)) * size
            storages.setdefault(tensor.untyped_storage().data_ptr(), []).append((start, stop, steps, name))
    return storages.values()


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
