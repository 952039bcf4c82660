"""From quantized tensors to whole artifacts: what the landing search tries at a byte price.

Strategy: `Trials` holds everything that does not depend on the byte price. A quick trial quantizes every matrix against the
float model's inputs; a full trial quantizes in program order with drift correction. Both assemble the complete file, so
sizes are exact, never estimated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..format.assembly import DEFAULT_CODEC, GridInStream, TensorSource, assemble_artifact
from ..format.grid import GridValues, matrix_shape
from ..format.profiles import registered_profiles
from .calibration import Statistics, embedding_tables
from .landing import Trial
from .model import Model
from .quantization import QuantizedMatrix
from .recipe import Recipe

COARSEST_PRICE = 1e30  # every step at its bound
MAX_STREAMS = 8
WEIGHTS_PER_STREAM = 1 << 18


class Trials:
    """Artifacts of one model at any byte price, by the passes of a recipe."""

    def __init__(
        self,
        model: Model,
        statistics: Statistics,
        text: np.ndarray,
        plan: Recipe,
        provenance: Mapping[str, object],
        threads: int,
        codec: int = DEFAULT_CODEC,
    ) -> None:
        self.model, self.provenance, self.codec = model, provenance, codec
        self.weights = sum(tensor.values.size for tensor in model.tensors)
        self._tables = embedding_tables(model.program)
        self._matrices = tuple(statistics.matrices)
        self._vectors_at = plan["quantize-vectors"].run(model, statistics)
        self._matrices_at = plan["quantize-matrices"].run(model, statistics, threads=threads)
        self._corrected_at = plan["correct-drift"].run(model, statistics, text, plan["quantize-matrices"], threads=threads)

    def quick(self, byte_price: float) -> Trial:
        """Every matrix by itself."""
        return self._trial(byte_price, {**self._vectors_at(byte_price), **self._matrices_at(byte_price)})

    def full(self, byte_price: float) -> Trial:
        """In program order with drift correction; tables that embed keep their quick result."""
        quantized = {**self._vectors_at(byte_price), **self._matrices_at(byte_price, self._tables)}
        return self._trial(byte_price, self._corrected_at(byte_price, quantized))

    def smallest(self) -> Trial:
        """The artifact with every code of every matrix zero and the control tensors as coarse as they may be."""
        zero = {}
        for index in self._matrices:
            shape = matrix_shape(self.model.tensors[index].values.shape)
            grid = GridValues(np.zeros(shape, np.int32), None, None, 1.0, 0)
            zero[index] = QuantizedMatrix(grid, np.zeros(shape, np.float32), 0.0)
        return self._trial(COARSEST_PRICE, {**self._vectors_at(COARSEST_PRICE), **zero})

    def _trial(self, byte_price: float, quantized: Mapping[int, QuantizedMatrix]) -> Trial:
        return Trial(byte_price, assemble_model(self.model, quantized, self.provenance, self.codec), quantized)

    def profile_bytes(self, trial: Trial) -> dict[str, int]:
        """Whole-artifact bytes of a trial's integers under every profile."""
        return {
            profile: len(trial.data if codec == self.codec else assemble_model(self.model, trial.quantized, self.provenance, codec))
            for profile, codec in registered_profiles().items()
        }


def assemble_model(
    model: Model, quantized: Mapping[int, QuantizedMatrix], provenance: Mapping[str, object], codec: int = DEFAULT_CODEC
) -> bytes:
    """The artifact of a model whose tensors are all on grids."""
    streams = assign_streams([t.values.size for t in model.tensors])
    sources = [
        TensorSource(t.name, t.values.shape, t.dtype, (GridInStream(quantized[i].grid, streams[i]),))
        for i, t in enumerate(model.tensors)
    ]
    return assemble_artifact(model.program, sources, provenance, codec)


def assign_streams(sizes: Sequence[int]) -> list[int]:
    """Stream (1..) of each tensor: largest first into the least filled of a few streams, so that they decode in parallel."""
    count = min(MAX_STREAMS, max(1, sum(sizes) // WEIGHTS_PER_STREAM), len(sizes))
    filled = [0] * count
    streams = [1] * len(sizes)
    for index in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        lightest = min(range(count), key=lambda s: filled[s])
        streams[index] = lightest + 1
        filled[lightest] += sizes[index]
    return streams
