"""From quantized tensors to whole artifacts: what the landing search tries at a byte price.

Strategy: `Trials` holds everything that does not depend on the byte price. A quick trial quantizes every matrix against the
float model's inputs; a walk quantizes in program order with drift correction and distillation. Both assemble the complete
file, so sizes are exact, never estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..format.assembly import DEFAULT_CODEC, GridInStream, TensorSource, assemble_artifact, encode_grid_stream
from ..format.grid import matrix_shape
from ..format.profiles import registered_profiles
from .calibration import MatrixStatistics, Statistics, embedding_tables
from .landing import Trial
from .model import Model
from .quantization import PreparedMatrix, QuantizedMatrix, zero_matrix
from .recipe import Recipe
from .sequential import count_groups
from .walk import PriceSchedule, Walk

COARSEST_PRICE = 1e30  # every step at its bound
MAX_STREAMS = 8
WEIGHTS_PER_STREAM = 1 << 18


class Trials:
    """Artifacts of one model at any byte price, by the passes of a recipe.

    text : calibration tokens; held_out : int64[n, length] sequences that are not among them
    points : (kind, byte price, bytes, predicted loss in nats a token) of every quick trial, for the report
    """

    def __init__(
        self,
        model: Model,
        statistics: Statistics,
        text: np.ndarray,
        held_out: np.ndarray,
        plan: Recipe,
        provenance: Mapping[str, object],
        *,
        codec: int = DEFAULT_CODEC,
        seed: int,
        device: str,
        threads: int,
    ) -> None:
        self.model, self.statistics, self.plan, self.provenance = model, statistics, plan, provenance
        self.codec = codec
        self.weights = sum(tensor.values.size for tensor in model.tensors)
        self.text, self.held_out = text, held_out
        self.seed, self.device, self.threads = seed, device, threads
        self.points: list[tuple[str, float, int, float]] = []
        self._tables = embedding_tables(model.program)
        self._matrices_at = plan["quantize-matrices"].run(model, statistics, threads=threads)
        self.walked = [i for i in statistics.matrices if i not in self._tables]

    def quick(self, byte_price: float) -> Trial:
        """Every matrix by itself."""
        trial = self._trial(byte_price, {**self._vectors_at(byte_price), **self._matrices_at(byte_price)})
        self.points.append(("quick", byte_price, len(trial.data), sum(q.predicted_loss for q in trial.quantized.values())))
        return trial

    def walk(
        self, quick: Trial, budget: int, bytes_per_octave: float, progress: Callable[[int, int], None], *, distilled: bool = True
    ) -> Walk:
        """Every matrix in program order with drift correction and distillation; tables that embed keep their quick result."""
        sizes = {i: len(encode_grid_stream([quick.quantized[i].grid])) for i in self.walked}
        left = budget - (len(quick.data) - sum(sizes.values()))
        weights = {i: self.model.tensors[i].values.size for i in self.walked}
        finest = self.plan["land-on-cap"].finest_price(self.weights)
        schedule = PriceSchedule(quick.byte_price, finest, sizes, weights, bytes_per_octave, left)
        quantizer, distil = self.plan["quantize-matrices"], self.plan["distil"]
        opened: list[tuple[int, float, PreparedMatrix]] = []

        def quantize(index: int, target: np.ndarray, real: MatrixStatistics) -> QuantizedMatrix:
            opened[:] = [(index, schedule.price(), quantizer.prepare(target, real))]
            result = quantizer.quantize(opened[0][2], opened[0][1])
            schedule.spend(index, len(encode_grid_stream([result.grid])), opened[0][1])
            progress(len(weights) - len(schedule.rest()), len(weights))
            return result

        distiller = refine = None
        if distilled and distil.enabled and len(self.held_out):
            distiller = distil.run(
                self.model, self.statistics, self.text, self.held_out, seed=self.seed, device=self.device, threads=self.threads
            )
            refine = distil.refine(distiller, quick.quantized, count_groups(self.model.program, self.walked))
        kept = {i: q for i, q in quick.quantized.items() if i not in weights}
        quantized = self.plan["correct-drift"].run(
            self.model, self.statistics, self.text, kept, quantize,
            damping=quantizer.damping, refine=refine, threads=self.threads,
        )  # fmt: skip
        if distiller is not None:
            tuned = distil.finish(distiller, quantized, self.statistics.vectors)
            quantized = {**quantized, **self._vectors_at(quick.byte_price, tuned)}
        last, last_price, prepared = opened[0]
        return Walk(
            quick.byte_price, quantized, last, last_price, lambda price: quantizer.quantize(prepared, price), self._assemble
        )

    def smallest(self) -> Trial:
        """The artifact with every code of every matrix zero and the control tensors as coarse as they may be."""
        zero = {i: zero_matrix(matrix_shape(self.model.tensors[i].values.shape)) for i in self.statistics.matrices}
        return self._trial(COARSEST_PRICE, {**self._vectors_at(COARSEST_PRICE), **zero})

    def _vectors_at(self, byte_price: float, tuned: Mapping[int, np.ndarray] | None = None) -> Mapping[int, QuantizedMatrix]:
        return self.plan["quantize-vectors"].run(self.model, self.statistics, byte_price, tuned)

    def _assemble(self, quantized: Mapping[int, QuantizedMatrix]) -> bytes:
        return assemble_model(self.model, quantized, self.provenance, self.codec)

    def _trial(self, byte_price: float, quantized: Mapping[int, QuantizedMatrix]) -> Trial:
        return Trial(byte_price, self._assemble(quantized), quantized)

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
