"""Calibration: the second-order model of the loss, measured on text.

Strategy: run the model over calibration sequences and sample the labels from its own predictions, so that squared
gradients estimate the true Fisher information. A matrix W used as x Wᵀ loses about
    1/2 * sum_o g_o (w'_o - w_o) H (w'_o - w_o)ᵀ    nats a token  (design section 5)
with H = E[x xᵀ] over its inputs and g_o = E[δ_o²] over the gradients of its outputs. A matrix used as an embedding has
the same form with the rows' frequencies; a tied table adds the Fisher of both uses. Vectors get their diagonal Fisher.
Batches are independent jobs whose sums are added in batch order: the result does not depend on the thread count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import torch

from ...errors import CheckpointError
from ...format.program.operations import Embed, HashEmbed, Linear, PositionEmbed
from ...format.program.program import Program
from ..model.model import Model
from ..model.structure import find_head
from ..model.torch_executor import TorchExecutor
from ..workers import iterate_jobs

Lookup = Embed | HashEmbed | PositionEmbed
TOKENS_AN_UNKNOWN = 4
LEAST_MOMENT = 1e-30  # keeps an all-zero model from dividing by zero


@dataclass(frozen=True, slots=True)
class MatrixStatistics:
    """Second-order model of one matrix, per token.

    hessian : float64[columns, columns]   H, symmetric positive semi-definite
    row_fisher : float64[rows]                 g, in nats per squared output unit
    output_fisher : float32[rows, rows] or None    G = E[δ δᵀ], whose diagonal is g; None where only that is known
    """

    hessian: np.ndarray
    row_fisher: np.ndarray
    output_fisher: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """What calibration measured: matrices and vectors by tensor index, and over how many tokens.

    head_mean, head_fisher : float64[columns], float64[rows] mean input and own row Fisher of the linear
        map that makes the logits
    """

    matrices: Mapping[int, MatrixStatistics]
    vectors: Mapping[int, np.ndarray]  # float64 in the tensor's shape: diagonal Fisher per token
    tokens: int
    head_mean: np.ndarray | None = None
    head_fisher: np.ndarray | None = None


@dataclass(slots=True)
class _Sums:
    """Sums over the tokens of one batch, or of all batches so far, by tensor index."""

    moments: dict[int, torch.Tensor] = field(default_factory=dict)  # inputs of a linear use
    fisher: dict[int, torch.Tensor] = field(default_factory=dict)  # squared gradients of the head's outputs
    means: dict[int, torch.Tensor] = field(default_factory=dict)  # inputs of the head
    output_fisher: dict[int, torch.Tensor] = field(default_factory=dict)  # gradients of other linear uses' outputs
    lookup_fisher: dict[int, torch.Tensor] = field(default_factory=dict)  # squared gradient of each table row
    lookup_moments: dict[int, torch.Tensor] = field(default_factory=dict)  # gradients of a table use's outputs
    vectors: dict[int, torch.Tensor] = field(default_factory=dict)  # squared gradients of everything else

    def add(self, name: str, tensor: int, value: torch.Tensor) -> None:
        sums, value = getattr(self, name), value.cpu()
        sums[tensor] = sums[tensor] + value if tensor in sums else value

    def merge(self, other: _Sums) -> None:
        for name in self.__slots__:
            for tensor, value in getattr(other, name).items():
                self.add(name, tensor, value.double())


def calibration_sequences(tokens: np.ndarray, sequence_length: int, wanted_tokens: int) -> np.ndarray:
    """int64[n, sequence_length] sequences spread evenly over the text, about `wanted_tokens` in all,
    without overlap.
    """
    available = len(tokens) // sequence_length
    count = max(1, min(available, -(-wanted_tokens // sequence_length)))
    starts = [i * available // count * sequence_length for i in range(count)]
    return np.stack([tokens[s : s + sequence_length] for s in starts]).astype(np.int64)


def measure_statistics(
    model: Model,
    sequences: np.ndarray,
    *,
    batch_sequences: int,
    seed: int,
    device: str,
    threads: int,
    finished: Callable[[int], None] | None = None,
    enough: Callable[[Statistics], bool] | None = None,
) -> Statistics:
    """Second-order statistics of every tensor of a model.

    sequences : int64[n, length]. The labels are drawn with a generator seeded by (seed, batch), so equal arguments give
    equal bits on one device, whatever `threads`.
    enough : asked after 1, 2, 4, ... batches with the statistics so far; True ends the measurement
    """
    batches = [(i, sequences[i : i + batch_sequences]) for i in range(0, len(sequences), batch_sequences)]
    tensors = {i: torch.from_numpy(t.values).to(device) for i, t in enumerate(model.tensors)}

    def measure(batch: tuple[int, np.ndarray]) -> _Sums:
        first, tokens = batch
        generator = torch.Generator().manual_seed((seed * 1_000_003 + first) % 2**63)
        return _measure_batch(model.program, tensors, torch.from_numpy(tokens).to(device), generator)

    total, tokens = _Sums(), 0
    uses = Counter(op.weight for op in model.program.instructions if isinstance(op, Linear))
    with closing(iterate_jobs(measure, batches, threads)) as results:
        for done, sums in enumerate(results, start=1):
            total.merge(sums)
            tokens += batches[done - 1][1].size
            if finished is not None:
                finished(done)
            if enough is not None and done & (done - 1) == 0 and enough(_summarize(total, tokens, uses)):
                break
    return _summarize(total, tokens, uses)


def second_moment(x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
    """float64[width, width] sum over all positions of x yᵀ (y = x when not given), for activations [..., width].

    Products are float32 within one batch and sums over batches float64: a batch is short enough for that.
    """
    x = x.flatten(0, -2)
    return (x.T @ (x if y is None else y.flatten(0, -2))).double()


def _measure_batch(program: Program, tensors: Mapping[int, torch.Tensor], tokens: torch.Tensor, generator) -> _Sums:
    """One forward and one backward pass; the gradients are those of the summed loss, so squares add up over tokens."""
    operations = program.instructions
    linear = {op.weight for op in operations if isinstance(op, Linear)}
    leaves = {i: t.detach().requires_grad_(i not in linear) for i, t in tensors.items()}
    registers: dict[int, torch.Tensor] = {}

    def keep(index: int, value: torch.Tensor) -> torch.Tensor:
        registers[index] = value if value.requires_grad else value.requires_grad_()
        return registers[index]

    logits = TorchExecutor(program, leaves).forward(tokens, registers=keep)
    if not logits.isfinite().all():
        raise CheckpointError(
            "the model's logits on the calibration text are not finite: its weights or its architecture are wrong"
        )
    predicted = logits.detach().cpu().softmax(-1).flatten(0, 1)
    labels = torch.multinomial(predicted, 1, generator=generator).to(tokens.device)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    outputs = [k for k, op in enumerate(operations) if isinstance(op, Linear | Lookup)]
    others = [i for i in leaves if i not in linear]
    wanted = [registers[k] for k in outputs] + [leaves[i] for i in others]
    gradients = torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True)
    sums = _Sums()
    moments: dict[int, torch.Tensor] = {}  # by input register: q, k and v share theirs
    for index, gradient in zip(others, gradients[len(outputs) :], strict=True):
        if gradient is not None:
            sums.add("vectors", index, gradient.double().square())
    for index, gradient in zip(outputs, gradients, strict=False):
        gradient = gradient.flatten(0, 1)
        if isinstance(operations[index], Linear):
            source = operations[index].x
            if source not in moments:
                moments[source] = second_moment(registers[source].detach())
            sums.add("moments", operations[index].weight, moments[source])
            exact = _head_fisher(program, index, registers, logits)
            if exact is None:
                sums.add("output_fisher", operations[index].weight, gradient.T @ gradient)
            else:
                sums.add("fisher", operations[index].weight, exact)
                sums.add("means", operations[index].weight, registers[source].detach().flatten(0, -2).double().sum(0))
        else:
            _add_lookups(sums, operations[index], tokens, gradient, tensors[operations[index].table].shape[0])
    return sums


def _head_fisher(program: Program, index: int, registers: Mapping[int, torch.Tensor], logits) -> torch.Tensor | None:
    """Exact row Fisher of the head, sum over tokens of p (1 - p) (dlogit/dz)²; None when `index` is not the head.

    Expecting over the labels instead of sampling one makes the rows of rare tokens measurable.
    """
    if index != find_head(program):
        return None
    if index == len(program.instructions) - 1:
        slope = torch.ones_like(logits)
    else:  # what follows the head works element by element, so that the gradient of the sum is the slope of each
        (slope,) = torch.autograd.grad(logits.sum(), registers[index], retain_graph=True)
    p = logits.detach().softmax(-1)
    return ((p - p * p) * slope.square()).flatten(0, 1).double().sum(0)


def _add_lookups(sums: _Sums, operation: Lookup, tokens, gradient: torch.Tensor, rows: int) -> None:
    """A hash table's rows are measured as `vectors` are; a table of tokens or positions may be tied, so
    its own use is separated here. Positions beyond the calibration's sequences count as those within do.
    """
    sums.add("lookup_moments", operation.table, second_moment(gradient))
    if isinstance(operation, HashEmbed):
        return
    looked_up, first, length = tokens, operation.offset if isinstance(operation, PositionEmbed) else 0, tokens.shape[1]
    if isinstance(operation, PositionEmbed):
        looked_up = (torch.arange(length, device=tokens.device) + first).expand(tokens.shape)
    row_gradients = gradient.new_zeros(rows, gradient.shape[1]).index_add_(0, looked_up.flatten(), gradient)
    fisher = row_gradients.double().square().mean(1)
    if isinstance(operation, PositionEmbed):
        fisher[first + length :] = fisher[first : first + length].mean()
    sums.add("lookup_fisher", operation.table, fisher)


def told_share(tokens: int, unknowns: int) -> float:
    """Share of what so many tokens say of so many rows or inputs together that is worth believing."""
    return tokens / (tokens + TOKENS_AN_UNKNOWN * unknowns)


def _shrunk(moment: torch.Tensor, tokens: int) -> torch.Tensor:
    """A sampled second moment with correlations as small as their number makes likely: few tokens tell
    little of many rows.
    """
    diagonal = moment.diagonal().diag()
    return diagonal + (moment - diagonal) * told_share(tokens, len(moment))


def _summarize(total: _Sums, tokens: int, uses: Mapping[int, int]) -> Statistics:
    """Per token. A weight used k times has k times the Fisher information and the average moment of its uses."""
    matrices = {}
    for tensor, moment in total.moments.items():
        moment = moment / tokens / uses[tensor]
        both = _shrunk(total.output_fisher[tensor] / tokens, tokens) if tensor in total.output_fisher else None
        fisher = 0 if both is None else both.diagonal()
        if tensor in total.fisher:
            fisher, both = fisher + total.fisher[tensor] / tokens, None
        if tensor in total.lookup_fisher:  # tied: in units of the head's mean input, rows add their use as embedding
            fisher = fisher + total.lookup_fisher[tensor] / tokens / moment.diagonal().mean().clamp_min(LEAST_MOMENT)
            both = None
        matrices[tensor] = MatrixStatistics(
            moment.numpy(), fisher.numpy(), None if both is None else both.float().numpy()
        )
    for tensor, moment in total.lookup_moments.items():
        if tensor not in matrices:
            rows = total.lookup_fisher.get(tensor, total.vectors[tensor].mean(1) if tensor in total.vectors else None)
            moment = moment / moment.diagonal().mean().clamp_min(LEAST_MOMENT)
            matrices[tensor] = MatrixStatistics(moment.numpy(), (rows / tokens).numpy())
    vectors = {i: (v / tokens).numpy() for i, v in total.vectors.items() if i not in matrices}
    head = {
        t: ((mean / tokens).numpy(), (total.fisher[t] / tokens).numpy())
        for t, mean in total.means.items()
        if uses[t] == 1
    }
    return Statistics(matrices, vectors, tokens, *next(iter(head.values()), (None, None)))
