"""Products of float32 matrices by a processor's tiles (AMX), which take factors in bfloat16 and add in float32.

Strategy: oneDNN rounds the factors on the way, to 8 significant bits, and hands back the float32 sums, two to four
times as fast as products of float32. Rounded factors add a variance of a few millionths of their own to second moments,
next to what these vary by from text to text. What measures a result stays float32. torch asks for either by a setting
of the whole process, so a stage sets it and puts it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache

import torch

from .wide_products import may_take

ROUNDED, FULL = "medium", "highest"  # torch's words


@lru_cache(maxsize=1)
def has_tiles() -> bool:
    """Whether the processor has tiles for bfloat16, and torch is not kept from them."""
    return may_take("_is_amx_tile_supported")


def are_rounded() -> bool:
    """Whether factors of float32 products are rounded now."""
    return torch.get_float32_matmul_precision() == ROUNDED


def rounded_products(device: str = "cpu") -> AbstractContextManager[None]:
    """Products on the processor round their factors for the duration, where that is faster."""
    return _products(ROUNDED if has_tiles() and device == "cpu" else FULL)


def full_products() -> AbstractContextManager[None]:
    """Products round no factors for the duration, also of a function that this decorates."""
    return _products(FULL)


@contextmanager
def _products(precision: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
