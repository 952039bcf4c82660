"""The options of a compile, one frozen dataclass for each table of a recipe.

Strategy: a record holds values and nothing else; what they do is said and done where they are used.
`table` is the name of the table in a recipe file, `bounds` the closed range or the set of choices that
an option must lie in. `recipe.py` puts the records together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..format.codecs.trellis import TRELLISES
from ..format.tensors.grid import MAX_RESOLUTION

START_PRICE = 3e-4  # byte price at which searches start and rewrites are weighed

Bound = tuple[float, float] | frozenset[int]


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """Measuring the second-order model of the loss on text, until twice the text changes the quantizer's steps no more.

    tokens : of calibration text, at most
    tokens_an_input : where that is more, so many for each input of the widest matrix, up to the default of `tokens`
    tolerance : root mean square change of a quantizer's step, in octaves, that counts as none
    batch_sequences : sequences in one forward and backward pass
    """

    tokens: int = 393_216
    tokens_an_input: int = 0
    tolerance: float = 0.035
    batch_sequences: int = 4
    table: ClassVar[str] = "calibrate"
    NEWER: ClassVar[tuple[str, ...]] = ("tokens_an_input",)
    bounds: ClassVar[Mapping[str, Bound]] = {
        "tokens": (1, 1e12),
        "tokens_an_input": (0, 1e6),
        "tolerance": (0.0, 100.0),
        "batch_sequences": (1, 1e6),
    }


@dataclass(frozen=True, slots=True)
class SymmetrySettings:
    """Exact rewrites that leave less to store.

    hidden_units, value_dimensions : sort them by the steps of the columns that read them
    output_scales : multiply the scale of an output into the rows of the matrix before it
    """

    hidden_units: bool = True
    value_dimensions: bool = True
    output_scales: bool = True
    table: ClassVar[str] = "exchange-symmetries"
    bounds: ClassVar[Mapping[str, Bound]] = {}


@dataclass(frozen=True, slots=True)
class HeadBiasSettings:
    """A bias at the output head for the mean error of its quantized rows, where that pays in coded bytes."""

    enabled: bool = False
    table: ClassVar[str] = "bias-head"
    bounds: ClassVar[Mapping[str, Bound]] = {}


@dataclass(frozen=True, slots=True)
class VectorSettings:
    """Control tensors, quantized with one step for each row.

    resolution : steps are powers of 2**(1 / 2**resolution)
    coarsest : a step is never coarser than this part of the row's root mean square
    """

    resolution: int = MAX_RESOLUTION
    coarsest: float = 0.03125
    table: ClassVar[str] = "quantize-vectors"
    bounds: ClassVar[Mapping[str, Bound]] = {"resolution": (0, MAX_RESOLUTION), "coarsest": (1e-6, 10.0)}


@dataclass(frozen=True, slots=True)
class QuantizationSettings:
    """Matrices on scalar quantization grids, column by column with error feedback.

    resolution : 2**resolution step sizes an octave
    damping : added to the diagonal of the Hessian, as a share of its mean
    fisher_floor : least row Fisher information, as a share of the mean
    trellis_states : states of the trellis that the integers are on; 0 for integers that are free
    rate_weight : squared fine steps that a bit is worth when the trellis chooses a path
    correlation : share of the measured correlations of output gradients that is believed; 0 takes every row by itself
    input_correlation : the same of inputs: tokens of unusual inputs have large gradients, which H does not know of
    base_fit : share of the factor that fits the chosen integers of a matrix best. 1 is nearest to every
        matrix by itself, but what it takes off their lengths adds up over the layers: on trained models
        0 is better
    """

    resolution: int = 3
    damping: float = 0.003
    fisher_floor: float = 0.02
    trellis_states: int = 64
    rate_weight: float = 0.05
    correlation: float = 0.9
    input_correlation: float = 0.85
    base_fit: float = 0.0
    table: ClassVar[str] = "quantize-matrices"
    NEWER: ClassVar[tuple[str, ...]] = ("input_correlation",)
    bounds: ClassVar[Mapping[str, Bound]] = {
        "resolution": (0, MAX_RESOLUTION),
        "damping": (1e-9, 10.0),
        "fisher_floor": (0.0, 1e6),
        "trellis_states": frozenset({0, *TRELLISES}),
        "rate_weight": (0.0, 10.0),
        "correlation": (0.0, 1.0),
        "input_correlation": (0.0, 1.0),
        "base_fit": (0.0, 1.0),
    }


@dataclass(frozen=True, slots=True)
class RowSampleSettings:
    """Trials of the byte price that quantize some rows of every matrix and not all of them.

    A walk that follows spends the budget on whole matrices, so that the price need not be exact. Recipes
    without a walk or with a menu try whole matrices whatever this says.
    share : of the rows of a matrix; least : rows of it, or all where there are fewer
    """

    enabled: bool = False
    share: float = 0.0625
    least: int = 64
    table: ClassVar[str] = "sample-rows"
    bounds: ClassVar[Mapping[str, Bound]] = {"share": (1e-6, 1.0), "least": (1, 1e9)}


@dataclass(frozen=True, slots=True)
class SequentialSettings:
    """GPTQ-style sequential quantization: each matrix against the inputs that the quantized layers before it produce.

    tokens : of calibration text that are walked through; fewer where their activations would not fit into memory
    tokens_an_input : where that is more, so many for each input of the widest matrix, up to the default of `tokens`
    correction : share of the drift correction in the target
    residual : share of the residual stream's error that a matrix which writes to the stream makes up for
    """

    enabled: bool = True
    tokens: int = 98_304
    tokens_an_input: int = 0
    correction: float = 1.0
    residual: float = 0.7
    batch_sequences: int = 4
    table: ClassVar[str] = "correct-drift"
    NEWER: ClassVar[tuple[str, ...]] = ("tokens_an_input",)
    bounds: ClassVar[Mapping[str, Bound]] = {
        "tokens": (1, 1e12),
        "tokens_an_input": (0, 1e6),
        "batch_sequences": (1, 1e6),
        "correction": (0.0, 1.0),
        "residual": (0.0, 1.0),
    }


@dataclass(frozen=True, slots=True)
class DistillationSettings:
    """Tuning what is still float towards the float model: matrices during the walk, control tensors at its end.

    steps : Adam updates in the whole walk, for a model of up to 2**22 weights. Larger models take fewer, by the
        root of their weights
    passes : over the calibration text, at most; fewer updates where it is too short
    final_steps : updates of the control tensors afterwards, likewise
    labels : share of the text's own next tokens in what is learned; the rest is what the float model predicts
    step_size : length of a first update, in quantization errors of its matrix
    vector_step_size : the same, in root mean squares of its vector
    """

    enabled: bool = True
    steps: int = 800
    final_steps: int = 80
    passes: float = 1.0
    labels: float = 0.0
    step_size: float = 0.02
    vector_step_size: float = 0.002
    batch_tokens: int = 4096
    table: ClassVar[str] = "distil"
    NEWER: ClassVar[tuple[str, ...]] = ("passes", "labels")
    bounds: ClassVar[Mapping[str, Bound]] = {
        "steps": (0, 1e6),
        "final_steps": (0, 1e6),
        "passes": (0.0, 1e6),
        "labels": (0.0, 1.0),
        "step_size": (0.0, 1.0),
        "vector_step_size": (0.0, 1.0),
        "batch_tokens": (1, 1e9),
    }


@dataclass(frozen=True, slots=True)
class RateControlSettings:
    """The search of the byte price whose artifact fills the cap.

    tolerance : share of the budget that may be left over
    trials : trial compiles of one search, at most; walks : sequential quantizations, at most
    finest_loss : nats a token. Steps are never finer than those whose predicted loss this is: below it
        bytes buy nothing
    """

    tolerance: float = 0.0003
    trials: int = 24
    walks: int = 3
    finest_loss: float = 1e-7
    table: ClassVar[str] = "land-on-cap"
    bounds: ClassVar[Mapping[str, Bound]] = {
        "tolerance": (0.0, 0.5),
        "trials": (1, 1e6),
        "walks": (1, 1e6),
        "finest_loss": (1e-15, 1.0),
    }

    def finest_price(self, weights: int) -> float:
        """Byte price at which the predicted loss of a model of so many weights is `finest_loss`."""
        return (24 * self.finest_loss / weights) ** 0.5
