"""Writes tensors as an ordinary checkpoint: .safetensors (without torch) or .pt.

Strategy: tensors keep the names, shapes and types they had in the checkpoint that was compiled. Files appear whole or
not at all. The inverse is `checkpoint.read_checkpoint`.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors

from ...errors import OutputError
from ...files.output import write_output
from ...format.tensors.raw_planes import to_storage

METADATA = "__metadata__"
METADATA_OF_STATE = "bytecap"
SUFFIXES = (".safetensors", ".pt")


def export_checkpoint(
    names: Sequence[str],
    arrays: Sequence[np.ndarray],
    dtypes: Sequence[str],
    path: str | Path,
    force: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write float32 `arrays` rounded to their `dtypes` ("float32", "float16", "bfloat16") under their `names`.

    Exact for values that came out of a checkpoint with that type. The bytes depend on the arguments alone; `metadata`
    stands in the header of a .safetensors file, and in a .pt file where a module's state_dict has what is no tensor.
    Raises OutputError for a suffix other than .safetensors and .pt, for an existing file without `force`, and for
    anything that keeps the file from being written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(
            f"{path}: a checkpoint is written as {' or '.join(SUFFIXES)}; give the output one of these endings"
        )
    if path.suffix.lower() == ".pt":
        data = encode_state_dict(names, arrays, dtypes, metadata)
    else:
        data = encode_safetensors(names, arrays, dtypes, metadata)
    write_output(path, data, force=force)


def encode_safetensors(
    names: Sequence[str],
    arrays: Sequence[np.ndarray],
    dtypes: Sequence[str],
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of a safetensors file; `metadata` stands in its header.

    Raises OutputError for a tensor with the name under which the header keeps that.
    """
    if METADATA in names:
        raise OutputError(f"a .safetensors file cannot hold a tensor that is named {METADATA!r}; write a .pt file")
    words = [to_storage(array, dtype) for array, dtype in zip(arrays, dtypes, strict=True)]  # alive until serialized
    specifications = {
        name: safetensors.TensorSpec(
            dtype=dtype, shape=list(array.shape), data_ptr=data.ctypes.data, data_len=data.nbytes
        )
        for name, array, dtype, data in zip(names, arrays, dtypes, words, strict=True)
    }
    return bytes(safetensors.serialize(specifications, None if metadata is None else dict(metadata)))


def encode_state_dict(
    names: Sequence[str],
    arrays: Sequence[np.ndarray],
    dtypes: Sequence[str],
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of a file that `torch.load` reads as a state_dict. Raises OutputError where torch is not installed.

    `metadata` stands under `METADATA_OF_STATE` of the whole module in the dictionary's attribute `_metadata`, which
    modules write and read past.
    """
    try:
        import torch
    except ImportError as error:
        raise OutputError("writing a .pt file needs torch; write .safetensors, or install bytecap[compile]") from error
    state = OrderedDict(
        (name, torch.from_numpy(np.array(array, np.float32)).to(getattr(torch, dtype)))
        for name, array, dtype in zip(names, arrays, dtypes, strict=True)
    )
    if metadata is not None:
        vars(state)["_metadata"] = {"": {METADATA_OF_STATE: dict(metadata)}}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
