"""Tensors of an artifact that was made before, for measuring them in the place of a model's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bytecap.compiler.model.model import Model
from bytecap.format.artifact import decode_tensors, read_artifact


def decoded_arrays(path: Path, model: Model) -> list[np.ndarray]:
    """The tensors of an artifact; SystemExit where they have other shapes than the model's."""
    arrays = decode_tensors(read_artifact(path.read_bytes()))
    if [array.shape for array in arrays] != [tensor.values.shape for tensor in model.tensors]:
        raise SystemExit(f"{path} holds tensors of other shapes than the float model; name an artifact of that model")
    return arrays
