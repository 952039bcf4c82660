"""WaterSIC (arXiv 2603.04956): uneven rates by waterfilling, successive cancellation, diagonal rescalers.

Strategy: the authors' own `compress_zsic` (MIT, quant_layerwise/methods/zsic.py of a checkout named in
BYTECAP_WATERSIC) makes integers and scales of each matrix at a target rate, with its own search for the rate, on the
second moments that the other peers get. What of their pipeline is not run, because it is tied to Llama and Qwen on
GPUs: drift correction (Qronos), residual compensation, the budget across layers and the fine-tuning of the rescalers.
Scales are float16 a row and a column, as they count them. Departure: they leave embedding and head in 16 bits; here the
table, which is both, is quantized like a matrix, at a rate of its own. "watersic" codes the integers of each matrix at
their entropy, which is what the authors report, by a range coder whose counts are in the file; "watersic-mixing" by
our codec `mixing`, with the magnitude of every column sent beforehand.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from .general_codec import decode_head, encode_head
from .integer_coders import CODERS
from .peer import PUBLISHED_PASSTHROUGH_ELEMENTS, Peer, StateDict, is_control

FOLDER_VARIABLE = "BYTECAP_WATERSIC"
MODULE = Path("quant_layerwise") / "methods" / "zsic.py"
EMBEDDING = "tok_emb.weight"
RATES = ((4.0, 5.0), (3.5, 4.5), (3.0, 4.0), (2.5, 3.5))


@dataclass(frozen=True)
class Quantized:
    """A matrix: int32 codes [rows, live columns], float16 scales of rows and live columns, int64 live columns."""

    codes: np.ndarray
    rows: Tensor
    columns: Tensor
    live: Tensor


def module_path() -> Path | None:
    """The module of the checkout named in the environment, None when none is or it is not there."""
    named = os.environ.get(FOLDER_VARIABLE)
    path = Path(named) / MODULE if named else None
    return path if path and path.is_file() else None


def missing() -> str:
    """What has to be installed, empty when nothing."""
    how = f"git clone https://github.com/egorlifar/watersic and name the folder in {FOLDER_VARIABLE}"
    return "" if module_path() else f"WaterSIC ({how})"


@functools.cache
def load_module(path: Path) -> ModuleType:
    """The authors' module by itself: it imports torch alone, while its package needs GPUs."""
    spec = importlib.util.spec_from_file_location("watersic_zsic", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def on_the_cpu() -> Iterator[None]:
    """Its search waits for a GPU whatever the device, and prints much."""
    with mock.patch.object(torch.cuda, "synchronize", lambda *_: None), contextlib.redirect_stdout(io.StringIO()):
        yield


def quantize(matrix: Tensor, hessian: Tensor, rate: float) -> Quantized:
    """A matrix at a target rate in bits a weight, scales included."""
    zsic = load_module(module_path())
    with on_the_cpu():
        config = zsic.ZSICConfig(target_rate_bits=rate, binary_search=True)
        *_, frame = zsic.compress_zsic(matrix.float(), cfg=config, Sig_X=hessian, Sig_X_for_dead=hessian)
    dead = set(frame["dead_indices"])
    live = torch.tensor([column for column in range(matrix.shape[1]) if column not in dead])
    columns = frame["alpha_base"] * frame["g_vec"]
    return Quantized(frame["Z"].numpy().astype(np.int32), frame["t_vec"].half(), columns.half(), live)


def compress(
    state_dict: StateDict,
    hessians: Mapping[str, Tensor],
    *,
    rate: float,
    embedding_rate: float,
    coder: str,
    passthrough_elements: int = PUBLISHED_PASSTHROUGH_ELEMENTS,
) -> tuple[bytes, dict[str, Tensor]]:
    """The file's bytes and the tensors they decode to; `coder` is one of CODERS."""
    tensors: dict[str, Tensor] = {}
    matrices: list[np.ndarray] = []
    for name, tensor in state_dict.items():
        if is_control(name) or tensor.numel() <= passthrough_elements:
            tensors[name] = tensor.half().contiguous()
            continue
        quantized = quantize(tensor, hessians[name].double(), embedding_rate if name == EMBEDDING else rate)
        tensors |= {f"{name}.{part}": getattr(quantized, part) for part in ("rows", "columns")}
        if len(quantized.live) < tensor.shape[1]:
            tensors[f"{name}.live"] = quantized.live.to(torch.int16)
        matrices.append(quantized.codes)
    buffer = io.BytesIO()
    torch.save(
        {"c": coder, "s": {name: list(tensor.shape) for name, tensor in state_dict.items()}, "w": tensors}, buffer
    )
    data = encode_head(buffer.getvalue()) + CODERS[coder].encode(matrices)
    return data, decode(data)


def decode(data: bytes) -> dict[str, Tensor]:
    """float32 tensors of a file's bytes."""
    head, end = decode_head(data)
    content: dict[str, Any] = torch.load(io.BytesIO(head), weights_only=True)
    tensors, shapes = content["w"], content["s"]
    names = [name for name in shapes if name not in tensors]
    sizes = [(len(tensors[f"{name}.rows"]), len(tensors[f"{name}.columns"])) for name in names]
    codes = dict(zip(names, CODERS[content["c"]].decode(data[end:], sizes), strict=True))
    return {name: _dequantize(tensors, codes, name, shape) for name, shape in shapes.items()}


def _dequantize(tensors: StateDict, codes: Mapping[str, np.ndarray], name: str, shape: list[int]) -> Tensor:
    if name in tensors:
        return tensors[name].float()
    rows, columns = (tensors[f"{name}.{part}"].float() for part in ("rows", "columns"))
    values = rows[:, None] * torch.from_numpy(codes[name]).float() * columns
    if f"{name}.live" not in tensors:
        return values
    matrix = torch.zeros(shape)
    matrix[:, tensors[f"{name}.live"].long()] = values
    return matrix


PEERS = tuple(
    Peer(
        name,
        functools.partial(compress, coder=coder),
        tuple({"rate": rate, "embedding_rate": embedding_rate} for rate, embedding_rate in RATES),
        published=None,
        needs_hessians=True,
        missing=missing,
    )
    for name, coder in (("watersic", "entropy"), ("watersic-mixing", "mixing"))
)
