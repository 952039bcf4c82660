"""Good files of weights, made on the spot: of every container, every compression and every family that is read."""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import warnings
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from byte_mutations import NotThisKind, changed_bytes
from fuzz_frame import Mutator, Seed
from gguf_files import Kind, interleaved, write_gguf
from gguf_mutations import changed_gguf
from golden_files import GOLDEN
from golden_logits import golden_logits
from json_mutations import changed_json, odd_json_value
from llm_c_files import llm_c_bytes
from naive_llama import Llama, llama2c_bytes, under_metas_names, write_folder
from naive_modded_nanogpt import SECOND, NaiveModded
from naive_nanochat import NaiveNanochat
from record_families import FAMILIES, random_state
from text_mutations import COMPRESSORS, another_encoding, compressed, odd_characters
from tiny_models import golf_model
from weights_mutations import changed_header, changed_pickle, changed_safetensors, changed_zip

from bytecap.compiler.checkpoints.compressed import compression_of, decompress
from bytecap.compiler.checkpoints.export import encode_safetensors, encode_state_dict
from bytecap.compiler.checkpoints.gguf_names import ARCHITECTURES
from bytecap.errors import CheckpointError

PT: tuple[Mutator, ...] = (changed_zip, changed_zip, changed_zip, changed_bytes)
PICKLED: tuple[Mutator, ...] = (changed_pickle, changed_pickle, changed_bytes)
SAFETENSORS: tuple[Mutator, ...] = (changed_safetensors, changed_safetensors, changed_safetensors, changed_bytes)
JSON: tuple[Mutator, ...] = (odd_json_value, odd_json_value, changed_json, odd_characters, another_encoding)


def saved(value: object, **options: object) -> bytes:
    """What torch.save writes."""
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def archived(state: dict[str, np.ndarray]) -> bytes:
    """What numpy.savez writes."""
    stream = io.BytesIO()
    np.savez(stream, **state)
    return stream.getvalue()


def _torch_state(state: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values.copy()) for name, values in state.items()}


@cache
def _golf() -> tuple[list[str], list[np.ndarray]]:
    model = golf_model(num_layers=1)
    return [t.name for t in model.tensors], [t.values for t in model.tensors]


def _golf_state() -> dict[str, torch.Tensor]:
    return _torch_state(dict(zip(*_golf(), strict=True)))


def _unusual_tensors() -> dict[str, object]:
    """Tensors that are not plain numbers one after the other, each beside a model."""
    warnings.filterwarnings("ignore", category=UserWarning, module="torch|weights_seeds")  # of what torch gives up
    row = torch.arange(1.0, 5.0)
    return {
        "meta": torch.empty(3, 4, device="meta"),
        "sparse": torch.eye(3).to_sparse(),
        "rows": torch.eye(3).to_sparse_csr(),
        "nested": torch.nested.nested_tensor([row, row[:2]]),
        "negative": torch._neg_view(row),
        "conjugated": torch.ones(2, dtype=torch.complex64).conj(),
        "quantized": torch.quantize_per_tensor(row, 0.1, 0, torch.qint8),
        "many": torch.ones([1] * 100),
        "repeated": torch.ones(1).expand(1 << 20),
        "narrow": torch.ones(4).to(torch.float8_e5m2),
        "whole": torch.ones(4, dtype=torch.int16),
        "wide": torch.ones(4, dtype=torch.float64) * 1e300,
        "empty": torch.ones(0, 3),
        "single": torch.tensor(1.0),
        "parameter": torch.nn.Parameter(row),
    }


def checkpoint_seeds() -> list[Seed]:
    names, arrays = _golf()
    state, dtypes = _golf_state(), ["float32"] * len(arrays)
    meta = {"model": state, "optimizer": {"state": {0: torch.ones(3)}}, "step": 7, "config": {"num_heads": 2}}
    meta["args"] = argparse.Namespace(num_heads=2, seq_len=16)
    llama = Llama(width=16, hidden=16, heads=2, head=8, kv_heads=1, layers=1)
    codes = {"w": torch.ones(4, 6).to(torch.float8_e4m3fn), "w_scale": torch.ones(1)}
    modded = NaiveModded(SECOND, 4, (1,))
    files = [
        ("model.pt", encode_state_dict(names, arrays, dtypes), PT),
        ("model.safetensors", encode_safetensors(names, arrays, ["bfloat16"] * len(arrays)), SAFETENSORS),
        ("old.pt", saved(state, _use_new_zipfile_serialization=False), PICKLED),
        ("nested.pt", saved(meta), PT),
        ("fp8.safetensors", safetensors.torch.save({**state, **codes}), SAFETENSORS),
        ("model.bin", llama2c_bytes(Llama(width=16, heads=2, head=8, kv_heads=2), _llama2c_state()), (changed_header,)),
        ("gpt2.bin", llm_c_bytes(golden_logits("gpt2").state(), 3), (changed_header,)),
        ("arrays.npz", archived(llama.state(0)), (changed_zip, changed_bytes)),
        ("meta.pth", saved(_torch_state(under_metas_names(llama.state(0)))), PT),
        ("nanochat.pt", saved(_torch_state(NaiveNanochat(layers=2).state())), PT),
        ("modded.pt", saved(_torch_state(modded.state())), PT),
    ]
    seeds = [Seed({name: data}, {name: mutators}) for name, data, mutators in files]
    for name, tensor in _unusual_tensors().items():
        seeds.append(Seed({f"{name}.pt": saved({**state, name: tensor})}, {f"{name}.pt": PT}))
    weight = next(name for name, values in state.items() if values.ndim == 2)
    for view in (torch._neg_view, torch.nn.Parameter, torch.Tensor.double, torch.Tensor.half, torch.Tensor.to_sparse):
        seeds.append(Seed({"view.pt": saved({**state, weight: view(state[weight])})}, {"view.pt": PT}))
    for record in ("gates of two sigmoids", "a factorized table"):
        seeds.append(Seed({"record.pt": saved(random_state(FAMILIES[record][0], 1))}, {"record.pt": PT}))
    return [*seeds, *_folder_seeds()]


def _llama2c_state() -> dict[str, np.ndarray]:
    return Llama(width=16, heads=2, head=8, kv_heads=2).state(0)


def _folder_seeds() -> list[Seed]:
    """A folder in two shards, given by its index; and one with a trainer's settings instead."""
    llama = Llama(width=16, hidden=16, heads=2, head=8, kv_heads=1, layers=1)
    with tempfile.TemporaryDirectory() as name:
        folder = write_folder(Path(name), llama, llama.state(0), shards=2)
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir(), reverse=True)}
    index = "model.safetensors.index.json"
    ordered = {index: files[index], **files}
    kinds = {name: SAFETENSORS if name.endswith("safetensors") else JSON for name in files}
    return [Seed(ordered, kinds), Seed(ordered, {index: JSON, "config.json": JSON})]


# ---- the public challenge's compressed files -----------------------------------------------------


def changed_content(data: bytes, rng) -> bytes:
    """What is inside a compression, by its own structure; compressed again in the same or another way."""
    path = Path("x.ptz")
    kind = compression_of(data, path)
    if kind is None:
        raise NotThisKind
    try:
        content = decompress(data, path, kind, 1 << 22)
    except CheckpointError as error:
        raise NotThisKind from error
    mutator: Callable = changed_zip if content.startswith(b"PK") else changed_pickle
    try:
        content = mutator(content, rng)
    except NotThisKind:
        content = changed_bytes(content, rng)
    if rng.random() < 0.05:
        content = b"BSHF" + bytes([rng.choice((0, 1, 2, 3, 255))]) + content
    return rng.choice(COMPRESSORS)(content) if rng.random() < 0.3 else zlib.compress(content, 1)


def _rows(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    scales = values.abs().amax(1) / 127
    return (values / scales[:, None]).round().to(torch.int8), scales.half()


def _int8_content() -> dict[str, object]:
    state = _golf_state()
    matrices = {name: _rows(values) for name, values in state.items() if values.ndim == 2}
    return {
        "__quant_format__": "int8_clean_per_row_v1",
        "quantized": {name: codes for name, (codes, _) in matrices.items()},
        "scales": {name: scales for name, (_, scales) in matrices.items()},
        "dtypes": dict.fromkeys(matrices, "bfloat16"),
        "passthrough": {name: values.half() for name, values in state.items() if name not in matrices},
        "passthrough_orig_dtypes": {name: "float32" for name in state if name not in matrices},
    }


def _record_content() -> dict[str, object]:
    """Codes and scales of every matrix, one with a correction by two narrow ones."""
    weights, kinds = {}, {}
    for name, values in _golf_state().items():
        kinds[name] = "passthrough (float16)" if values.ndim != 2 else {"type": "int6"}
        if values.ndim == 2:
            weights[f"{name}.q"], weights[f"{name}.scale"] = _rows(values)
        else:
            weights[name] = values.half()
    name = next(name for name in kinds if isinstance(kinds[name], dict))
    rows, columns = weights[f"{name}.q"].shape
    kinds[name] = "gptq (int6)+lqer"
    weights |= {f"{name}.lqA": torch.ones(rows, 1, dtype=torch.int8), f"{name}.lqAs": torch.ones(rows)}
    weights |= {f"{name}.lqB": torch.ones(1, columns, dtype=torch.int8), f"{name}.lqBs": torch.ones(1)}
    return {"w": weights, "m": kinds}


def _ternary_content() -> dict[str, object]:
    shape = {"shape": [2, 6], "orig_shape": [2, 6], "padded_cols": 8, "group_size": 4, "n_trits": 16}
    shape["scale"] = torch.tensor([0.5, 0.25, 1.0, 2.0]).half()
    eight = torch.tensor([[0.3, -1.7], [2.1, 0.04]])
    return {
        "digits": {"type": "ternary", "packed": bytes([121, 122, 40, 0]), **shape},
        "masks": {"type": "ternary_bitmask", "packed": bytes([0b10110100, 0b01100110, 0b10100000]), **shape},
        "eight": {"type": "fp8", "data": eight.to(torch.float8_e4m3fn)},
        "half": {"type": "fp16", "data": eight.half()},
        "four": {"type": "fp4", "packed": torch.tensor([0x19, 0xF8], dtype=torch.uint8), "shape": [2, 2]}
        | {"scale": torch.tensor([0.5, 2.0]).half()},
    }


def ptz_seeds() -> list[Seed]:
    name, seeds = "final_model.int8.ptz", []
    contents = [saved(make()) for make in (_int8_content, _record_content, _ternary_content, _golf_state)]
    contents.append(saved(_int8_content(), _use_new_zipfile_serialization=False))
    for number, content in enumerate(contents):
        for compress in (zlib.compress, COMPRESSORS[1 + number % (len(COMPRESSORS) - 1)]):
            mutators = (changed_content, changed_content, changed_content, changed_content, changed_bytes)
            seeds.append(Seed({name: compress(content)}, {name: mutators}))
        seeds.append(Seed({name: content}, {name: (compressed,)}))
    return seeds


# ---- GGUF, and configurations --------------------------------------------------------------------


def gguf_seeds() -> list[Seed]:
    naive = Llama(width=32, hidden=32, heads=4, head=8, vocabulary=32, layers=1)
    metadata = {
        "context_length": 48,
        "embedding_length": 32,
        "block_count": 1,
        "feed_forward_length": 32,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": 10_000.0,
        "rope.scaling.type": "linear",
        "rope.scaling.factor": 2.0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [f"t{number}" for number in range(32)],
    }
    names, seeds = ARCHITECTURES["llama"], []
    found = {names.gguf_name(name): values for name, values in naive.state(0).items()}
    for name, values in found.items():
        if names.permuted and ("attn_q." in name or "attn_k." in name):
            found[name] = interleaved(values, 4 if "attn_q." in name else 2)
    with tempfile.TemporaryDirectory() as folder:
        for kind in (Kind.F32, Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q4_0, Kind.Q5_1):
            kinds = {name: kind for name, values in found.items() if values.ndim == 2}
            data = write_gguf(Path(folder) / f"{kind.name}.gguf", "llama", metadata, found, kinds).read_bytes()
            mutators = (changed_gguf, changed_gguf, changed_gguf, changed_gguf, changed_bytes)
            seeds.append(Seed({"model.gguf": data}, {"model.gguf": mutators}))
    return seeds


def config_seeds() -> list[Seed]:
    """Every family with recorded logits, and nanochat's and Meta's files."""
    seeds = []
    for path in sorted((GOLDEN / "logits").glob("*.json")):
        golden = golden_logits(path.stem)
        weights = safetensors.numpy.save(golden.state())
        seeds.append(_configured("model.safetensors", weights, "config.json", golden.config))
    nano = NaiveNanochat(layers=2)
    meta = {"step": 1, "model_config": nano.config(), "user_config": {"run": "x"}}
    seeds.append(_configured("model_000001.pt", saved(_torch_state(nano.state())), "meta_000001.json", meta))
    llama = Llama(width=16, hidden=16, heads=2, head=8, kv_heads=1, layers=1)
    sizes = {"dim": 16, "n_layers": 1, "n_heads": 2, "n_kv_heads": 1, "vocab_size": -1, "norm_eps": 1e-5}
    sizes |= {"rope_theta": 1e4, "use_scaled_rope": True, "multiple_of": 16}
    weights = saved(_torch_state(under_metas_names(llama.state(0))))
    seeds.append(_configured("consolidated.00.pth", weights, "params.json", sizes))
    golf = encode_safetensors(*_golf(), ["float32"] * len(_golf()[0]))
    seeds.append(_configured("golf.safetensors", golf, "architecture.json", {"num_heads": 2, "seq_len": 16}))
    return seeds


def _configured(name: str, weights: bytes, beside: str, config: dict[str, object]) -> Seed:
    return Seed({name: weights, beside: json.dumps(config).encode()}, {beside: JSON})
