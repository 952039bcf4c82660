"""Reads checkpoints: names and float values, never code.

Strategy: the kind of file is told by its first bytes, not by its name. A .pt file goes through torch's restricted
unpickler (`weights_only=True`), and before that its zip directory is checked, so that a small file cannot unfold into a
large one. Everything ends as float32 with the stored type remembered, under names without the prefixes that torch's
wrappers add. Only .pt and .int8.ptz need torch.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from ...errors import CheckpointError
from ...format.tensors.raw_planes import STORAGES, from_storage
from .int8_checkpoint import check_element_count, decompress, is_int8_state, restore_int8_state

WRAPPER_KEYS = ("model", "state_dict", "model_state_dict")
WRAPPER_PREFIXES = ("module.", "_orig_mod.")
COMPILED_PART = "_orig_mod"
SAFETENSORS_HEADER_BYTES = 1 << 32  # far above what the format allows, far below what eight bytes of another kind say
SAFETENSORS_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
KNOWN_KINDS = "a .pt state_dict, a .safetensors file or a final_model.int8.ptz"
NAMES_IN_A_MESSAGE = 5


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What a checkpoint file holds.

    tensors : dict name -> float32 array   C-contiguous, all finite; in the file's order
    dtypes : dict name -> str              type before: "float32" (also for float64, rounded), "float16" or "bfloat16"
    path : Path                            names the file in errors
    """

    tensors: dict[str, np.ndarray]
    dtypes: dict[str, str]
    path: Path


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint: a torch state_dict (bare, or under "model" or "state_dict"), safetensors or int8.ptz.

    Raises CheckpointError, which names the file and what is wrong: not a checkpoint, damaged, code in the pickle,
    tensors that are not floating point, or values that are not finite.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    tensors, dtypes = _READERS[_file_kind(data, path)](data, path)
    tensors, dtypes = _without_wrappers(tensors, dtypes, path)
    _check_finite(tensors, path)
    return Checkpoint(tensors, dtypes, path)


def _file_kind(data: bytes, path: Path) -> str:
    header_bytes = int.from_bytes(data[:8], "little")
    if data[8:9] == b"{" and header_bytes < SAFETENSORS_HEADER_BYTES:  # before the others: its first bytes are a number
        return "safetensors"
    if data.startswith((b"PK\x03\x04", b"\x80")):
        return "torch"
    if data[:1] == b"\x78" and len(data) >= 2 and int.from_bytes(data[:2], "big") % 31 == 0:
        return "int8"
    found = "it is empty" if not data else f"it begins with {data[:8].hex(' ')}"
    if data.startswith(b"\x89BCAP"):
        found = "it is a compiled artifact"
    raise CheckpointError(f"{path} is not a checkpoint: {found}; give {KNOWN_KINDS}")


def _read_safetensors(data: bytes, path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
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
    return tensors, dtypes


def _decode_floats(data: bytes, dtype: str) -> np.ndarray:
    """float32 [n] of little-endian bytes."""
    if dtype == "float64":
        return _to_float32(np.frombuffer(data, "<f8"))
    words = np.frombuffer(data, "<u4" if dtype == "float32" else "<u2")
    return from_storage(words, dtype)


def _read_torch(data: bytes, path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    return _state_arrays(_state_dict(_load_torch(data, path), path), path)


def _read_int8(data: bytes, path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    content = _load_torch(decompress(data, path), path)
    if not is_int8_state(content):
        raise CheckpointError(
            f"{path} is compressed, but does not hold an int8_clean_per_row_v1 state; give {KNOWN_KINDS}"
        )
    return _state_arrays(restore_int8_state(content, path), path)


_READERS = {"torch": _read_torch, "int8": _read_int8, "safetensors": _read_safetensors}


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
            f"{path} has tensors that are not plain floating point: {_listed(wrong)}; leave them out or convert them"
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
            f"{path} has weights that are not finite: {_listed(wrong)}; the training run diverged, "
            "take an earlier checkpoint"
        )


def _listed(items: list[str]) -> str:
    more = len(items) - NAMES_IN_A_MESSAGE
    return ", ".join(items[:NAMES_IN_A_MESSAGE]) + (f" and {more} more" if more > 0 else "")
