"""Reads checkpoints: names and float values, never code.

Strategy: `folder` says which files there are; the kind of each is told by its first bytes, not by its
name. A .pt file goes through torch's restricted unpickler (`weights_only=True`), and before that its
zip directory is checked, so that a small file cannot unfold into a large one. Everything ends as
float32 with the stored type remembered, under names without the prefixes that torch's wrappers add,
beside the configuration that lies with it. Only .pt and .int8.ptz need torch.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from ...errors import CheckpointError
from ...format.tensors.raw_planes import STORAGES, from_storage
from ...runtime.gguf_file import is_gguf
from .configuration import Configuration, configuration_beside, configuration_inside
from .folder import an_adapter, weight_files
from .gguf_tensors import read_gguf_tensors
from .identification import what_it_is
from .int8_checkpoint import check_element_count, decompress, is_int8_state, restore_int8_state
from .listing import listed
from .llama2c import llama2c_sizes, read_llama2c

WRAPPER_KEYS = ("model", "state_dict", "model_state_dict")
WRAPPER_PREFIXES = ("module.", "_orig_mod.")
COMPILED_PART = "_orig_mod"
OPTIMIZER_KEYS = {"state", "param_groups"}
SAFETENSORS_HEADER_BYTES = 1 << 32  # far above what the format allows, far below what eight bytes of another kind say
SAFETENSORS_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
KNOWN_KINDS = (
    "a Hugging Face folder, a .safetensors file, a .pt state_dict, a .gguf file, a llama2.c .bin file or a "
    "final_model.int8.ptz"
)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What a checkpoint holds.

    tensors : dict name -> float32 array      C-contiguous, all finite; in the order of the files
    dtypes : dict name -> str                 type before: "float32" (also for float64, rounded),
        "float16" or "bfloat16"
    path : Path                               names the checkpoint in errors
    configuration : Configuration or None     what lies beside or within it and tells hyperparameters
    notes : tuple of str                      what reading it decoded, chose or left out, in words
    """

    tensors: dict[str, np.ndarray]
    dtypes: dict[str, str]
    path: Path
    configuration: Configuration | None = None
    notes: tuple[str, ...] = ()


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint: a Hugging Face folder, one of its shards or their index (then all shards are
    read), or one file: safetensors, a torch state_dict (bare, or under "model" or "state_dict"),
    GGUF, llama2.c's .bin, int8.ptz.

    Raises CheckpointError, which names the file and what is wrong: not a checkpoint (and what it is
    instead), incomplete, damaged, code in the pickle, tensors that are not floating point, or values
    that are not finite.
    """
    path = Path(path)
    whole = _read_files(weight_files(path), path)
    tensors, dtypes = _without_wrappers(whole.tensors, whole.dtypes, path)
    if any(".lora_" in name for name in tensors):
        raise CheckpointError(f"{path} {an_adapter()}")
    _check_finite(tensors, path)
    beside = configuration_beside(path if path.is_dir() else path.parent)
    return replace(whole, tensors=tensors, dtypes=dtypes, configuration=whole.configuration or beside)


def _read_files(files: Sequence[Path], path: Path) -> Checkpoint:
    if files[0].is_file() and is_gguf(files[0]):
        content = read_gguf_tensors(files)
        return Checkpoint(content.tensors, content.dtypes, path, content.configuration, content.notes)
    return _joined([_read_file(file) for file in files], path)


def _read_file(path: Path) -> Checkpoint:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    return _READERS[_file_kind(data, path)](data, path)


def _joined(parts: Sequence[Checkpoint], path: Path) -> Checkpoint:
    """The shards of a checkpoint as one; each tensor stands in one of them."""
    first, *more = parts
    for part in more:
        twice = next((name for name in part.tensors if name in first.tensors), None)
        if twice is not None:
            raise CheckpointError(f"{part.path} holds {twice!r}, which another shard holds, too; copy the shards again")
        first = replace(first, tensors=first.tensors | part.tensors, dtypes=first.dtypes | part.dtypes)
    return replace(first, path=path)


def _file_kind(data: bytes, path: Path) -> str:
    header_bytes = int.from_bytes(data[:8], "little")
    if data[8:9] == b"{" and header_bytes < SAFETENSORS_HEADER_BYTES:  # before the others: its first bytes are a number
        return "safetensors"
    if llama2c_sizes(data) is not None:
        return "llama2.c"
    if data.startswith((b"PK\x03\x04", b"\x80")):
        return "torch"
    if data[:1] == b"\x78" and len(data) >= 2 and int.from_bytes(data[:2], "big") % 31 == 0:
        return "int8"
    what, way_out = what_it_is(data, path)
    raise CheckpointError(f"{path} is not a checkpoint: {what}; {way_out or f'give {KNOWN_KINDS}'}")


def _read_safetensors(data: bytes, path: Path) -> Checkpoint:
    try:
        records = dict(safetensors.deserialize(data))
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}; copy or write it again") from error
    wrong = [
        f"{name} ({record['dtype']})" for name, record in records.items() if record["dtype"] not in SAFETENSORS_TYPES
    ]
    _refuse_types(wrong, path)
    tensors, dtypes = {}, {}
    for name in sorted(records):
        record, dtype = records[name], SAFETENSORS_TYPES[records[name]["dtype"]]
        tensors[name] = _decode_floats(record["data"], dtype).reshape(record["shape"])
        dtypes[name] = _remembered(dtype)
    return Checkpoint(tensors, dtypes, path)


def _decode_floats(data: bytes, dtype: str) -> np.ndarray:
    """float32 [n] of little-endian bytes."""
    if dtype == "float64":
        return _to_float32(np.frombuffer(data, "<f8"))
    words = np.frombuffer(data, "<u4" if dtype == "float32" else "<u2")
    return from_storage(words, dtype)


def _read_torch(data: bytes, path: Path) -> Checkpoint:
    content = _load_torch(data, path)
    return Checkpoint(*_state_arrays(_state_dict(content, path), path), path, configuration_inside(content))


def _read_llama2c(data: bytes, path: Path) -> Checkpoint:
    tensors, configuration = read_llama2c(data, path)
    return Checkpoint(tensors, dict.fromkeys(tensors, "float32"), path, configuration)


def _read_int8(data: bytes, path: Path) -> Checkpoint:
    content = _load_torch(decompress(data, path), path)
    if not is_int8_state(content):
        raise CheckpointError(
            f"{path} is compressed, but does not hold an int8_clean_per_row_v1 state; give {KNOWN_KINDS}"
        )
    return Checkpoint(*_state_arrays(restore_int8_state(content, path), path), path)


_READERS = {
    "torch": _read_torch,
    "int8": _read_int8,
    "safetensors": _read_safetensors,
    "llama2.c": _read_llama2c,
}


def _load_torch(data: bytes, path: Path) -> Any:
    """What `torch.save` wrote, without running any code of the file's."""
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(
            f"reading {path} needs torch; install bytecap[compile], or give a .safetensors file"
        ) from error
    _check_archive(data, path)
    try:
        with warnings.catch_warnings(action="ignore"):  # what they would say, the error says better
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever the bytes lead it to
        if "weights" in str(error).lower() and type(error).__name__ == "UnpicklingError":
            raise CheckpointError(
                f"{path} is refused: it holds more than weights (pickled objects run code when loaded); "
                "save model.state_dict() alone, or convert it to .safetensors where you trust it"
            ) from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path} is not a whole checkpoint: {reason}; copy or write it again") from error


def _check_archive(data: bytes, path: Path) -> None:
    """Refuse a zip whose entries are compressed or larger than the file: torch.save writes neither."""
    if not data.startswith(b"PK"):
        return
    try:
        entries = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is not a whole checkpoint: {error}; copy or write it again") from error
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or sum(
        entry.file_size for entry in entries
    ) > len(data):
        raise CheckpointError(f"{path} is a compressed archive, which torch.save does not write; give {KNOWN_KINDS}")


def _state_dict(content: Any, path: Path) -> Mapping[str, Any]:
    """The mapping from names to tensors inside what a file holds."""
    import torch

    if isinstance(content, Mapping):
        content = next((content[key] for key in WRAPPER_KEYS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path} holds {_described(content)}, not a state_dict; save model.state_dict()")
    if OPTIMIZER_KEYS <= content.keys():
        raise CheckpointError(
            f"{path} holds the state of an optimizer, not of a model; give the file of the model's state_dict"
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise CheckpointError(
                f"{path}: {name!r} is {_described(value)}, not a tensor; save model.state_dict() "
                f"alone, or under one of {', '.join(WRAPPER_KEYS)}"
            )
    return content


def _described(value: Any) -> str:
    return (
        f"an empty {type(value).__name__}"
        if isinstance(value, Mapping) and not value
        else f"of type {type(value).__name__}"
    )


def _state_arrays(state: Mapping[str, Any], path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """float32 arrays and remembered types of a mapping from names to torch tensors."""
    import torch

    types = {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in state.items()}
    plain = {name for name, tensor in state.items() if tensor.layout is torch.strided and not tensor.is_quantized}
    _refuse_types(
        [f"{name} ({types[name]})" for name in state if name not in plain or types[name] not in (*STORAGES, "float64")],
        path,
    )
    check_element_count(state.values(), path)
    arrays = {
        name: _to_float32(tensor.detach().numpy() if types[name] == "float64" else tensor.detach().float().numpy())
        for name, tensor in state.items()
    }
    return arrays, {name: _remembered(dtype) for name, dtype in types.items()}


def _remembered(dtype: str) -> str:
    return dtype if dtype in STORAGES else "float32"


def _to_float32(values: np.ndarray) -> np.ndarray:
    """C-contiguous float32; what is beyond float32 becomes infinite and is refused later."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, np.float32).reshape(values.shape)


def _refuse_types(wrong: list[str], path: Path) -> None:
    if wrong:
        raise CheckpointError(
            f"{path} has tensors that are not plain floating point: {listed(wrong)}; leave them out or convert them"
        )


def _without_wrappers(
    tensors: dict[str, np.ndarray], dtypes: dict[str, str], path: Path
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Names without what DataParallel and torch.compile put into them."""
    names = {name: name for name in tensors}
    while prefix := next((p for p in WRAPPER_PREFIXES if names and all(n.startswith(p) for n in names.values())), ""):
        names = {name: short.removeprefix(prefix) for name, short in names.items()}
    names = {
        name: ".".join(part for part in short.split(".") if part != COMPILED_PART) for name, short in names.items()
    }
    if len(set(names.values())) != len(names):
        twice = next(short for short in names.values() if list(names.values()).count(short) > 1)
        raise CheckpointError(f"{path} holds {twice!r} twice, with and without a torch.compile prefix; keep one")
    return {names[n]: v for n, v in tensors.items()}, {names[n]: v for n, v in dtypes.items()}


def _check_finite(tensors: Mapping[str, np.ndarray], path: Path) -> None:
    wrong = []
    for name, values in tensors.items():
        finite = np.isfinite(values)
        if not finite.all():
            place = np.unravel_index(int(np.argmin(finite)), values.shape)
            wrong.append(
                f"{name} ({values.size - int(finite.sum()):,} of {values.size:,}, first at {[int(i) for i in place]})"
            )
    if wrong:
        raise CheckpointError(
            f"{path} has weights that are not finite: {listed(wrong)}; the training run diverged, "
            "take an earlier checkpoint"
        )
