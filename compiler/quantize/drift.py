"""What the inputs of a layer have become in a model that is quantized up to it, as far as the text of a walk tells.

Strategy: H' = E[x' x'ᵀ] and D = E[(x - x') x'ᵀ] are sums over the tokens of a walk, of which there are fewer than
calibration had, and at low efforts few for each of thousands of inputs. So nothing is taken from them beyond the share
that they tell. A correction is shrunk by it, since a regression on few tokens fits what is chance; and how inputs go
together is told for the rest by the calibration's moment of the float model, scaled by what has become of each input's
mean square. That is a ratio of both models on the same tokens, most of whose chance cancels: mean squares of H'
themselves lose an eighth to two fifths of the gain. D is made of differences token by token, so that its factors may be
rounded; a difference of two moments would be lost in what these are rounded by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..model.float_products import linear
from ..model.half_kernels import HALF
from ..model.residual_streams import Residual
from ..model.torch_executor import Forward, TorchExecutor
from ..statistics.batch_pass import second_moment
from ..statistics.calibration import told_share
from ..statistics.damping import damped
from ..statistics.matrix_statistics import MatrixStatistics
from ..workers import iterate_jobs
from .held_registers import HeldRegisters, RegisterPages

TOKENS_AN_INPUT = 16  # of a walk that tell half of what there is to know of an input beside others
MOST_GROWN = 4.0  # of an input's mean square, and its least: more is the chance of inputs that hardly ever fire


@dataclass(slots=True)
class WalkedBatch:
    """One batch in both models, at the same instruction."""

    float_forward: Forward
    quantized_forward: Forward

    @classmethod
    def at_the_start(cls, executors: Iterable[TorchExecutor], tokens: Tensor, pages: RegisterPages) -> WalkedBatch:
        """Of a float and a quantized model; what it will hold is kept on these pages."""
        batch = cls(*(Forward(executor, tokens) for executor in executors))
        for forward in (batch.float_forward, batch.quantized_forward):
            forward.registers = HeldRegisters(pages)
        return batch

    def advance_to(self, stop: int) -> None:
        """Compute all registers of both models before that of instruction `stop`."""
        for forward in (self.float_forward, self.quantized_forward):
            forward.advance_to(stop)
            forward.registers.put_away()


@dataclass(frozen=True, slots=True)
class Drift:
    """What the inputs x of a register have become in the quantized model (x'), and the streams beside
    the layers that read it.

    hessian, change : float64[width, width]   H' = E[x' x'ᵀ] and D = E[(x - x') x'ᵀ]
    squares : float64[width]   E[x²]
    streams : instruction of a layer -> float64[rows, width]: E[(r - r') x'ᵀ] in units of its output,
        less where few tokens tell it
    solid : H' damped
    told : share of what there is to know of so many inputs that the tokens tell
    """

    hessian: np.ndarray
    change: np.ndarray
    squares: np.ndarray
    streams: Mapping[int, np.ndarray]
    solid: np.ndarray
    told: float

    def of_weight(self, weights: np.ndarray, excess: np.ndarray | None = None) -> np.ndarray:
        """W D (H' + d I)^-1, what brings W x' nearest to W x, as far as it is told.

        excess : what tokens weigh more (outlying_tokens.py), the same in both models: it counts in the inverse only
        """
        solid = self.solid if excess is None else self.solid + excess
        change = np.linalg.solve(solid, self.change.T @ weights.astype(np.float64).T).T
        return self.told * change

    def of_stream(self, layer: int) -> np.ndarray | float:
        """E[(r - r') x'ᵀ] (H' + d I)^-1: what brings the stream nearest to where it should be."""
        return np.linalg.solve(self.solid, self.streams[layer].T).T if layer in self.streams else 0.0

    def hessian_with(self, known: MatrixStatistics) -> np.ndarray:
        """float64[width, width]: H' as far as it is told, and for the rest the moment of x that calibration measured,
        its inputs scaled as they have grown; on top what tokens weigh more.
        """
        excess = 0.0 if known.excess is None else known.excess
        measured = known.hessian - excess
        now, before = self.hessian.diagonal(), self.squares
        grown = np.divide(now, before, out=np.ones_like(now), where=before > 0)
        scale = np.sqrt(np.clip(grown, 1 / MOST_GROWN, MOST_GROWN))
        return self.told * self.hessian + (1 - self.told) * (measured * scale * scale[:, None]) + excess


def moment_with(x: Tensor, y: Tensor) -> Tensor:
    """[width of x, width of y] sum over all positions of x yᵀ, for activations [..., width] of one type."""
    return linear(x.flatten(0, -2).T, y.flatten(0, -2).T)


def measure_drift(
    batches: Sequence[WalkedBatch],
    source: int,
    streams: Mapping[int, Residual],
    damping: float,
    threads: int,
    half: bool = False,
) -> Drift:
    """Second moments of a register and of the streams beside the layers that read it, over all batches.

    half : those with differences of factors in bfloat16
    """

    def measure(batch: WalkedBatch) -> list:
        before, now = batch.float_forward.registers, batch.quantized_forward.registers
        x, real = before[source], now[source]
        factor = real.to(HALF) if half else real
        registers = (source, *(stream.register for stream in streams.values()))
        return [
            x.shape[0] * x.shape[1],
            second_moment(real),
            x.square().sum((0, 1)),
            *(moment_with((before[k] - now[k]).to(factor.dtype), factor) for k in registers),
        ]

    tokens, sums = 0, []
    # summed as they come: all at once would take more than the activations
    for count, *parts in iterate_jobs(measure, batches, threads):
        sums = sums or [torch.zeros_like(part, dtype=torch.float64) for part in parts]
        tokens += count
        for total, part in zip(sums, parts, strict=True):
            total += part
    hessian, squares, change, *errors = ((total / tokens).cpu().numpy() for total in sums)
    gained, of_streams = {}, told_share(tokens, len(hessian))
    for (layer, stream), error in zip(streams.items(), errors, strict=True):
        gain = stream.gain(partial(batches[0].quantized_forward.vector, width=len(error)))
        gained[layer] = of_streams * error * (gain if isinstance(gain, float) else gain.double().cpu().numpy()[:, None])
    told = told_share(tokens, len(hessian), TOKENS_AN_INPUT)
    return Drift(hessian, change, squares, gained, damped(hessian, damping), told)
