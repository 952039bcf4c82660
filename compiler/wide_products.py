"""Products of float32 matrices by oneDNN, where MKL leaves half of the processor alone.

Strategy: torch multiplies float32 by MKL, which takes its kernels of 256 bits on AMD's processors. oneDNN, which comes
with torch, too, takes those of 512 bits, and is twice as fast where the processor has units of that width. Torch offers
it as an operation of its compiled graphs. Both add in float32, each in an order of its own, so that one process asks
once which it is.
"""

from __future__ import annotations

import os
from functools import lru_cache

import llvmlite.binding
import torch
from numba.core import config
from torch import Tensor

RESTRICTED = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")  # may keep oneDNN from instructions that the processor has
AMD = "znver"  # as LLVM names its processors


def processor() -> str:
    """The processor as LLVM names it, `znver5`, or as numba was told to take it."""
    return config.CPU_NAME or llvmlite.binding.get_host_cpu_name()


def _is_restricted() -> bool:
    return any(name in os.environ for name in RESTRICTED)


def may_take(feature: str) -> bool:
    """Whether torch finds instructions of the processor that widen AVX-512, and is not kept from them.

    feature : the name of what tells in `torch.cpu`, such as `_is_avx512_bf16_supported`; not a public one
    """
    if _is_restricted():
        return False
    supported = getattr(torch.cpu, feature, lambda: False)  # torch before 2.6 does not tell
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512") and supported()


@lru_cache(maxsize=1)
def has_wide_products() -> bool:
    """Whether oneDNN multiplies float32 by wider instructions than MKL: on AMD's processors with AVX-512, where it is
    not kept from them.
    """
    if _is_restricted() or not processor().startswith(AMD):
        return False
    wide = torch.backends.cpu.get_cpu_capability().startswith("AVX512") and torch.backends.mkldnn.is_available()
    return wide and hasattr(torch.ops.mkldnn, "_linear_pointwise")  # not a public one, so it may go


def multiply_wide(x: Tensor, weight: Tensor) -> Tensor:
    """x Wᵀ in float32 for [..., columns] and [rows, columns] in any layout: [..., rows]. Needs `has_wide_products`."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
