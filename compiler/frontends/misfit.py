"""What of a checkpoint's tensors does not fit an architecture.

Strategy: a frontend says which names and shapes it expects; the comparison and its words are the same
for every family.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ..checkpoints.listing import listed

NAMES_IN_A_MESSAGE = 8


def misfit(
    tensors: Mapping[str, np.ndarray],
    expected: Mapping[str, tuple[int, ...]],
    *,
    optional: Collection[str] = (),
    surplus: Collection[str] = (),
) -> str:
    """The missing, unexpected and misshapen tensors in words; empty when there are none.

    optional : names that may be missing; surplus : names that may be there although nothing expects them
    """
    lists = {
        "missing": [name for name in expected if name not in tensors and name not in optional],
        "unexpected": [name for name in tensors if name not in expected and name not in surplus],
        "misshapen": [
            f"{name} is {list(tensors[name].shape)}, expected {list(shape)}"
            for name, shape in expected.items()
            if name in tensors and tensors[name].shape != shape
        ],
    }
    return "; ".join(f"{kind}: {listed(names, NAMES_IN_A_MESSAGE)}" for kind, names in lists.items() if names)
