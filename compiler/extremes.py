"""Weights too large or too small to compute with become one error that names their tensor.

Strategy: a weight of 1e20 overflows in moments, factors and integers of tensors that are innocent, and in many kinds of
arithmetic. So a stage as a whole is watched, and its error names the tensor whose own weights are the most extreme, or
else the one that was worked on, where whoever worked on it has said so. Where neither is known, an arithmetic error is
a fault of ours and stays what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..errors import CompileError
from .model.model import Model

LARGE, SMALL = 1e8, 1e-8  # the largest weight of a tensor that was trained well is between these


@dataclass(frozen=True, slots=True)
class Extreme:
    """A tensor and its largest weight, in magnitude."""

    name: str
    largest: float


def find_extreme(model: Model) -> Extreme | None:
    """The tensor whose largest weight is the farthest from those of others; None where no one's is far."""
    largest = {t.name: float(np.abs(t.values).max()) for t in model.tensors if t.values.size and t.values.any()}
    for choose, far in ((max, lambda value: value >= LARGE), (min, lambda value: value <= SMALL)):
        name = choose(largest, key=lambda each: largest[each], default=None)
        if name is not None and far(largest[name]):
            return Extreme(name, largest[name])
    return None


@contextmanager
def naming_extremes(found: Model | Extreme | None) -> Iterator[None]:
    """A CompileError in place of what the weights of a model make of arithmetic.

    found : the model, which is looked through where there is an error; or what was found in it as it was read, where
        it has been rewritten since, which moves magnitudes from tensor to tensor
    """
    try:
        yield
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        extreme = find_extreme(found) if isinstance(found, Model) else found
        words = _of_tensor(error) if extreme is None else _of_extreme(extreme, error)
        if words is None:
            raise
        raise CompileError(words) from error


@contextmanager
def naming_tensor(name: str) -> Iterator[None]:
    """Have `naming_extremes` know, of an overflow, which tensor was worked on."""
    try:
        yield
    except ArithmeticError as error:
        error.add_note(name)
        raise


def _of_extreme(extreme: Extreme, error: Exception) -> str:
    return (
        f"{extreme.name}: its largest weight is {extreme.largest:.3g}, which cannot be computed with ({error}); the "
        "training run diverged, take an earlier checkpoint, or rescale this tensor and what it is multiplied with"
    )


def _of_tensor(error: Exception) -> str | None:
    """What is said of the tensor that was worked on."""
    for name in getattr(error, "__notes__", ()):
        return (
            f"{name}: its rows and columns are of too many magnitudes for one grid of steps ({error}); "
            "rescale its units, in this tensor and the one before it, to rows and columns of like size"
        )
    return None
