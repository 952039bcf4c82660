"""Sequential quantization: each matrix is quantized against the inputs it will really see.

Strategy: walk the program once, instruction by instruction, holding for every calibration batch the registers of the float
model (x) and of the model quantized so far (x'). On reaching a linear layer, H' = E[x' x'ᵀ] and C = E[x x'ᵀ] say what its
inputs have become: the best float weights for them, W C H'^-1, are the target, and H' weighs the error (the drift
correction of Qronos, arXiv:2505.11695, and WaterSIC, arXiv:2603.04956). A layer that writes into a residual stream also
makes up for the error that the stream has by then (residuals.py). Then both models go on through it. Layers that share an
input register share the moments; once their targets stand in for them, a caller may refine all weights that are still
float, and what it makes of the targets is quantized.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from ...format.program.operations import Linear
from ...format.program.program import Program
from ..model.model import Model
from ..model.residual_streams import Residual, find_residuals
from ..model.torch_executor import Forward, TorchExecutor
from ..statistics.calibration import MatrixStatistics, second_moment, told_share
from ..workers import iterate_jobs, run_jobs
from .gptq import QuantizedMatrix, damped

QuantizeTarget = Callable[[int, np.ndarray, MatrixStatistics], QuantizedMatrix]
Refine = Callable[[dict[int, torch.Tensor], Collection[int]], None]


@dataclass(slots=True)
class _Batch:
    """One batch in both models, at the same instruction."""

    float_forward: Forward
    quantized_forward: Forward


def quantize_sequentially(
    model: Model,
    statistics: Mapping[int, MatrixStatistics],
    quantized: Mapping[int, np.ndarray],
    sequences: np.ndarray,
    quantize: QuantizeTarget,
    *,
    damping: float,
    correction: float,
    residual: float,
    batch_sequences: int,
    threads: int,
    refine: Refine | None = None,
) -> dict[int, QuantizedMatrix]:
    """Quantize every linear weight that `quantized` does not hold yet, in program order.

    quantized : float32 weights by tensor index of what is already decided (vectors, embeddings)
    sequences : int64[n, length] calibration tokens
    quantize : (tensor index, float64 target, statistics with the real Hessian) -> QuantizedMatrix
    correction : share of the drift correction in the target, 0 (the float weights) to 1
    residual : share of the residual stream's error in the target of a layer that writes into it
    refine : called before each group of weights that share an input with the current tensors, float (this group's: their
    targets) and quantized, and the indexes of the weights that are still float, whose tensors it may replace
    Deterministic whatever `threads`: batches are summed in order.
    """
    tensors = {i: torch.from_numpy(t.values) for i, t in enumerate(model.tensors)}
    current = {i: torch.from_numpy(quantized[i]) if i in quantized else t for i, t in tensors.items()}
    executors = TorchExecutor(model.program, tensors), TorchExecutor(model.program, current)
    batches = [
        _Batch(*(Forward(executor, torch.from_numpy(part)) for executor in executors))
        for part in np.array_split(sequences, max(1, len(sequences) // batch_sequences))
    ]
    uses = {
        k: op.weight
        for k, op in enumerate(model.program.instructions)
        if isinstance(op, Linear) and op.weight not in quantized
    }
    streams = find_residuals(model.program)
    waiting, corrected = set(uses.values()), set()
    results: dict[int, QuantizedMatrix] = {}
    source = -1
    with torch.no_grad():
        for index in range(max(uses, default=-1) + 1):
            weight = uses.get(index)
            if weight in waiting:
                if model.program.instructions[index].x != source:
                    source = model.program.instructions[index].x
                    group = {
                        w: k
                        for k, w in uses.items()
                        if w in waiting - corrected and model.program.instructions[k].x == source
                    }
                    beside = {k: streams[k] for k in group.values() if k in streams and residual}
                    drift = _measure_drift(batches, source, beside, damping, threads)
                    for w, k in group.items():
                        change = correction * drift.of_weight(tensors[w].numpy()) + residual * drift.of_stream(k)
                        current[w] = current[w] + torch.from_numpy(change).float()
                    corrected.update(group)
                    if refine is not None:
                        refine(current, sorted(waiting))
                real = replace(statistics[weight], hessian=drift.hessian)
                results[weight] = quantize(weight, current[weight].double().numpy(), real)
                current[weight] = torch.from_numpy(results[weight].weights)
                waiting.remove(weight)
            _advance(batches, threads)
    return results


def count_groups(program: Program, weights: Collection[int]) -> int:
    """How many times a walk that quantizes these weights comes to a new input register."""
    waiting, sources = set(weights), []
    for op in program.instructions:
        if isinstance(op, Linear) and op.weight in waiting:
            waiting.remove(op.weight)
            if sources[-1:] != [op.x]:
                sources.append(op.x)
    return len(sources)


@dataclass(frozen=True, slots=True)
class _Drift:
    """What the inputs x of a register have become in the quantized model (x'), and the streams beside the layers that read it.

    hessian, cross : float64[width, width]   H' = E[x' x'ᵀ] and C = E[x x'ᵀ]
    streams : instruction of a layer -> float64[rows, width]: E[(r - r') x'ᵀ] in units of its output, less where few tokens tell it
    solid : H' damped
    """

    hessian: np.ndarray
    cross: np.ndarray
    streams: Mapping[int, np.ndarray]
    solid: np.ndarray

    def of_weight(self, weights: np.ndarray) -> np.ndarray:
        """W (C - H') (H' + d I)^-1: what brings W x' nearest to W x."""
        return np.linalg.solve(self.solid, (self.cross - self.hessian).T @ weights.astype(np.float64).T).T

    def of_stream(self, layer: int) -> np.ndarray | float:
        """E[(r - r') x'ᵀ] (H' + d I)^-1: what brings the stream nearest to where it should be."""
        return np.linalg.solve(self.solid, self.streams[layer].T).T if layer in self.streams else 0.0


def _measure_drift(
    batches: Sequence[_Batch], source: int, streams: Mapping[int, Residual], damping: float, threads: int
) -> _Drift:
    """Moments of a register and of the streams beside the layers that read it, over all batches."""

    def measure(batch: _Batch) -> list:
        before, now = batch.float_forward.registers, batch.quantized_forward.registers
        x, real = before[source], now[source]
        errors = [before[s.register] - now[s.register] for s in streams.values()]
        return [
            x.shape[0] * x.shape[1],
            second_moment(real),
            second_moment(x, real),
            *(second_moment(e, real) for e in errors),
        ]

    total: list = [0] * (3 + len(streams))
    for part in iterate_jobs(
        measure, batches, threads
    ):  # summed as they come: all at once would take more than the activations
        total = [before + value for before, value in zip(total, part, strict=True)]
    hessian, cross, *errors = ((value / total[0]).numpy() for value in total[1:])
    gained, told = {}, told_share(total[0], len(hessian))
    for (layer, stream), error in zip(streams.items(), errors, strict=True):
        gain = stream.gain(partial(batches[0].quantized_forward.vector, width=len(error)))
        gained[layer] = told * error * (gain if isinstance(gain, float) else gain.double().numpy()[:, None])
    return _Drift(hessian, cross, gained, damped(hessian, damping))


def _advance(batches: Sequence[_Batch], threads: int) -> None:
    """Run one instruction in both models on every batch."""

    def advance(batch: _Batch) -> None:
        batch.float_forward.advance()
        batch.quantized_forward.advance()

    run_jobs(advance, batches, threads)
