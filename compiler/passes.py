"""The passes of a compile, in the order in which the pipeline runs them.

Strategy: each pass holds its options and one `run`; the numerics live in calibration.py, quantization.py and
landing.py. `QuantizeMatrices.run` returns a function of the byte price, because landing on the cap asks for the same
model at many prices and only the last step of the work depends on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from ..format.codecs.trellis import TRELLISES
from ..format.container.limits import DEFAULT_LIMITS
from ..format.program.program import validate_program
from ..format.tensors.grid import MAX_RESOLUTION, matrix_shape
from ..progress import StageProgress
from .menu.choosing import ChooseCandidates
from .model.model import Model
from .quantize.distillation import Basis, Distiller
from .quantize.gptq import PreparedMatrix, QuantizedMatrix, prepare_matrix, quantize_matrix, quantize_vectors
from .quantize.sequential import QuantizeTarget, Refine, quantize_sequentially
from .rate_control.landing import Landing, Trial, land_on_cap
from .recipe import register_pass
from .rewrites.head_bias import BiasHead
from .rewrites.symmetries import (
    absorb_scales,
    equal_tensors,
    find_hidden_units,
    find_scaled_outputs,
    find_value_dimensions,
    sort_units,
)
from .statistics.calibration import MatrixStatistics, Statistics, calibration_sequences, measure_statistics
from .statistics.convergence import Convergence
from .workers import run_jobs

WEIGHTS_OF_ALL_STEPS = 1 << 22
LEAST_STEPS = 8
WALK_FLOATS = 1 << 28  # 1.1 GB a model
Bounds = Mapping[str, tuple[float, float] | frozenset]
QuantizeAt = Callable[[float], Mapping[int, QuantizedMatrix]]


@register_pass
@dataclass(frozen=True, slots=True)
class Calibrate:
    """Measure the second-order model of the loss on calibration text, until twice the text changes the steps no more.

    tokens : at most; tolerance : root mean square change of a step, in octaves, that counts as none
    """

    tokens: int = 393_216
    tolerance: float = 0.035
    batch_sequences: int = 4
    name: ClassVar[str] = "calibrate"
    bounds: ClassVar[Bounds] = {"tokens": (1, 1e12), "tolerance": (0.0, 100.0), "batch_sequences": (1, 1e6)}

    def run(
        self,
        model: Model,
        text: np.ndarray,
        *,
        seed: int,
        device: str,
        threads: int,
        progress: StageProgress,
    ) -> Statistics:
        sequences = calibration_sequences(text, model.program.sequence_length, self.tokens)
        order = np.random.default_rng(seed).permutation(len(sequences))  # any part of them is spread over the text
        total = -(-len(sequences) // self.batch_sequences)
        return measure_statistics(
            model,
            sequences[order],
            batch_sequences=self.batch_sequences,
            seed=seed,
            device=device,
            threads=threads,
            finished=lambda done: progress(done, total),
            enough=Convergence(self.tolerance).reached,
        )


@register_pass
@dataclass(frozen=True, slots=True)
class ExchangeSymmetries:
    """Exact rewrites after which less is to be stored.

    hidden_units, value_dimensions : sort them by their steps; output_scales : multiply them into the rows they scale.
    Tensors that equal another are left alone: to stay equal is worth more.
    """

    hidden_units: bool = True
    value_dimensions: bool = True
    output_scales: bool = True
    name: ClassVar[str] = "exchange-symmetries"
    bounds: ClassVar[Bounds] = {}

    def run(self, model: Model, statistics: Statistics, *, damping: float) -> tuple[Model, Statistics]:
        """damping : that of the quantization, which the steps depend on."""
        twins = equal_tensors(model)
        hidden = find_hidden_units(model.program) if self.hidden_units else []
        dimensions = find_value_dimensions(model.program) if self.value_dimensions else []
        units = [each for each in hidden + dimensions if not twins & {*each.makers, each.reader}]
        scales = [each for each in find_scaled_outputs(model.program) if self.output_scales and each.maker not in twins]
        return sort_units(*absorb_scales(model, statistics, scales), units, damping)


register_pass(BiasHead)


@register_pass
@dataclass(frozen=True, slots=True)
class QuantizeVectors:
    """Control tensors on one step a row; never coarser than `coarsest` of the row's root mean square."""

    resolution: int = MAX_RESOLUTION
    coarsest: float = 0.03125
    name: ClassVar[str] = "quantize-vectors"
    bounds: ClassVar[Bounds] = {"resolution": (0, MAX_RESOLUTION), "coarsest": (1e-6, 10.0)}

    def run(
        self, model: Model, statistics: Statistics, byte_price: float, tuned: Mapping[int, np.ndarray] | None = None
    ) -> Mapping[int, QuantizedMatrix]:
        """Every vector of the model, with the values in `tuned` in place of its own."""
        results = {}
        for index, fisher in statistics.vectors.items():
            values = (tuned or {}).get(index, model.tensors[index].values)
            shape = matrix_shape(values.shape)
            results[index] = quantize_vectors(
                values.reshape(shape),
                fisher.reshape(shape),
                byte_price,
                resolution=self.resolution,
                coarsest=self.coarsest,
            )
        return results


@register_pass
@dataclass(frozen=True, slots=True)
class QuantizeMatrices:
    """Matrices column by column with error feedback; 2**resolution steps an octave, integers on a trellis unless 0 states.

    rate_weight : squared fine steps that a bit is worth when the trellis chooses a path
    correlation : share of the measured correlations of output gradients that is believed; 0: every row by itself
    base_fit : share of the factor that fits the chosen integers of a matrix best. 1 is nearest to every matrix by itself, but what it
    takes off their lengths adds up over layers: on trained models 0 is better
    """

    resolution: int = 3
    damping: float = 0.003
    fisher_floor: float = 0.02
    trellis_states: int = 64
    rate_weight: float = 0.05
    correlation: float = 0.9
    base_fit: float = 0.0
    name: ClassVar[str] = "quantize-matrices"
    bounds: ClassVar[Bounds] = {
        "resolution": (0, MAX_RESOLUTION),
        "damping": (1e-9, 10.0),
        "fisher_floor": (0.0, 1e6),
        "trellis_states": frozenset({0, *TRELLISES}),
        "rate_weight": (0.0, 10.0),
        "correlation": (0.0, 1.0),
        "base_fit": (0.0, 1.0),
    }

    def prepare(self, weights: np.ndarray, statistics: MatrixStatistics) -> PreparedMatrix:
        return prepare_matrix(
            weights,
            statistics,
            resolution=self.resolution,
            damping=self.damping,
            fisher_floor=self.fisher_floor,
            correlation=self.correlation,
        )

    def quantize(self, prepared: PreparedMatrix, byte_price: float) -> QuantizedMatrix:
        return quantize_matrix(
            prepared,
            byte_price,
            trellis_states=self.trellis_states,
            rate_weight=self.rate_weight,
            base_fit=self.base_fit,
        )

    def run(self, model: Model, statistics: Statistics, *, threads: int) -> QuantizeAt:
        """All matrices against the float model's inputs: independent of each other, prepared once."""
        indexes = sorted(statistics.matrices)
        prepared = dict(
            zip(
                indexes,
                run_jobs(lambda i: self.prepare(model.tensors[i].values, statistics.matrices[i]), indexes, threads),
                strict=True,
            )
        )

        def quantize_at(byte_price: float, only: Collection[int] = indexes) -> Mapping[int, QuantizedMatrix]:
            chosen = [index for index in indexes if index in only]
            results = run_jobs(lambda index: self.quantize(prepared[index], byte_price), chosen, threads)
            return dict(zip(chosen, results, strict=True))

        return quantize_at


register_pass(ChooseCandidates)


@register_pass
@dataclass(frozen=True, slots=True)
class CorrectDrift:
    """Quantize again in program order, each matrix against the inputs that the quantized layers before it produce.

    correction : share of the drift correction in the target; residual : share of the residual stream's error that a matrix
    which writes to it makes up for
    tokens : of calibration text that are walked through, or fewer where the registers of both models would take more than
    2 * WALK_FLOATS numbers
    """

    enabled: bool = True
    tokens: int = 98_304
    correction: float = 1.0
    residual: float = 0.7
    batch_sequences: int = 4
    name: ClassVar[str] = "correct-drift"
    bounds: ClassVar[Bounds] = {
        "tokens": (1, 1e12), "batch_sequences": (1, 1e6), "correction": (0.0, 1.0), "residual": (0.0, 1.0),
    }  # fmt: skip

    def run(
        self,
        model: Model,
        statistics: Statistics,
        text: np.ndarray,
        quantized: Mapping[int, QuantizedMatrix],
        quantize: QuantizeTarget,
        *,
        damping: float,
        refine: Refine | None,
        threads: int,
    ) -> Mapping[int, QuantizedMatrix]:
        """What is quantized already (vectors, and tables that embed) and every other matrix, by tensor index."""
        shapes = [tensor.values.shape for tensor in model.tensors]
        most = WALK_FLOATS // validate_program(model.program, shapes, DEFAULT_LIMITS).peak_width
        results = quantize_sequentially(
            model,
            statistics.matrices,
            {i: q.weights.reshape(model.tensors[i].values.shape) for i, q in quantized.items()},
            calibration_sequences(text, model.program.sequence_length, min(self.tokens, most)),
            quantize,
            damping=damping,
            correction=self.correction,
            residual=self.residual,
            batch_sequences=self.batch_sequences,
            threads=threads,
            refine=refine,
        )
        return {**quantized, **results}


@register_pass
@dataclass(frozen=True, slots=True)
class Distil:
    """Tune what is still float towards the float model: matrices between the steps of the walk, control tensors at its end.

    steps : Adam steps in the whole walk, for a model of up to 2**22 weights; beyond, they fall with its size, so
    that a compile's time stays near linear; never more than one pass over the text
    final_steps : of the control tensors afterwards, likewise
    step_size : a first step in quantization errors of its matrix; vector_step_size : in root mean squares of its vector
    """

    enabled: bool = True
    steps: int = 800
    final_steps: int = 80
    step_size: float = 0.014
    vector_step_size: float = 0.002
    batch_tokens: int = 4096
    name: ClassVar[str] = "distil"
    bounds: ClassVar[Bounds] = {
        "steps": (0, 1e6),
        "final_steps": (0, 1e6),
        "step_size": (0.0, 1.0),
        "vector_step_size": (0.0, 1.0),
        "batch_tokens": (1, 1e9),
    }

    def run(
        self,
        model: Model,
        statistics: Statistics,
        text: np.ndarray,
        held_out: np.ndarray,
        *,
        seed: int,
        device: str,
        threads: int,
    ) -> Distiller:
        """The distiller of a walk."""
        length = model.program.sequence_length
        training = calibration_sequences(text, length, len(text))
        known = {i: matrix for i, matrix in statistics.matrices.items() if matrix.output_fisher is not None}
        bases = dict(
            zip(known, run_jobs(lambda matrix: Basis.of(matrix, device), list(known.values()), threads), strict=True)
        )
        return Distiller(model, training, held_out, max(1, self.batch_tokens // length), seed, threads, device, bases)

    def refine(self, distiller: Distiller, quick: Mapping[int, QuantizedMatrix], groups: int) -> Refine:
        """Tunes the waiting matrices for an equal share of the steps before each of so many groups.

        Shares below LEAST_STEPS are saved up: fewer steps are not worth judging.
        """
        model, turn, spent = distiller.model, itertools.count(1), 0
        total = self._scaled(self.steps, distiller)

        def refine(tensors: dict[int, torch.Tensor], waiting: Collection[int]) -> None:
            nonlocal spent
            due = total * next(turn) // groups - spent
            if due < LEAST_STEPS:
                return
            spent += due
            rates = {
                i: self.step_size * _rms(quick[i].weights - model.tensors[i].values.reshape(quick[i].weights.shape))
                for i in waiting
            }
            distiller.tune(tensors, rates, due)

        return refine

    def finish(
        self, distiller: Distiller, quantized: Mapping[int, QuantizedMatrix], vectors: Collection[int]
    ) -> dict[int, np.ndarray]:
        """Tuned values of the control tensors, everything else being quantized; their old values where that does not help."""
        shapes = [t.values.shape for t in distiller.model.tensors]
        tensors = {i: torch.from_numpy(q.weights.reshape(shapes[i])) for i, q in quantized.items()}
        rates = {i: self.vector_step_size * _rms(distiller.model.tensors[i].values) for i in vectors}
        distiller.tune(tensors, rates, self._scaled(self.final_steps, distiller))
        return {i: tensors[i].numpy() for i in vectors}

    @staticmethod
    def _scaled(steps: int, distiller: Distiller) -> int:
        """Fewer for large models; never more than one pass over the text."""
        wanted = round(steps * min(1.0, WEIGHTS_OF_ALL_STEPS / distiller.model.parameters))
        return min(wanted, len(distiller.training) // distiller.batch_sequences)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


@register_pass
@dataclass(frozen=True, slots=True)
class LandOnCap:
    """Search the byte price whose artifact fills the cap to `tolerance`, in at most `trials` trial compiles and `walks` walks.

    Steps are never finer than those whose predicted loss is `finest_loss` nats a token: below that bytes buy nothing.
    """

    tolerance: float = 0.0003
    trials: int = 24
    walks: int = 3
    finest_loss: float = 1e-7
    name: ClassVar[str] = "land-on-cap"
    bounds: ClassVar[Bounds] = {
        "tolerance": (0.0, 0.5),
        "trials": (1, 1e6),
        "walks": (1, 1e6),
        "finest_loss": (1e-15, 1.0),
    }

    def run(
        self,
        compile_at: Callable[[float], Trial],
        *,
        start_price: float,
        smallest: Trial,
        budget: int,
        weights: int,
        progress: StageProgress,
        model_weights: int | None = None,
    ) -> Landing:
        """weights : of what the byte price changes; model_weights : of the whole model, when that is more."""
        return land_on_cap(
            compile_at,
            start_price=start_price,
            smallest=smallest,
            budget=budget,
            weights=weights,
            finest_price=self.finest_price(weights if model_weights is None else model_weights),
            tolerance=self.tolerance,
            trials=self.trials,
            progress=progress,
        )

    def finest_price(self, weights: int) -> float:
        """Byte price at which the predicted loss of a model of so many weights is `finest_loss`."""
        return (24 * self.finest_loss / weights) ** 0.5
