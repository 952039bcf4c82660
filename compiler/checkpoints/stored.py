"""A tensor as a file stores it: its numbers, and what type they were.

Strategy: every container's reader gives these, so that masks, packed weights and scales are told from weights in one
place, whichever file they came in. Numbers of the short floating types are float32 already; types without an order of
plain numbers have none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ...errors import CheckpointError
from ...files.listing import listed
from ...format.container.limits import DEFAULT_LIMITS
from ...format.tensors.raw_planes import STORAGES, from_storage

if TYPE_CHECKING:
    import torch

FLOAT8 = {"float8_e4m3fn": (4, 3), "float8_e5m2": (5, 2)}  # exponent and mantissa bits
MOST_DIMENSIONS = 64  # numpy's
MOST_REPEATED = 1 << 24  # numbers of a file in tensors that show some of theirs more than once
FLOATS = (*STORAGES, "float64")
INTEGERS = {"uint8": "<u1", "int8": "<i1", "int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4"}
INTEGERS |= {"int64": "<i8", "uint64": "<u8", "bool": "?"}


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """values : array of the tensor's shape, float32 for float16, bfloat16 and the 8-bit types; None where it has none
    dtype : the type in the file, by torch's name; of what is no tensor, that of Python
    """

    values: np.ndarray | None
    dtype: str

    @property
    def shape(self) -> tuple[int, ...]:
        return () if self.values is None else self.values.shape

    @property
    def is_float(self) -> bool:
        """Whether these are weights in one of the plain floating types."""
        return self.dtype in FLOATS and self.values is not None


def stored_bytes(data: memoryview | bytes, dtype: str, shape: tuple[int, ...]) -> Stored:
    """A tensor of little-endian bytes."""
    if dtype in FLOAT8:
        values = _float8_table(*FLOAT8[dtype])[np.frombuffer(data, np.uint8)]
    elif dtype == "float64":
        values = to_float32(np.frombuffer(data, "<f8"))
    elif dtype in STORAGES:
        values = from_storage(np.frombuffer(data, "<u4" if dtype == "float32" else "<u2"), dtype)
    elif dtype in INTEGERS:
        values = np.frombuffer(data, INTEGERS[dtype]).copy()
    else:
        return Stored(None, dtype)
    return Stored(values.reshape(shape), dtype)


def stored_torch(tensor: torch.Tensor) -> Stored:
    """A tensor of torch's; no values where it is not plainly stored, and of complex numbers the real parts."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    unusual = unusual_storage(tensor)
    if unusual:
        return Stored(None, f"{unusual} {dtype}")
    tensor = tensor.detach().resolve_neg()
    if dtype == "float64":
        return Stored(to_float32(tensor.numpy()), dtype)
    if dtype in STORAGES or dtype in FLOAT8:
        return Stored(to_float32(tensor.float().numpy()), dtype)
    if dtype == "complex64":  # of rotations, whose real parts are the cosines
        return Stored(tensor.real.contiguous().numpy(), dtype)
    return Stored(tensor.contiguous().numpy() if dtype in INTEGERS else None, dtype)


def unusual_storage(tensor: torch.Tensor) -> str:
    """How a tensor is stored other than as plain numbers one after the other, in a word; empty where it is plain."""
    import torch

    if tensor.is_nested:
        return "nested"
    if tensor.is_quantized:
        return "quantized"
    if tensor.layout is not torch.strided:
        return str(tensor.layout).removeprefix("torch.")
    if tensor.device.type != "cpu":
        return f"absent ({tensor.device.type})"
    return "" if tensor.ndim <= MOST_DIMENSIONS else f"{tensor.ndim}-dimensional"


def refuse_unusual_storage(content: object, path: Path, key: str = "", depth: int = 4) -> None:
    """CheckpointError for a tensor anywhere in the tables of a content that is not plainly stored."""
    if hasattr(content, "untyped_storage") and hasattr(content, "numel"):
        unusual = unusual_storage(cast("torch.Tensor", content))
        if unusual:
            raise CheckpointError(
                f"{path}: {key!r} is {unusual}, which the published loaders do not read; save it as a plain tensor"
            )
    elif depth and isinstance(content, Mapping):
        for name, value in content.items():
            refuse_unusual_storage(value, path, f"{key}.{name}" if key else str(name), depth - 1)


def to_float32(values: np.ndarray) -> np.ndarray:
    """C-contiguous float32; what is beyond float32 becomes infinite and is refused later."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, np.float32).reshape(values.shape)


def _float8_table(exponent_bits: int, mantissa_bits: int) -> np.ndarray:
    """float32 [256]: the value of every byte. The type with a "fn" has no infinities, and one code for not a number.

    Source: arXiv:2209.05433, table 1.
    """
    codes = np.arange(256)
    exponents = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    fractions = (codes & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
    bias = (1 << (exponent_bits - 1)) - 1
    sizes = np.where(exponents == 0, fractions * 2.0 ** (1 - bias), (1 + fractions) * 2.0 ** (exponents - bias))
    top = (1 << exponent_bits) - 1
    if exponent_bits == 5:
        sizes = np.where(exponents == top, np.where(fractions == 0, np.inf, np.nan), sizes)
    else:
        sizes = np.where(codes & 0x7F == 0x7F, np.nan, sizes)
    return np.where(codes & 0x80, -sizes, sizes).astype(np.float32)


def check_element_count(tensors: Iterable[Any], path: Path) -> None:
    """Refuse more weights than can be compiled; a few bytes can describe a tensor that repeats itself without end."""
    found = [tensor for tensor in tensors if hasattr(tensor, "numel")]
    elements = sum(tensor.numel() for tensor in found)
    if elements > DEFAULT_LIMITS.elements:
        raise CheckpointError(f"{path} has {elements:,} weights; at most {DEFAULT_LIMITS.elements:,} can be compiled")
    repeated = sum(tensor.numel() for tensor in found if _repeats_itself(tensor))
    if repeated > MOST_REPEATED:
        raise CheckpointError(
            f"{path} has {repeated:,} weights in views that show the same few numbers again and again; save the "
            "tensors that they are made of"
        )


def _repeats_itself(tensor: torch.Tensor) -> bool:
    """Whether a tensor has more numbers than its storage."""
    if unusual_storage(tensor):
        return False
    return tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()


def elements_of(tensors: Mapping[str, Stored]) -> int:
    """Numbers in all tensors together."""
    return sum(math.prod(tensor.shape) for tensor in tensors.values())


def refuse_other_types(tensors: Mapping[str, Stored], path: Path) -> None:
    """CheckpointError for tensors that are no weights in a floating type, by name and type."""
    wrong = [f"{name} ({tensor.dtype})" for name, tensor in tensors.items() if not tensor.is_float]
    if wrong:
        raise CheckpointError(
            f"{path} holds what is not plain floating point: {listed(wrong)}; if the model does without them, "
            "leave them out with --ignore NAME, else convert them"
        )
