"""What a checkpoint's file is read to, beside what was written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint


def assert_reads(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """The file has these tensors, whole and in one piece each."""
    read = read_checkpoint(path)
    assert read.tensors.keys() == state.keys() and read.path == path
    for name, values in state.items():
        assert read.tensors[name].flags.c_contiguous and np.array_equal(read.tensors[name], values), name
