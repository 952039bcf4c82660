"""What swapping tensors of the float model for decoded ones costs, measured, and what the second-order
model says it costs.

Strategy: the cost is the KL divergence from the float model in nats a token. A candidate is a set
of replaced tensors; up to the first instruction that reads one of them it computes what the float
model computes, so each batch walks the float model as far as the last of them and every candidate
forks off at its own first instruction: half the work of running each from the start. All of them are finished
together, a few positions at a time where the vocabulary is large. Batches are fixed and their sums are added in
order, so the result does not depend on the thread count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ...format.program.program import Program
from ...format.tensors.grid import matrix_shape
from ...progress import StageProgress
from ..model.logit_parts import before_logits, go_on, in_parts
from ..model.model import Model
from ..model.torch_executor import Forward, TorchExecutor
from ..row_blocks import row_blocks
from ..workers import iterate_jobs, run_jobs, threads_for
from .calibration import Statistics
from .divergence import BATCH_TOKENS, divergences


def predicted_swap_losses(
    model: Model, replacements: Sequence[np.ndarray], statistics: Statistics, *, threads: int = 1
) -> list[float]:
    """Second-order loss in nats a token of replacing each tensor alone, by tensor index.

    1/2 tr((W' - W)ᵀ G (W' - W) H) of a matrix, G diagonal where only that is known, 1/2 sum F (w' - w)²
    of any other tensor with its diagonal Fisher F.
    """
    return run_jobs(lambda job: _predicted(model, *job, statistics), list(enumerate(replacements)), threads)


def _predicted(model: Model, index: int, replacement: np.ndarray, statistics: Statistics) -> float:
    before = model.tensors[index].values.reshape(matrix_shape(model.tensors[index].values.shape))
    after = replacement.reshape(before.shape)

    def change(some: slice) -> np.ndarray:
        return after[some].astype(np.float64) - before[some]

    if index not in statistics.matrices:
        fisher, errors = statistics.vectors.get(index), change(slice(None))
        return 0.0 if fisher is None else 0.5 * float((fisher.reshape(errors.shape) * errors * errors).sum())
    measured, loss = statistics.matrices[index], 0.0
    correlated = measured.output_fisher is not None  # rows go together, and a matrix that was measured so is no table
    for some in [slice(None)] if correlated else row_blocks(len(before)):
        errors = change(some)
        weighed = measured.output_fisher @ errors if correlated else errors * measured.row_fisher[some, None]
        loss += float(((errors @ measured.hessian) * weighed).sum())
    return 0.5 * loss


def measure_divergences(
    model: Model,
    candidates: Sequence[Mapping[int, np.ndarray]],
    sequences: np.ndarray,
    *,
    threads: int,
    device: str = "cpu",
    finished: StageProgress | None = None,
) -> list[float]:
    """KL divergence from the float model in nats a token of each candidate.

    candidates : float32 arrays by the index of the tensor they replace; sequences : int64[n, length];
    device : where the models run.
    `finished(batches done, batches)` is called after each batch. Deterministic whatever `threads`.
    """

    def placed(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    originals, threads = {i: placed(t.values) for i, t in enumerate(model.tensors)}, threads_for(device, threads)
    executors = [
        TorchExecutor(model.program, originals | {i: placed(values) for i, values in candidate.items()})
        for candidate in candidates
    ]
    starts = [_first_use(model.program, candidate) for candidate in candidates]
    base = TorchExecutor(model.program, originals)
    by_batch = max(1, BATCH_TOKENS // sequences.shape[1])
    batches = [placed(sequences[i : i + by_batch]) for i in range(0, len(sequences), by_batch)]
    totals = np.zeros(len(candidates))
    jobs = iterate_jobs(lambda tokens: _divergence_sums(base, executors, starts, tokens), batches, threads)
    for done, sums in enumerate(jobs, start=1):
        totals += sums
        if finished is not None:
            finished(done, len(batches))
    return (totals / sequences.size).tolist()


def _first_use(program: Program, candidate: Mapping[int, np.ndarray]) -> int:
    """Index of the first instruction that reads a replaced tensor; the number of instructions when none does."""
    uses = (k for k, operation in enumerate(program.instructions) if not candidate.keys().isdisjoint(operation.tensors))
    return next(uses, len(program.instructions))


def _divergence_sums(
    base: TorchExecutor, executors: Sequence[TorchExecutor], starts: Sequence[int], tokens: torch.Tensor
) -> np.ndarray:
    """float64[candidates]: sums over the tokens of one batch."""
    sums = np.zeros(len(executors))
    changed = sorted((start, k) for k, start in enumerate(starts) if start < len(base.program.instructions))
    with torch.no_grad():
        forward, (stop, _) = Forward(base, tokens), before_logits(base.program)
        passes = []
        for start, k in changed:
            forward.advance_to(min(start, stop))
            passes.append(forward.fork(executors[k]))
            passes[-1].advance_to(stop)
        forward.advance_to(stop)
        for part, *others in zip(*map(in_parts, (forward, *passes)), strict=True):
            reference = go_on(forward, part).finish()
            for (_, k), other, found in zip(changed, others, passes, strict=True):
                divergence, _ = divergences(reference, go_on(found, other).finish())
                sums[k] += float(divergence.sum())
    return sums
