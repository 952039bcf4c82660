"""From quantized tensors to whole artifacts: what the landing search tries at a byte price.

Strategy: `Trials` holds everything that does not depend on the byte price. A quick trial quantizes every matrix against the
float model's inputs; a walk quantizes in program order with drift correction and distillation. Both assemble the complete
file, so sizes are exact, never estimated. A matrix is a grid unless `choose` found a kind of candidate that pays; its choice
is then fitted again in every trial and walk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ...format.assembly import DEFAULT_CODEC, TensorSource, assemble_artifact, encode_grid_stream
from ...format.tensors.grid import matrix_shape
from ...progress import StageProgress
from ..menu.choosing import ALIAS, Allocation, Offer, aliases_of, confirm_largest
from ..menu.kinds import Unit
from ..model.attention_heads import head_lines
from ..model.groups import find_groups
from ..model.model import Model
from ..model.structure import embedding_tables, find_head, token_tables
from ..profiles import profile_codecs
from ..quantize.composite import CompositeMatrix, Quantized, in_stream, is_coded
from ..quantize.gptq import QuantizedMatrix, zero_matrix
from ..quantize.sequential import count_groups
from ..recipe import Recipe
from ..rewrites.head_bias import mean_error, quantize_bias
from ..statistics.calibration import MatrixStatistics, Statistics
from ..workers import run_jobs
from .landing import Trial
from .walk import PriceSchedule, Walk

COARSEST_PRICE = 1e30  # every step at its bound
MAX_STREAMS = 8
WEIGHTS_PER_STREAM = 1 << 18


class Trials:
    """Artifacts of one model at any byte price, by the passes of a recipe.

    text : calibration tokens; held_out : int64[n, length] sequences that are not among them
    groupings : int64[vocabulary] group of each token by the name of a grouping, where the tokenizer is known
    points : (kind, byte price, bytes, predicted loss in nats a token) of every quick trial, for the report
    allocation : menus and choices, once `choose` has run
    keep_targets : whether walks keep what they quantized each matrix against, for an explanation
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
        groupings: Mapping[str, np.ndarray] | None = None,
        seed: int,
        device: str,
        threads: int,
        keep_targets: bool = False,
    ) -> None:
        self.model, self.statistics, self.plan, self.provenance = model, statistics, plan, provenance
        self.codec = codec
        self.weights = sum(tensor.values.size for tensor in model.tensors)
        self.text, self.held_out = text, held_out
        self.seed, self.device, self.threads, self.keep_targets = seed, device, threads, keep_targets
        self.points: list[tuple[str, float, int, float]] = []
        self._tables = embedding_tables(model.program)
        self._heads = head_lines(model.program, [tensor.values.shape for tensor in model.tensors])
        self._groupings = dict.fromkeys(token_tables(model.program), groupings or {})
        self._matrices_at = plan["quantize-matrices"].run(model, statistics, threads=threads)
        self.walked = [i for i in statistics.matrices if i not in self._tables]
        self.allocation: Allocation | None = None
        self.choices: Mapping[int, Offer] = {}

    def quick(self, byte_price: float) -> Trial:
        """Every matrix by itself."""
        trial = self.complete(byte_price, self._all_matrices_at(byte_price))
        self.points.append(
            ("quick", byte_price, len(trial.data), sum(q.predicted_loss for q in trial.quantized.values()))
        )
        return trial

    def choose(self, plain: Trial, progress: StageProgress) -> bool:
        """Offer every matrix other kinds at the byte price of a trial of plain grids; True when some of them pay.

        They are dropped when the artifact with them is not smaller at equal predicted loss, whatever their menus said.
        """
        chooser = self.plan["choose-candidates"]
        if not chooser.enabled:
            return False
        price, weights = plain.byte_price, self._weights_of(plain.quantized)
        indexes = sorted(self.statistics.matrices)
        units = {i: partial(self.unit, i, price, self.earlier(i, weights)) for i in indexes}
        fixed = {max(self.walked)} if self.walked else set()
        groups = find_groups(self.model, self.walked)
        self.allocation = chooser.run(units, fixed, groups, threads=self.threads, progress=progress)
        if self.allocation.chosen and chooser.confirmed and len(self.held_out):
            fitted = [
                {i: offer.fit(units[i]()).weights for i, offer in bundle.items()}
                for bundle in self.allocation.largest(chooser.confirmed)
            ]
            self.allocation = confirm_largest(
                self.model, self.allocation, weights, fitted, self.held_out, threads=self.threads
            )
        self.choices = self.allocation.with_sources()
        return bool(self.choices) and self.keep_choices(plain, self.quick(price))

    def keep_choices(self, plain: Trial, chosen: Trial) -> bool:
        """Whether an artifact with the choices is smaller than one of plain grids at equal predicted loss; if not, all are dropped."""
        if not self.allocation.pays(plain, chosen):
            self.choices = {}
        return bool(self.choices)

    def _all_matrices_at(self, byte_price: float) -> Mapping[int, Quantized]:
        """Plain grids first, then what was chosen for other matrices, those that name an earlier tensor last and in order."""
        results = dict(
            self._matrices_at(byte_price, only=[i for i in self.statistics.matrices if i not in self.choices])
        )
        alone = [i for i in self.choices if self.choices[i].kind != ALIAS]
        fitted = run_jobs(lambda i: self._fit(i, byte_price, {}), alone, self.threads)
        results |= dict(zip(alone, fitted, strict=True))
        for index in sorted(i for i in self.choices if i not in results):
            earlier = self.earlier(index, self._weights_of(results))
            results[index] = self._fit(index, byte_price, earlier)
        return results

    def _fit(
        self,
        index: int,
        byte_price: float,
        earlier: Mapping[int, np.ndarray],
        *own: np.ndarray | MatrixStatistics | None,
    ) -> Quantized:
        """A matrix as it was chosen; own : target and statistics of the walk. What others are aliases of is fitted to all its uses."""
        unit, uses = self.unit(index, byte_price, earlier, *own), aliases_of(index, self.choices)
        if not uses:
            return self.choices[index].fit(unit)
        measured = [unit.statistics, *(self.statistics.matrices[i] for i in uses)]
        hessian = sum(each.hessian for each in measured) / len(measured)
        outputs = [each.output_fisher for each in measured]
        shared = MatrixStatistics(
            hessian,
            sum(each.row_fisher for each in measured),
            None if any(each is None for each in outputs) else sum(outputs),
        )
        found = self.choices[index].fit(replace(unit, statistics=shared, prepared=None))
        return replace(found, predicted_loss=unit.loss(found.weights))

    def unit(
        self,
        index: int,
        byte_price: float,
        earlier: Mapping[int, np.ndarray],
        target: np.ndarray | None = None,
        statistics: MatrixStatistics | None = None,
    ) -> Unit:
        """What a candidate of this matrix is fitted to: its own weights and statistics unless others are given."""
        values = self.model.tensors[index].values if target is None else target
        target = values.reshape(matrix_shape(values.shape)).astype(np.float64)
        measured, groupings = statistics or self.statistics.matrices[index], self._groupings.get(index, {})
        return Unit(
            target,
            measured,
            self.plan["quantize-matrices"],
            byte_price,
            self.codec,
            earlier,
            groupings,
            heads=self._heads.get(index),
        )

    def earlier(self, index: int, weights: Mapping[int, np.ndarray]) -> Mapping[int, np.ndarray]:
        """Matrices before `index` of its shape, which it may be an alias of; a table names tables only, which walks leave alone."""
        shape, sources = (
            self.model.tensors[index].values.shape,
            self._tables if index in self._tables else self.statistics.matrices,
        )
        return {
            i: w
            for i, w in weights.items()
            if i < index and i in sources and self.model.tensors[i].values.shape == shape
        }

    @staticmethod
    def _weights_of(quantized: Mapping[int, Quantized]) -> dict[int, np.ndarray]:
        return {i: q.weights for i, q in quantized.items()}

    def walk(
        self,
        quick: Trial,
        budget: int,
        bytes_per_octave: float,
        progress: StageProgress,
        *,
        distilled: bool = True,
    ) -> Walk:
        """Every matrix in program order with drift correction and distillation; tables that embed keep their quick result."""
        sizes = {i: _bytes_alone(quick.quantized[i]) for i in self.walked}
        left = budget - (len(quick.data) - sum(sizes.values()))
        weights = {
            i: self.model.tensors[i].values.size if i not in self.choices or self.choices[i].follows_price else 0
            for i in self.walked
        }
        finest = self.plan["land-on-cap"].finest_price(self.weights)
        schedule = PriceSchedule(quick.byte_price, finest, sizes, weights, bytes_per_octave, left)
        quantizer, distil = self.plan["quantize-matrices"], self.plan["distil"]
        kept = {i: q for i, q in quick.quantized.items() if i not in weights}
        decided = self._weights_of(kept)
        opened: list[tuple[int, float, Callable[[float], Quantized]]] = []
        targets: dict[int, tuple[np.ndarray, MatrixStatistics]] = {}

        def quantize(index: int, target: np.ndarray, real: MatrixStatistics) -> Quantized:
            if self.keep_targets:
                targets[index] = target.astype(np.float32), real
            at = self._quantize_at(index, target, real, self.earlier(index, decided))
            opened[:] = [(index, schedule.price(), at)]
            result = at(opened[0][1])
            decided[index] = result.weights
            schedule.spend(index, _bytes_alone(result), opened[0][1])
            progress(len(weights) - len(schedule.rest()), len(weights))
            return result

        distiller = refine = None
        if distilled and distil.enabled and len(self.held_out):
            distiller = distil.run(
                self.model,
                self.statistics,
                self.text,
                self.held_out,
                seed=self.seed,
                device=self.device,
                threads=self.threads,
            )
            refine = distil.refine(distiller, quick.quantized, count_groups(self.model.program, self.walked))
        quantized = self.plan["correct-drift"].run(
            self.model, self.statistics, self.text, kept, quantize,
            damping=quantizer.damping, refine=refine, threads=self.threads,
        )  # fmt: skip
        if distiller is not None:
            tuned = distil.finish(distiller, quantized, self.statistics.vectors)
            quantized = {**quantized, **self._vectors_at(quick.byte_price, tuned)}
        quantized = {**quantized, **self._bias_at(quick.byte_price, quantized)}
        last, last_price, requantize = opened[0]
        return Walk(quick.byte_price, quantized, last, last_price, requantize, self._assemble, targets)

    def _quantize_at(
        self, index: int, target: np.ndarray, real: MatrixStatistics, earlier: Mapping[int, np.ndarray]
    ) -> Callable[[float], Quantized]:
        """Byte price -> the matrix in the walk, of the kind that was chosen for it."""
        if index in self.choices:
            wanted = target if self.choices[index].fits_target else None
            return lambda price: self._fit(index, price, earlier, wanted, real)
        quantizer = self.plan["quantize-matrices"]
        prepared = quantizer.prepare(target, real)
        return lambda price: quantizer.quantize(prepared, price)

    def smallest(self) -> Trial:
        """The artifact with every code of every matrix zero and the control tensors as coarse as they may be."""
        zero = {i: zero_matrix(matrix_shape(self.model.tensors[i].values.shape)) for i in self.statistics.matrices}
        return self._trial(COARSEST_PRICE, {**self._vectors_at(COARSEST_PRICE), **zero})

    def _vectors_at(
        self, byte_price: float, tuned: Mapping[int, np.ndarray] | None = None
    ) -> Mapping[int, QuantizedMatrix]:
        return self.plan["quantize-vectors"].run(self.model, self.statistics, byte_price, tuned)

    def _bias_at(self, byte_price: float, matrices: Mapping[int, Quantized]) -> Mapping[int, QuantizedMatrix]:
        """The bias of the output head that these matrices need, where the recipe fits one."""
        head = (
            find_head(self.model.program)
            if self.plan["bias-head"].enabled and self.statistics.head_mean is not None
            else None
        )
        bias = None if head is None else self.model.program.instructions[head].bias
        index = -1 if bias is None else bias.tensor
        own = self.model.tensors[index].values.astype(np.float64).ravel()
        if index not in self.statistics.vectors or own.size != len(self.statistics.head_fisher):
            return {}
        missing = mean_error(self.model, self.statistics, matrices[self.model.program.instructions[head].weight])
        return {index: quantize_bias(own + missing, own, self.statistics.vectors[index].ravel(), byte_price)}

    def _assemble(self, quantized: Mapping[int, Quantized]) -> bytes:
        return assemble_model(self.model, quantized, self.provenance, self.codec)

    def complete(self, byte_price: float, matrices: Mapping[int, Quantized]) -> Trial:
        """The artifact of these matrices, and of the control tensors at a byte price."""
        return self._trial(
            byte_price, {**self._vectors_at(byte_price), **self._bias_at(byte_price, matrices), **matrices}
        )

    def _trial(self, byte_price: float, quantized: Mapping[int, Quantized]) -> Trial:
        return Trial(byte_price, self._assemble(quantized), quantized)

    def profile_bytes(self, trial: Trial) -> dict[str, int]:
        """Whole-artifact bytes of a trial's integers under every profile."""
        return {
            profile: len(
                trial.data
                if codec == self.codec
                else assemble_model(self.model, trial.quantized, self.provenance, codec)
            )
            for profile, codec in profile_codecs().items()
        }


def assemble_model(
    model: Model, quantized: Mapping[int, Quantized], provenance: Mapping[str, object], codec: int = DEFAULT_CODEC
) -> bytes:
    """The artifact of a model whose tensors are all quantized, by tensor index."""
    coded = [i for i in range(len(model.tensors)) if is_coded(quantized[i])]
    streams = dict(zip(coded, assign_streams([model.tensors[i].values.size for i in coded]), strict=True))
    sources = [
        TensorSource(
            t.name, t.values.shape, t.dtype, tuple(in_stream(part, streams.get(i, 1)) for part in quantized[i].parts)
        )
        for i, t in enumerate(model.tensors)
    ]
    return assemble_artifact(model.program, sources, provenance, codec)


def _bytes_alone(quantized: Quantized) -> int:
    """Bytes of a matrix by itself, as a walk plans with: the codes of a grid, everything of other kinds."""
    return quantized.bytes if isinstance(quantized, CompositeMatrix) else len(encode_grid_stream([quantized.grid]))


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
