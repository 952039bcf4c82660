"""Quantized matrices that are more than one grid: sums of parts, each of a kind that the format knows.

Strategy: a `CompositeMatrix` answers what the compiler asks of every quantized matrix (quantize/representation.py). Its parts name
stream 1; assembling moves them to theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...format.artifact import sum_terms
from ...format.tensors.parts import Codebooks, Part, reconstruct_part


@dataclass(frozen=True, slots=True)
class CompositeMatrix:
    """A matrix as the sum of its parts.

    kind, setting : the kind of candidate and its setting, as the registry knows them
    parts : parts of the format in the order of their sum; weights : float32[rows, columns], what they decode to
    predicted_loss : second order, nats a token; bytes : of a trial encode of these parts alone
    """

    kind: str
    setting: tuple[str | int, ...]
    parts: tuple[Part, ...]
    weights: np.ndarray
    predicted_loss: float
    bytes: int

    @property
    def label(self) -> str:
        """The kind and its setting, in words."""
        return " ".join(map(str, (self.kind, *self.setting)))


def reconstruct_parts(
    parts: Sequence[Part], shape: tuple[int, int], earlier: Mapping[int, np.ndarray], codebooks: Codebooks | None = None
) -> np.ndarray:
    """float32[rows, columns] that these parts decode to.

    earlier : weights of the tensors that an alias may name; codebooks : codewords that a part may refer to
    """
    return sum_terms([reconstruct_part(part, shape, arrays=earlier, codebooks=codebooks) for part in parts])
