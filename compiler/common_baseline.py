"""One set of instructions for every numerical library, so that a compile gives the same bytes on other processors.

Strategy: torch, MKL and OpenBLAS choose their kernels by the processor, and each kernel sums in an order of its own.
They read environment variables when they are loaded, so these are set before that, to what every x86-64 processor with
AVX2 and FMA can run. MKL takes COMPATIBLE, the only branch that it has on processors of every maker. Numba needs none:
no kernel that a compile decides with may be reordered or fused (tests/compiler/test_common_baseline.py). Nothing here
imports a library, or it would be too late.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

from ..errors import CompileError

BASELINE = "x86-64-v3"  # as the psABI of x86-64 names the level of AVX2 and FMA
PINNED: Mapping[str, str] = MappingProxyType(
    {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_ENABLE_CPU_FEATURES": "X86_V3",
        "NUMBA_DISABLE_INTEL_SVML": "1",
    }
)
CLEARED = (  # would change what PINNED settles
    "DNNL_MAX_CPU_ISA",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "OPENBLAS_L2_SIZE",
)
NEEDED = ("avx2", "fma")  # as /proc/cpuinfo calls them
LIBRARIES = ("numpy", "torch", "numba")
LEAST_NUMPY = (2, 4)  # the first with X86_V3
INITIAL = Path("/proc/self/environ")

_pinned: list[bool] = []  # not empty once this process has been


def pin_instructions() -> None:
    """Set the environment of this process to BASELINE; to be called before numpy, torch or numba is loaded.

    Nothing happens where it was done before, or where the process was started with these settings. Raises CompileError
    on a processor without these instructions, and where a library is loaded already.
    """
    if _pinned:
        return
    _check_machine()
    loaded = [name for name in LIBRARIES if name in sys.modules]
    if loaded and not _holds(_initial_environment()):
        raise CompileError(
            f"this process cannot compile reproducibly: the instructions of {' and '.join(loaded)} were chosen when "
            "they were loaded; use `bytecap compile --reproducible`, call bytecap.compile before anything imports "
            f"them, or start Python with {' '.join(f'{name}={value}' for name, value in PINNED.items())}",
            argument="reproducible",
        )
    os.environ.update(PINNED)
    for name in CLEARED:
        os.environ.pop(name, None)
    _pinned.append(True)


def _check_machine() -> None:
    machine = platform.machine()
    missing = _missing_features(Path("/proc/cpuinfo"))
    if machine.lower() not in ("x86_64", "amd64") or missing:
        what = f"lacks {' and '.join(missing)}" if missing else f"is {machine}"
        raise _not_here(f"it pins the instructions of {BASELINE}, and this processor {what}")
    if "hwcaps" in os.environ.get("GLIBC_TUNABLES", ""):
        raise _not_here("GLIBC_TUNABLES changes the instructions of the C library; unset it")
    if tuple(int(part) for part in version("numpy").split(".")[:2]) < LEAST_NUMPY:
        raise _not_here(f"numpy {version('numpy')} cannot be held to {BASELINE}; install 2.4 or newer")


def _not_here(reason: str) -> CompileError:
    return CompileError(f"a reproducible compile is not possible here: {reason}", argument="reproducible")


def _missing_features(cpuinfo: Path) -> list[str]:
    """What the processor lacks of NEEDED; nothing where the system does not tell, as the libraries are asked later."""
    try:
        lines: Iterable[str] = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    flags = next((line.split(":", 1)[-1].split() for line in lines if line.startswith("flags")), None)
    return [] if flags is None else [name for name in NEEDED if name not in flags]


def _initial_environment() -> Mapping[str, str]:
    """What the process was started with; empty where the system does not tell."""
    try:
        entries = INITIAL.read_bytes().split(b"\0")
    except OSError:
        return {}
    pairs = (entry.decode(errors="replace").partition("=") for entry in entries)
    return {name: value for name, _, value in pairs}


def _holds(environment: Mapping[str, str]) -> bool:
    pinned = all(environment.get(name) == value for name, value in PINNED.items())
    return pinned and not any(name in environment for name in CLEARED)
