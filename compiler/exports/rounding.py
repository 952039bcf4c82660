"""What a storage type changes in the values that are exported.

Strategy: artifacts decode to float32, and a checkpoint of float16 or bfloat16 rounds them once more.
That is measured tensor by tensor, so that an export says how far it is from its artifact. A value that
a type cannot hold at all is refused, since an infinity would be another model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import OutputError
from ...format.tensors.raw_planes import STORAGES, from_storage, to_storage


@dataclass(frozen=True, slots=True)
class Rounding:
    """How an export differs from the artifact it came from.

    weights : int            numbers written
    changed : int            how many of them are not exactly the artifact's
    relative_error : float   root mean square of the differences over that of the values
    """

    weights: int
    changed: int
    relative_error: float


def check_dtype(dtype: str) -> None:
    """Raises OutputError unless `dtype` is a storage type."""
    if dtype not in STORAGES:
        raise OutputError(f"dtype {dtype!r} is not one of {', '.join(STORAGES)}")


def measure_rounding(tensors: Mapping[str, np.ndarray], dtypes: Mapping[str, str]) -> Rounding:
    """Compare float32 tensors with themselves in their `dtypes`.

    Raises OutputError for a value beyond the range of its type.
    """
    weights = changed = 0
    error = power = 0.0
    for name, values in tensors.items():
        dtype = dtypes[name]
        check_dtype(dtype)
        flat = np.ascontiguousarray(values, np.float32).ravel()
        weights += flat.size
        power += float(np.dot(flat, flat.astype(np.float64)))
        if dtype == "float32":
            continue
        with np.errstate(over="ignore"):
            rounded = from_storage(to_storage(flat, dtype), dtype)
        if not np.isfinite(rounded).all():
            largest = float(np.abs(flat).max())
            raise OutputError(f"{name} has values up to {largest:g}, which {dtype} cannot hold; give --dtype float32")
        difference = rounded - flat
        changed += int(np.count_nonzero(difference))
        error += float(np.dot(difference, difference.astype(np.float64)))
    return Rounding(weights, changed, (error / power) ** 0.5 if power else 0.0)
