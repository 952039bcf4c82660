"""`python ggml_files.py SOURCE.gguf FOLDER IMATRIX.npz TYPE...`: GGUF files of a model in several types, by llama.cpp.

Strategy: runs in an environment of its own, where llama-cpp-python is installed, and imports nothing of bytecap. The
source is made float32 first and every type from that, with the importance matrix (mean square of every input, as
llama-imatrix measures it). Prints one line of JSON a file: type, path, bytes, and how often each tensor type stands in
it, because llama.cpp falls back to other types where rows are no multiple of 256 weights.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path

import llama_cpp
import numpy as np

FLOAT32 = 0


def importance(path: Path) -> tuple[ctypes.Array, list[np.ndarray]]:
    """The importance matrix as llama.cpp takes it, ended by an entry without a name; and what it points into."""
    with np.load(path) as stored:
        arrays = {name: np.ascontiguousarray(stored[name], np.float32) for name in stored.files}
    entries = (llama_cpp.llama_model_imatrix_data * (len(arrays) + 1))()
    for entry, (name, array) in zip(entries, arrays.items(), strict=False):
        entry.name = name.encode()
        entry.data = array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entry.size = array.size
    return entries, list(arrays.values())


def quantize(source: Path, target: Path, file_type: int, entries: ctypes.Array | None) -> None:
    """Write `target`; llama.cpp's own choice of a type for each tensor."""
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.nthread, parameters.ftype, parameters.allow_requantize = 1, file_type, True
    if entries is not None:
        parameters.imatrix = ctypes.cast(entries, ctypes.POINTER(llama_cpp.llama_model_imatrix_data))
    failed = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(parameters))
    if failed:
        raise SystemExit(f"llama.cpp could not write {target}")


def main() -> None:
    source, folder, matrix, *types = sys.argv[1:]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / "F32.gguf"
    if not plain.is_file():
        quantize(Path(source), plain, FLOAT32, None)
    entries, _kept = importance(Path(matrix))
    for name in types:
        target = folder / f"{name}.gguf"
        quantize(plain, target, getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{name}"), entries)
        print(json.dumps({"type": name, "path": str(target), "bytes": target.stat().st_size}), flush=True)


if __name__ == "__main__":
    main()
