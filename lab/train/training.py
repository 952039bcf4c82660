"""A small trainer: a Model of fresh weights to a trained one, through the same program and executor
that everything else uses.

Strategy: the matrices of the trunk take orthogonalized momentum updates (Muon), the embedding and all
vectors Adam updates, or everything AdamW's (arXiv:1711.05101); a short warm-up, then a linear decay to
exactly zero, which leaves weights that quantize well. Batches are random windows of the tokens. A batch
is cut into jobs of a fixed size whose gradients are added in their order, so that on one machine equal
arguments give equal bits whatever the thread count, unless `max_seconds` cuts the run. Sources: Muon
from its author's publication (momentum 0.95, five Newton-Schulz steps, quintic coefficients below);
rates found by trial at this scale.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...compiler.model.model import Model
from ...compiler.model.structure import embedding_tables, token_tables
from ...compiler.model.torch_executor import TorchExecutor
from ...compiler.workers import check_device, job_pool, one_thread_each
from ...errors import DataError
from ...format.parallel import usable_cores
from ...format.program.operations import Linear
from ...format.program.program import Program
from ...progress import StageProgress, silent_stage

MATRIX_RATE = 0.03
TABLE_RATE = 0.02
VECTOR_RATE = 0.01
ADAMW_RATE = 0.003
ADAMW_DECAY = 0.1  # of matrices and tables, not of vectors
WARMUP_SHARE = 0.03
DECAY_SHARE = 0.6
MOMENTUM = 0.95
ADAM_BETAS = (0.9, 0.95)
GRADIENT_NORM = 1.0
NEWTON_SCHULZ_STEPS = 5
NEWTON_SCHULZ_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
UPDATES_BEFORE_ESTIMATE = 10
JOB_TOKENS = 1024  # enough to keep one core busy between two Python calls

Observer = Callable[[int, Model], None]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long to train, and on what.

    updates : of the weights; batch_sequences : windows of the program's sequence length in each; seed :
        chooses the windows
    max_seconds : a machine too slow for all updates does fewer, and the decay to zero is shortened with them
    adamw : updates of AdamW for every tensor, in place of Muon's and Adam's
    """

    updates: int
    batch_sequences: int
    seed: int
    max_seconds: float | None = None
    adamw: bool = False


def train_model(
    model: Model,
    tokens: np.ndarray,
    schedule: Schedule,
    *,
    device: str = "cpu",
    threads: int | None = None,
    progress: StageProgress = silent_stage,
    observe: Observer | None = None,
    observed: Collection[int] = (),
    trained: Collection[int] | None = None,
) -> Model:
    """Train `model` (any program) on integer `tokens` [n]; the one given stays as it is.

    trained : tensors by directory index, all unless given; threads : the cores there are unless given
    progress : called with (done, updates) after each update; observe : called with (done, model) after
        those in `observed`

    The weights of the result are float32. Raises DataError when the tokens are fewer than one window,
    CompileError for a device that there is not.
    """
    check_device(device)
    trained = range(len(model.tensors)) if trained is None else trained
    tensors = {
        i: torch.tensor(t.values, device=device, requires_grad=i in trained) for i, t in enumerate(model.tensors)
    }
    leaves = [tensor for tensor in tensors.values() if tensor.requires_grad]
    executor, length = TorchExecutor(model.program, tensors), model.program.sequence_length
    text = torch.from_numpy(tokens.astype(np.int64)).to(device)
    batches = _batches(text, length, schedule.batch_sequences, schedule.seed)
    job_sequences = max(1, JOB_TOKENS // length) if device == "cpu" else schedule.batch_sequences
    pace = _Pace(schedule)
    with one_thread_each(), job_pool(threads or usable_cores()) as pool:
        make = _adamw if schedule.adamw else _optimizers
        optimizers = make(model.program, tensors, pool)
        while pace.done < pace.updates:
            _set_rates(optimizers, rate_factor(pace.done / pace.updates))
            _set_gradients(executor, leaves, next(batches), job_sequences, pool)
            torch.nn.utils.clip_grad_norm_(leaves, GRADIENT_NORM)
            for optimizer in optimizers:
                optimizer.step()
            pace.count()
            progress(pace.done, pace.updates)
            if observe is not None and pace.done in observed:
                observe(pace.done, _with_values(model, tensors))
    return _with_values(model, tensors)


class _Pace:
    """Updates done, and how many there will be in the time that the schedule allows."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule, self.done, self.updates = schedule, 0, schedule.updates
        self._started, self._first = time.monotonic(), 0.0

    def count(self) -> None:
        """One update is done. The first one holds what happens once, and is no measure of the others."""
        self.done += 1
        if self.done == 1:
            self._first = time.monotonic() - self._started
        elif self.schedule.max_seconds is not None and self.done >= UPDATES_BEFORE_ESTIMATE:
            seconds = time.monotonic() - self._started - self._first
            left = self.schedule.max_seconds - self._first
            self.updates = 1 + updates_in_time(self.done - 1, self.schedule.updates - 1, seconds, left)


def _with_values(model: Model, tensors: Mapping[int, Tensor]) -> Model:
    """The model with the values that its tensors have now."""
    return replace(
        model,
        tensors=tuple(replace(t, values=tensors[i].detach().cpu().numpy().copy()) for i, t in enumerate(model.tensors)),
    )


def _set_gradients(
    executor: TorchExecutor, leaves: Sequence[Tensor], tokens: Tensor, job_sequences: int, pool: Executor
) -> None:
    """Gradients by `leaves` of the mean loss over windows [count, length + 1], one job for every
    `job_sequences` of them.
    """
    targets = tokens[:, 1:].numel()

    def gradients(part: Tensor) -> tuple[Tensor, ...]:
        loss = F.cross_entropy(executor.forward(part[:, :-1]).flatten(0, 1), part[:, 1:].flatten(), reduction="sum")
        return torch.autograd.grad(loss / targets, leaves)

    for leaf in leaves:
        leaf.grad = None
    for part in pool.map(gradients, tokens.split(job_sequences)):
        for leaf, gradient in zip(leaves, part, strict=True):
            leaf.grad = gradient if leaf.grad is None else leaf.grad.add_(gradient)


def updates_in_time(done: int, planned: int, seconds: float, max_seconds: float) -> int:
    """Updates that fit into `max_seconds` when `done` of them took `seconds`; at least `done`, at most `planned`."""
    return max(done, min(planned, int(done * max_seconds / max(seconds, 1e-9))))


def rate_factor(position: float) -> float:
    """Share of the full learning rate at `position` of the run (0 to 1): up, level, and linearly down to 0."""
    return min(1.0, (position + 1e-3) / WARMUP_SHARE, (1 - position) / DECAY_SHARE)


def _set_rates(optimizers: Sequence[torch.optim.Optimizer], factor: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["full_rate"] * factor


def _batches(tokens: Tensor, length: int, count: int, seed: int) -> Iterator[Tensor]:
    """int64 [count, length + 1] windows at random places, without end; they are cut on the device that
    holds the tokens.
    """
    starts = len(tokens) - length
    if starts < 1:
        raise DataError(f"{len(tokens):,} tokens are fewer than one training window of {length + 1:,}; give more text")
    generator = np.random.default_rng([seed, 1])
    window = torch.arange(length + 1, device=tokens.device)
    while True:
        yield tokens[torch.from_numpy(generator.integers(starts, size=count)).to(tokens.device)[:, None] + window]


def _optimizers(program: Program, tensors: Mapping[int, Tensor], pool: Executor) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the weights that are only multiplied with, Adam for tables and vectors."""
    weights = {o.weight for o in program.instructions if isinstance(o, Linear)}
    tables = embedding_tables(program) | set(token_tables(program))
    trained = {i for i, tensor in tensors.items() if tensor.requires_grad}
    vectors = set(tensors) - weights - tables
    groups = [
        {"params": [tensors[i] for i in sorted(chosen & trained)], "full_rate": rate}
        for chosen, rate in ((tables, TABLE_RATE), (vectors, VECTOR_RATE))
        if chosen & trained
    ]
    adam = (torch.optim.Adam(groups, lr=0.0, betas=ADAM_BETAS, fused=True),) if groups else ()
    matrices = [tensors[i] for i in sorted((weights - tables) & trained)]
    return (*((Muon(matrices, MATRIX_RATE, pool),) if matrices else ()), *adam)


def _adamw(program: Program, tensors: Mapping[int, Tensor], pool: Executor) -> tuple[torch.optim.Optimizer, ...]:
    """AdamW for everything, whose decay leaves vectors alone; `pool` as `_optimizers` takes it."""
    matrices = {o.weight for o in program.instructions if isinstance(o, Linear)} | embedding_tables(program)
    groups = [
        {"params": params, "full_rate": ADAMW_RATE, "weight_decay": decay}
        for chosen, decay in ((matrices, ADAMW_DECAY), (set(tensors) - matrices, 0.0))
        if (params := [tensors[i] for i in sorted(chosen) if tensors[i].requires_grad])
    ]
    return (torch.optim.AdamW(groups, lr=0.0, betas=ADAM_BETAS, fused=True),) if groups else ()


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose step is replaced by the nearest orthogonal matrix, for matrices only."""

    def __init__(self, matrices: Sequence[Tensor], full_rate: float, pool: Executor) -> None:
        super().__init__([{"params": list(matrices), "full_rate": full_rate}], {"lr": 0.0})
        self._pool = pool

    def step(self) -> None:
        """One step on the gradients, a job a matrix."""
        for group in self.param_groups:
            rate = group["lr"]
            list(self._pool.map(partial(self._move, rate=rate), group["params"]))

    @torch.no_grad()
    def _move(self, matrix: Tensor, rate: float) -> None:
        state = self.state[matrix]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(matrix)
        momentum = state["momentum"].lerp_(matrix.grad, 1 - MOMENTUM)
        update = orthogonalized(matrix.grad.lerp(momentum, MOMENTUM))
        rows, columns = matrix.shape
        matrix.add_(update, alpha=-rate * max(1.0, rows / columns) ** 0.5)


def orthogonalized(matrix: Tensor) -> Tensor:
    """Roughly U Vᵀ of the singular value decomposition U S Vᵀ: singular values between about 0.7 and 1.2."""
    a, b, c = NEWTON_SCHULZ_COEFFICIENTS
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = a * x + torch.addmm(gram, gram, gram, beta=b, alpha=c) @ x
    return x if wide else x.T
