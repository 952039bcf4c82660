"""Divergence from the float model: KL(float model || other model) of the next token, in float64.

Strategy: at each position the divergence is the sum over the whole vocabulary of p (log p - log q), p
the float model's. It sees every token that the model might have said, the loss only the one that the
text says, so it is the less noisy of the two. Logits are float32, everything after them float64; on the
processor a kernel goes over both once. What the float model's head reads is kept, and its logits where they
are no more than a gigabyte. Batches are fixed and every sequence's sum is its own, so that the thread count
cannot change a digit. (Distillation has its own float32 loss, which is differentiated and never reported.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...format.program.program import Program
from ..model.logit_parts import before_logits, go_on, in_parts, positions_at_once, split_positions
from ..model.torch_executor import Forward, TorchExecutor, advance_to
from ..workers import run_jobs, threads_for
from .divergence_kernel import row_divergences

BATCH_TOKENS = 1024
KEPT_FLOATS = 1 << 28  # of the float model's logits that are kept; more are made again every time
PIECE_FLOATS = 1 << 24  # logits that are looked at in double precision at once


def divergences(
    expected: torch.Tensor, found: torch.Tensor, targets: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(KL from a model to another one, the other's loss -log q of the targets), both in nats, float64 [batch, length].

    expected, found : their float32 logits [batch, length, vocabulary];  targets : int64 [batch, length], the loss is 0
        without them
    """
    wanted = torch.zeros(found.shape[:2], dtype=torch.int64, device=found.device) if targets is None else targets
    both = expected.flatten(0, 1), found.flatten(0, 1), wanted.flatten()
    divergence, loss = by_kernel(*both) if found.device.type == "cpu" else by_operations(*both)
    loss = torch.zeros_like(loss) if targets is None else loss
    return divergence.view(found.shape[:2]), loss.view(found.shape[:2])


def by_kernel(expected: torch.Tensor, found: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`divergences` of logits [n, vocabulary] on the processor."""
    divergence, loss = np.empty((2, len(found)))
    logits = (values.detach().contiguous().numpy() for values in (expected, found))
    row_divergences(*logits, targets.contiguous().numpy(), divergence, loss)
    return torch.from_numpy(divergence), torch.from_numpy(loss)


def by_operations(
    expected: torch.Tensor, found: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """`divergences` of logits [n, vocabulary] by torch's operations, on any device: equal up to float64 rounding."""
    parts = []
    at_once = max(1, PIECE_FLOATS // found.shape[-1])
    for mine, other, target in zip(*(values.split(at_once) for values in (expected, found, targets)), strict=True):
        known, logs = (values.double().log_softmax(-1) for values in (mine, other))
        parts.append(((known.exp() * (known - logs)).sum(-1), -logs.gather(-1, target[:, None])[:, 0]))
    divergence, loss = (torch.cat(each) for each in zip(*parts, strict=True))
    return divergence, loss


@dataclass(frozen=True, slots=True, eq=False)
class SequenceLosses:
    """Of one model on n sequences.

    divergence : float64[n] nats a token, mean over the positions of a sequence
    loss : float64[n] nats, sum over the targets of a sequence; None without targets
    """

    divergence: np.ndarray
    loss: np.ndarray | None


class DivergenceMeter:
    """Divergences of models from one float model on the same sequences.

    program, arrays : the float model, float32 arrays in directory order
    sequences : int64[n, length]; targets : int64[n, length], each the token after its input, or None
    float_model : SequenceLosses of the float model itself; device : where the models run, and its logits are kept
    """

    def __init__(
        self,
        program: Program,
        arrays: Sequence[np.ndarray],
        sequences: np.ndarray,
        targets: np.ndarray | None = None,
        *,
        threads: int,
        device: str = "cpu",
    ) -> None:
        self._program, self._sequences, self._targets, self._device = program, sequences, targets, device
        self._size = max(1, BATCH_TOKENS // sequences.shape[1])
        self._starts = range(0, len(sequences), self._size)
        executor, threads = _executor(program, arrays, device), threads_for(device, threads)
        self._begun = run_jobs(lambda start: self._begin(executor, start), self._starts, threads)
        few = sequences.size * program.vocabulary_size <= KEPT_FLOATS
        self._logits = run_jobs(_all_logits, self._begun, threads) if few else None
        self.float_model = self._collected(None, threads)

    def measure(self, arrays: Sequence[np.ndarray], program: Program | None = None, *, threads: int) -> SequenceLosses:
        """Of the float model's program, or of another one for the same tokens, with these float32 tensors."""
        executor = _executor(program or self._program, arrays, self._device)
        return self._collected(executor, threads_for(self._device, threads))

    def _begin(self, executor: TorchExecutor, start: int) -> Forward:
        """The pass over the batch that begins with sequence `start`, come to the head."""
        forward = Forward(executor, self._placed(self._sequences, start))
        advance_to(forward, before_logits(executor.program)[0])
        return forward.fork(executor)  # without the masks of its attention

    def _placed(self, tokens: np.ndarray, start: int) -> torch.Tensor:
        """A batch of sequences on the device."""
        return torch.from_numpy(tokens[start : start + self._size]).to(self._device)

    def _collected(self, executor: TorchExecutor | None, threads: int) -> SequenceLosses:
        """The losses of a model, batch by batch; of the float model itself without one."""

        def measure(batch: int) -> tuple[np.ndarray, np.ndarray]:
            start, known = self._starts[batch], self._begun[batch]
            own = known if executor is None else self._begin(executor, start)
            targets = None if self._targets is None else self._placed(self._targets, start)
            following = None if targets is None else split_positions(targets, positions_at_once(self._program))
            found = []
            for k, (mine, other) in enumerate(zip(in_parts(known), in_parts(own), strict=True)):
                logits = self._logits[batch][k] if self._logits is not None else _logits(known, mine)
                others = logits if executor is None else _logits(own, other)
                found.append(divergences(logits, others, None if following is None else following[k][None]))
            divergence, loss = (torch.cat(each, 1).view(known.tokens.shape) for each in zip(*found, strict=True))
            return divergence.mean(-1).cpu().numpy(), loss.sum(-1).cpu().numpy()

        found = run_jobs(measure, range(len(self._starts)), threads)
        losses = None if self._targets is None else np.concatenate([loss for _, loss in found])
        return SequenceLosses(np.concatenate([divergence for divergence, _ in found]), losses)


def _logits(forward: Forward, part: torch.Tensor) -> torch.Tensor:
    """Those of a part of a pass that has come to the head, float32 [1, n, vocabulary]."""
    with torch.no_grad():
        return go_on(forward, part).finish()


def _all_logits(forward: Forward) -> list[torch.Tensor]:
    """Those of every part."""
    return [_logits(forward, part) for part in in_parts(forward)]


def _executor(program: Program, arrays: Sequence[np.ndarray], device: str) -> TorchExecutor:
    tensors = {i: torch.from_numpy(np.ascontiguousarray(a)).to(device) for i, a in enumerate(arrays)}
    return TorchExecutor(program, tensors)
