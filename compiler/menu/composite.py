"""Quantized matrices that are more than one grid: sums of parts, each of a kind that the format knows.

Strategy: a `CompositeMatrix` answers what the compiler asks of every quantized matrix
(quantize/representation.py). Its parts name stream 1; assembling moves them to theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...format.tensors.terms import Part
from .setting import Setting


@dataclass(frozen=True, slots=True)
class CompositeMatrix:
    """A matrix as the sum of its parts.

    kind, setting : the kind of representation and how it was fitted
    parts : parts of the format in the order of their sum; weights : float32[rows, columns], what they decode to
    predicted_loss : second order, nats a token; bytes : of a trial encode of these parts alone
    """

    kind: str
    setting: Setting
    parts: tuple[Part, ...]
    weights: np.ndarray
    predicted_loss: float
    bytes: int

    @property
    def label(self) -> str:
        """The kind and its setting, in words."""
        return " ".join(map(str, (self.kind, *self.setting.values())))
