"""Sequential quantization: each matrix is quantized against the inputs it will really see.

Strategy: walk the program once, instruction by instruction, holding for every calibration batch the registers of the float
model (x) and of the model quantized so far (x'). On reaching a linear layer, H' = E[x' x'ᵀ] and C = E[x x'ᵀ] say what its
inputs have become: the best float weights for them, W C H'^-1, are the target, and H' weighs the error (the drift
correction of Qronos, arXiv:2505.11695, and WaterSIC, arXiv:2603.04956). Then both models go on through it. Layers that
share an input register share the moments. Before each such group a caller may refine the weights that are still float;
what it changes is added to their targets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ..format.operations import Linear
from ..format.program import Program
from .calibration import MatrixStatistics, second_moment
from .model import Model
from .quantization import QuantizedMatrix, damped
from .torch_executor import EXECUTIONS, Forward, TorchExecutor
from .workers import iterate_jobs, run_jobs

QuantizeTarget = Callable[[int, np.ndarray, MatrixStatistics], QuantizedMatrix]
Refine = Callable[[dict[int, torch.Tensor], Collection[int]], None]


@dataclass(slots=True)
class _Batch:
    """One batch in both models: tokens' forward states and the live registers."""

    float_forward: Forward
    quantized_forward: Forward
    float_registers: dict[int, torch.Tensor] = field(default_factory=dict)
    quantized_registers: dict[int, torch.Tensor] = field(default_factory=dict)


def quantize_sequentially(
    model: Model,
    statistics: Mapping[int, MatrixStatistics],
    quantized: Mapping[int, np.ndarray],
    sequences: np.ndarray,
    quantize: QuantizeTarget,
    *,
    damping: float,
    correction: float,
    batch_sequences: int,
    threads: int,
    refine: Refine | None = None,
) -> dict[int, QuantizedMatrix]:
    """Quantize every linear weight that `quantized` does not hold yet, in program order.

    quantized : float32 weights by tensor index of what is already decided (vectors, embeddings)
    sequences : int64[n, length] calibration tokens
    quantize : (tensor index, float64 target, statistics with the real input moment) -> QuantizedMatrix
    correction : share of the drift correction in the target, 0 (the float weights) to 1
    refine : called before each group of weights that share an input with the current tensors, float and quantized, and the
    indexes of the weights that are still float, whose tensors it may replace
    Deterministic whatever `threads`: batches are summed in order.
    """
    tensors = {i: torch.from_numpy(t.values) for i, t in enumerate(model.tensors)}
    current = {i: torch.from_numpy(quantized[i]) if i in quantized else t for i, t in tensors.items()}
    executors = TorchExecutor(model.program, tensors), TorchExecutor(model.program, current)
    batches = [
        _Batch(*(Forward(executor, torch.from_numpy(part)) for executor in executors))
        for part in np.array_split(sequences, max(1, len(sequences) // batch_sequences))
    ]
    uses = {k: op.weight for k, op in enumerate(model.program.instructions) if isinstance(op, Linear) and op.weight not in quantized}
    waiting = set(uses.values())
    results: dict[int, QuantizedMatrix] = {}
    moments: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    with torch.no_grad():
        for index in range(max(uses, default=-1) + 1):
            weight = uses.get(index)
            if weight in waiting:
                source = model.program.instructions[index].x
                if source not in moments:
                    if refine is not None:
                        refine(current, sorted(waiting))
                    moments = {source: _input_moments(batches, source, threads)}
                target = _corrected_target(model.tensors[weight].values, *moments[source], damping, correction)
                target += (current[weight] - tensors[weight]).numpy()
                real = MatrixStatistics(moments[source][0], statistics[weight].row_fisher)
                results[weight] = quantize(weight, target, real)
                current[weight] = torch.from_numpy(results[weight].weights)
                waiting.remove(weight)
            _step(batches, index, executors[0], threads)
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


def _input_moments(batches: Sequence[_Batch], source: int, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """(E[x' x'ᵀ], E[x x'ᵀ]) of a register, summed over batches."""

    def measure(batch: _Batch) -> tuple[torch.Tensor, torch.Tensor, int]:
        x, real = batch.float_registers[source], batch.quantized_registers[source]
        return second_moment(real), second_moment(x, real), x.shape[0] * x.shape[1]

    total: list = [0, 0, 0]
    for part in iterate_jobs(measure, batches, threads):  # summed as they come: all at once would take more than the activations
        total = [before + value for before, value in zip(total, part, strict=True)]
    return tuple((value / total[2]).numpy() for value in total[:2])


def _corrected_target(
    weights: np.ndarray, moment: np.ndarray, cross: np.ndarray, damping: float, correction: float
) -> np.ndarray:
    """W (C + d I) (H' + d I)^-1 blended with W."""
    solid = damped(moment, damping)
    weights = weights.astype(np.float64)
    drift = np.linalg.solve(solid, (cross + solid - moment).T @ weights.T).T - weights
    return weights + correction * drift


def _step(batches: Sequence[_Batch], index: int, executor: TorchExecutor, threads: int) -> None:
    """Run one instruction in both models on every batch and drop registers that nothing reads any more."""
    instruction = executor.program.instructions[index]
    execute = EXECUTIONS[type(instruction)]
    dead = [r for r in set(instruction.registers) if executor.shapes.last_use[r] == index]

    def run(batch: _Batch) -> None:
        for forward, registers in (
            (batch.float_forward, batch.float_registers),
            (batch.quantized_forward, batch.quantized_registers),
        ):
            registers[index] = execute(forward, instruction, *(registers[r] for r in instruction.registers))
            for register in dead:
                del registers[register]

    run_jobs(run, batches, threads)
