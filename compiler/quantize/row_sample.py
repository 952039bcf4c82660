"""Some rows of a matrix in place of all: what a byte price makes of them tells the bytes of the whole.

Strategy: given the steps, the rows of a matrix are quantized alike and nearly by themselves, so a share of them,
spread evenly, costs that share of the bytes. Coupled rows keep the steps that coupling gives them, but do not make up
for each other: what that changes in bytes is within the error of the sample.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...format.assembly import encode_grid_stream
from ..scratch_file import KeptArray, ScratchFile
from ..settings import RowSampleSettings
from .grid_matrix import PreparedMatrix, QuantizedMatrix


@dataclass(frozen=True, slots=True)
class SampledMatrix:
    """What a sample says of a matrix at a byte price.

    bytes : of its integers; predicted_loss : nats a token; error : root mean square over its weights
    """

    bytes: int
    predicted_loss: float
    error: float


def chosen_rows(rows: int, settings: RowSampleSettings) -> np.ndarray:
    """int64[n]: which of so many rows a sample has, as many as the settings ask for."""
    count = min(rows, max(settings.least, round(settings.share * rows)))
    return np.arange(count) * rows // count


@dataclass(frozen=True, slots=True)
class RowSample:
    """Prepared rows of a matrix, `times` of which make the whole; their factor is put aside."""

    rows: PreparedMatrix
    factor: KeptArray
    times: float

    @classmethod
    def of(cls, prepared: PreparedMatrix, rows: int, scratch: ScratchFile) -> RowSample:
        """What stands for a matrix of so many rows."""
        times = rows / len(prepared.weights)
        return cls(replace(prepared, factor=np.empty((0, 0))), scratch.keep(prepared.factor), times)

    @property
    def prepared(self) -> PreparedMatrix:
        """The rows, ready to be quantized."""
        return replace(self.rows, factor=self.factor.load())

    def estimate(self, found: QuantizedMatrix) -> SampledMatrix:
        """What the quantized rows say of the whole matrix."""
        natural = np.empty_like(self.rows.weights)
        natural[:, self.rows.order] = self.rows.weights
        error = float(np.sqrt(np.mean(np.square(np.subtract(found.weights, natural, dtype=np.float64)))))
        n_bytes = round(len(encode_grid_stream([found.grid])) * self.times)
        return SampledMatrix(n_bytes, found.predicted_loss * self.times, error)
