"""Registers of a pass that waits between two instructions, outside of the heap that running passes cut up.

Strategy: a walk stops the passes of all its batches again and again. As tensors of the heap, what they hold lies among
what others free, and beside its values each tensor has small blocks, which cut up the large ones that are free: with 10
million weights 1.7 of 4.3 GB. So values are copied to pages that are mapped for them alone, and a tensor is made of
them when it is asked for. Pages that are not needed any more serve the next register of their size.
"""

from __future__ import annotations

import mmap
from collections import defaultdict
from collections.abc import Iterator, MutableMapping
from threading import Lock

import torch
from torch import Tensor

# Not shared with other processes, where that can be chosen: the system then counts neighbours as one mapping.
PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}


class RegisterPages:
    """Mapped pages of all passes of a walk; threads may share it."""

    def __init__(self) -> None:
        self._free: defaultdict[int, list[mmap.mmap]] = defaultdict(list)
        self._lock = Lock()

    def take(self, size: int) -> mmap.mmap:
        """So many bytes, of any content. Raises MemoryError."""
        with self._lock:
            if self._free[size]:
                return self._free[size].pop()
        try:
            return mmap.mmap(-1, size, **PRIVATE)
        except OSError as error:
            raise MemoryError(f"{size} bytes cannot be mapped") from error

    def give_back(self, pages: mmap.mmap) -> None:
        """Nobody reads these any more."""
        with self._lock:
            self._free[len(pages)].append(pages)


class HeldRegisters(MutableMapping[int, Tensor]):
    """The live registers of one pass: tensors while it runs, and on the processor nothing but their pages once they are
    put away.
    """

    def __init__(self, pages: RegisterPages) -> None:
        self._pages = pages
        self._tensors: dict[int, Tensor] = {}
        self._held: dict[int, tuple[mmap.mmap, torch.dtype, torch.Size]] = {}
        self._left: list[mmap.mmap] = []  # of registers that are gone, whose values others may still be views of

    def put_away(self) -> None:
        """The pass waits; tensors that were taken out of here are not read any more."""
        for index in [index for index, value in self._tensors.items() if value.device.type == "cpu"]:
            value = self._tensors.pop(index)
            self._held[index] = self._pages.take(value.nbytes), value.dtype, value.shape
            self[index].copy_(value)
        while self._left:
            self._pages.give_back(self._left.pop())

    def __getitem__(self, index: int) -> Tensor:
        if index in self._tensors:
            return self._tensors[index]
        pages, dtype, shape = self._held[index]
        return torch.frombuffer(pages, dtype=dtype).view(shape)

    def __setitem__(self, index: int, value: Tensor) -> None:
        self._tensors[index] = value

    def __delitem__(self, index: int) -> None:
        if index in self._tensors:
            del self._tensors[index]
        else:
            self._left.append(self._held.pop(index)[0])

    def __iter__(self) -> Iterator[int]:
        return iter(self._tensors | self._held)

    def __len__(self) -> int:
        return len(self._tensors) + len(self._held)
