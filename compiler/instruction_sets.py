"""Which instructions the numerical libraries use in this process, and whether they add up as elsewhere.

Strategy: each library is asked, after it is loaded. What they compute is told by a fingerprint: the digest of a few
products, factors and functions, of the kinds that decide a compile. Where two machines give one fingerprint, their
libraries take these sums in the same order and round the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import torch

from ..errors import CompileError
from ..runtime.library_threads import found_libraries
from .common_baseline import BASELINE
from .tile_products import has_tiles, rounded_products
from .wide_products import has_wide_products, may_take, multiply_wide, processor
from .workers import one_thread_each

EXPECTED = {"torch": "AVX2", "numpy": "X86_V3", "blas": "openblas Haswell"}  # under BASELINE
UNKNOWN = "unknown"
SIZES = ((96, 160, 48), (257, 96, 33))  # rows, inner size and columns of products: whole blocks, and remainders


def instruction_sets(device: str = "cpu") -> dict[str, str]:
    """By library, what it uses; sorted. `numba` is the processor as LLVM names it, by which MKL chooses, too."""
    found = {
        "blas": _blas(),
        "numba": processor(),
        "numpy": _numpy(),
        "torch": torch.backends.cpu.get_cpu_capability(),
    }
    if has_half_products():
        found["torch"] += " with bfloat16 and tiles" if has_tiles() else " with bfloat16"
    if has_wide_products():
        found["torch"] += ", products by oneDNN"
    return found if device == "cpu" else {**found, "gpu": _device_name(device)}


def has_half_products(device: str = "cpu") -> bool:
    """Whether bfloat16 is multiplied by instructions of its own: AVX-512 with BF16, and torch not kept from it."""
    return device == "cpu" and may_take("_is_avx512_bf16_supported")


def provenance_of_instructions(reproducible: bool, device: str = "cpu") -> dict[str, object]:
    """What an artifact says of them: the same everywhere where the compile is reproducible.

    Raises CompileError where a reproducible compile is asked for and the libraries did not take BASELINE.
    """
    if not reproducible:
        return {"instructions": instruction_sets(device)}
    _check_baseline(device)
    return {"reproducible": BASELINE}


def _check_baseline(device: str) -> None:
    if device != "cpu":
        raise CompileError(f"a reproducible compile runs on cpu: the sums of {device!r} have no fixed order")
    found = instruction_sets()
    wrong = [f"{library} uses {found[library]}" for library, wanted in EXPECTED.items() if found[library] != wanted]
    if not torch.backends.mkl.is_available():
        wrong.append("torch was built without MKL")
    if wrong:
        raise CompileError(
            f"a reproducible compile is not possible here: {'; '.join(wrong)}, and not {BASELINE}; compile without it"
        )


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device


def _numpy() -> str:
    """The highest group of features that numpy dispatches to."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]  # type: ignore[index,call-overload]
    return ([*extensions.get("baseline", ()), *extensions.get("found", ())] or [UNKNOWN])[-1]


def _blas() -> str:
    """`openblas SkylakeX`: the library that numpy calls, with its kernels."""
    names = [
        f"{library['internal_api']} {library.get('architecture') or UNKNOWN}"
        for library in found_libraries().info()
        if library["user_api"] == "blas"
    ]
    return ", ".join(sorted(set(names))) or UNKNOWN


@one_thread_each()
def fingerprint() -> str:
    """16 hexadecimal digits of what the libraries compute in this process, in about 0.05 s."""
    digest = hashlib.sha256()
    for values in _computed():
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def _computed() -> Iterator[np.ndarray]:
    generator = np.random.Generator(np.random.PCG64(0))  # its uniform floats are integers over a power of two
    for rows, inner, columns in SIZES:
        a, b = generator.random((rows, inner)) - 0.5, generator.random((inner, columns)) - 0.5
        for dtype in (torch.float32, torch.float64):
            x, y = torch.from_numpy(a).to(dtype), torch.from_numpy(b).to(dtype)
            yield from (part.numpy() for part in (x @ y, x.mT @ x, *_functions(x), *_sums(x)))
            if dtype == torch.float32 and has_wide_products():
                yield multiply_wide(x, y.mT).numpy()
            if dtype == torch.float32 and has_tiles():
                with rounded_products():
                    yield (x @ y).numpy()
        if has_half_products():
            yield (torch.from_numpy(a).bfloat16() @ torch.from_numpy(b).bfloat16()).float().numpy()
        single = a.astype(np.float32)
        yield single.T @ single  # one half of it is made, as of second moments
        yield from _factors(a)
        yield from (a @ b, np.exp2(a), np.exp(a), np.log2(1 + a * a), np.cos(a), a.sum(1), a.mean(0))


def _functions(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return x.softmax(-1), x.log_softmax(-1), x.tanh(), x.exp(), x.sigmoid(), torch.rsqrt(x * x + 1), x.log1p()


def _sums(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return x.sum(), x.square().mean(-1), x.norm(dim=0)


def _factors(a: np.ndarray) -> Iterator[np.ndarray]:
    """The factors of a positive definite matrix, as the quantizer takes them."""
    moments = a.T @ a + np.eye(a.shape[1])
    yield np.linalg.cholesky(moments)
    yield np.linalg.eigh(moments)[0]
    yield np.linalg.solve(moments, a.T)
