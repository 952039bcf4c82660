"""What a storage type changes in the values that are exported.

Strategy: artifacts decode to float32, and a checkpoint of float16 or bfloat16 rounds them once more.
That is measured tensor by tensor, so that an export says how far it is from its artifact. A value that
a type cannot hold at all is refused, since an infinity would be another model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ...errors import OutputError
from ...files.nearest_name import nearest_name
from ...format.tensors.raw_planes import STORAGES, from_storage, to_storage

Kind = TypeVar("Kind")


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
        nearest = nearest_name(dtype, STORAGES)
        meant = "" if nearest is None else f"; did you mean {nearest!r}?"
        raise OutputError(f"dtype {dtype!r} is not one of {', '.join(STORAGES)}{meant}")


def measure_rounding(tensors: Mapping[str, np.ndarray], dtypes: Mapping[str, str]) -> Rounding:
    """Compare float32 tensors with themselves in their `dtypes`.

    Raises OutputError for a value beyond the range of its type.
    """
    for dtype in dtypes.values():
        check_dtype(dtype)
    return compare_rounded(tensors, dtypes, lambda values, dtype: from_storage(to_storage(values, dtype), dtype))


def compare_rounded(
    tensors: Mapping[str, np.ndarray], kinds: Mapping[str, Kind], rounded_as: Callable[[np.ndarray, Kind], np.ndarray]
) -> Rounding:
    """Compare float32 tensors with what `rounded_as(values, kind)` makes of them.

    Raises OutputError for a value beyond the range of its kind.
    """
    weights = changed = 0
    error = power = 0.0
    for name, values in tensors.items():
        exact = np.ascontiguousarray(values, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = rounded_as(exact, kinds[name]).ravel()
        exact = exact.ravel()
        if not np.isfinite(rounded).all():
            largest = float(np.abs(exact).max())
            raise OutputError(
                f"{name} has values up to {largest:g}, which {kinds[name]} cannot hold; give --dtype float32"
            )
        difference = rounded - exact
        weights += exact.size
        changed += int(np.count_nonzero(difference))
        power += float(np.dot(exact, exact.astype(np.float64)))
        error += float(np.dot(difference, difference.astype(np.float64)))
    return Rounding(weights, changed, (error / power) ** 0.5 if power else 0.0)
