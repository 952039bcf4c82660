"""A GGUF file: metadata, tokenizer and tensors as llama.cpp wants them.

Strategy: names and layouts are those that reading undoes (checkpoints/gguf_names.py, gguf_layout.py), the
container is written by the gguf package. Vectors are float32 always, as llama.cpp's converter writes them;
matrices have the type that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np

from ...errors import OutputError
from ...files.listing import listed
from ...files.output import partial_output
from ..checkpoints.gguf_layout import to_gguf
from ..checkpoints.gguf_names import ARCHITECTURES
from ..model.model import ModelTensor
from .gguf_metadata import gguf_metadata
from .rounding import Rounding, compare_rounded

Kind = gguf.GGMLQuantizationType
KINDS = {"float32": Kind.F32, "float16": Kind.F16, "bfloat16": Kind.BF16, "q8_0": Kind.Q8_0}
CONVOLUTION = "shortconv.conv.weight"  # which llama.cpp computes with in float32 alone
FILE_TYPES = {
    "float32": gguf.LlamaFileType.ALL_F32,
    "float16": gguf.LlamaFileType.MOSTLY_F16,
    "bfloat16": gguf.LlamaFileType.MOSTLY_BF16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}


def gguf_tensors(configuration: Mapping[str, object], tensors: Sequence[ModelTensor]) -> dict[str, np.ndarray]:
    """float32 tensors under GGUF's names and in llama.cpp's layout. OutputError for a tensor that it has not."""
    name, metadata, factors = gguf_metadata(configuration)
    architecture = ARCHITECTURES[name]
    heads = {
        "attn_q": int(metadata[f"{name}.attention.head_count"]),
        "attn_k": int(np.max(metadata[f"{name}.attention.head_count_kv"])),
    }
    named = {tensor.name: architecture.gguf_name(tensor.name) for tensor in tensors}
    unknown = [ours for ours, theirs in named.items() if theirs is None]
    if unknown:
        raise OutputError(f"llama.cpp's {name} has no {listed(unknown)}")
    laid_out = {
        theirs: to_gguf(tensor.values, theirs, architecture, heads, "the artifact")
        for tensor in tensors
        if (theirs := named[tensor.name]) is not None
    }
    return laid_out if factors is None else laid_out | {"rope_freqs.weight": factors}


def write_gguf(
    path: Path,
    configuration: Mapping[str, object],
    more: Mapping[str, object],
    tensors: Mapping[str, np.ndarray],
    kinds: Mapping[str, Kind],
    force: bool = False,
) -> None:
    """Write `tensors` (of `gguf_tensors`) in their `kinds`; `more` has the metadata beside the configuration's: the
    tokenizer's fields (tokenizer.ggml.*) and the artifact's (bytecap.*).
    """
    name, metadata, _ = gguf_metadata(configuration)
    with partial_output(path, force) as partial:
        writer = gguf.GGUFWriter(partial, name)
        main = max(set(kinds.values()), key=lambda kind: sum(t.size for n, t in tensors.items() if kinds[n] is kind))
        writer.add_file_type(next(FILE_TYPES[dtype] for dtype, kind in KINDS.items() if kind is main))
        for key, value in {**metadata, **more}.items():
            _add(writer, key, value)
        for tensor, values in tensors.items():
            data = gguf.quants.quantize(np.ascontiguousarray(values, np.float32), kinds[tensor])
            writer.add_tensor(tensor, data, raw_dtype=kinds[tensor])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def measure_kinds(tensors: Mapping[str, np.ndarray], kinds: Mapping[str, Kind]) -> Rounding:
    """How far `write_gguf` is from the tensors. OutputError for a value that a type cannot hold."""
    for name in tensors:
        if kinds[name] is Kind.F16 and np.abs(tensors[name]).max(initial=0) > np.finfo(np.float16).max:
            raise OutputError(f"{name} has values that float16 cannot hold; give --dtype float32")
    return compare_rounded(
        tensors, kinds, lambda values, kind: gguf.quants.dequantize(gguf.quants.quantize(values, kind), kind)
    )


def tensor_kinds(tensors: Mapping[str, np.ndarray], dtype: str) -> dict[str, Kind]:
    """The type of each tensor when matrices are to have `dtype`: vectors are float32, and so are rows that are not
    whole blocks.

    Raises OutputError for a dtype that is no GGUF type here.
    """
    if dtype not in KINDS:
        raise OutputError(f"a GGUF file's dtype is one of {', '.join(KINDS)}")
    block, _ = gguf.GGML_QUANT_SIZES[KINDS[dtype]]
    plain = {name for name, values in tensors.items() if values.ndim < 2 or values.shape[-1] % block}
    plain |= {name for name in tensors if name.endswith(CONVOLUTION)}
    return {name: Kind.F32 if name in plain else KINDS[dtype] for name in tensors}


def _add(writer: gguf.GGUFWriter, key: str, value: object) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, [getattr(item, "item", lambda item=item: item)() for item in value])
