"""A stand-in for a graphics processor: tensors that say they are on another device, with numbers in them.

Strategy: torch's device `meta` has no numbers. Here a tensor on it wraps an ordinary one, with which every operation is
computed, so that equal operations give equal bits. As with a real device, an operation on tensors of both places is
refused unless one of them is a single number, and numpy sees numbers only after `.cpu()`. What torch computes on the
processor meanwhile is recorded by the name of the operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from bytecap.compiler import workers

DEVICE = "meta"
MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)  # may have tensors of both places
PRODUCTS = {"mm", "addmm", "bmm", "embedding", "_scaled_dot_product_flash_attention_for_cpu"}


class Elsewhere(torch.Tensor):
    """A tensor on DEVICE that holds one of the processor's."""

    held: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Elsewhere:
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset()}
        made = torch.Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype, device=DEVICE, **layout)
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), options=None):
        return _computed(function, arguments, options or {}, None)


class Recorder(TorchDispatchMode):
    """Puts tensors on DEVICE, and records what is computed on the processor, in the threads that it is entered in."""

    def __init__(self, on_processor: set[str]) -> None:
        super().__init__()
        self.on_processor = on_processor

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        return _computed(function, arguments, options or {}, self.on_processor)


def _computed(function, arguments: tuple, options: dict, on_processor: set[str] | None):
    tensors: list[torch.Tensor] = []
    tree_map(lambda value: tensors.append(value) if isinstance(value, torch.Tensor) else None, (arguments, options))
    there = [tensor for tensor in tensors if isinstance(tensor, Elsewhere)]
    asked = options.get("device")
    goes_there = bool(there) if asked is None else torch.device(asked).type == DEVICE
    if there and function not in MOVES and any(t.dim() for t in tensors if not isinstance(t, Elsewhere)):
        raise RuntimeError(f"{function}: tensors on {DEVICE} and on the processor")
    if not goes_there and not there and on_processor is not None and any(t.is_floating_point() for t in tensors):
        on_processor.add(function.overloadpacket.__name__)
    options = options if asked is None else {**options, "device": "cpu"}
    owners = {id(tensor.held): tensor for tensor in there}
    plain = tree_map(lambda value: value.held if isinstance(value, Elsewhere) else value, (arguments, options))
    result = function(*plain[0], **plain[1])
    if not goes_there:
        return result
    # what an operation in place returns is the tensor that it was called with
    return tree_map(lambda r: owners.get(id(r), Elsewhere(r)) if isinstance(r, torch.Tensor) else r, result)


class RecordedPool(ThreadPoolExecutor):
    """A pool whose jobs are recorded."""

    on_processor: set[str]

    def submit(self, function, *arguments):
        def recorded(*given):
            with Recorder(self.on_processor):
                return function(*given)

        return super().submit(recorded, *arguments)


@contextmanager
def stand_in_device(monkeypatch) -> Iterator[set[str]]:
    """DEVICE can be computed on, in jobs, too; yields the names of what was computed on the processor so far."""
    on_processor: set[str] = set()

    def pool(threads: int) -> RecordedPool:
        made = RecordedPool(max(1, threads), initializer=torch.set_num_threads, initargs=(1,))
        made.on_processor = on_processor
        return made

    with monkeypatch.context() as patch:
        patch.setattr(workers, "job_pool", pool)
        with Recorder(on_processor):
            yield on_processor
