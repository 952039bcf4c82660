"""The output head as a bottleneck of the gradient: what of the loss's pull on the logits can pass to the hidden states.

Strategy: the head is z = x Wᵀ with W [vocabulary, width]. The gradient g of the loss by z (p - onehot,
times the softcap's slope where there is one) reaches x only as Wᵀ g, so that whatever of g lies outside
the range of W is lost to everything before (arXiv:2603.10145). Measured with the real next tokens, not
sampled ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ...compiler.model.model import Model
from ...compiler.model.structure import output_head
from ...compiler.model.torch_executor import TorchExecutor
from ...compiler.workers import iterate_jobs, threads_for
from ...errors import CheckpointError, DataError
from ...progress import StageProgress

BATCH_SEQUENCES = 4
ROUNDING = float(
    np.finfo(np.float32).eps
)  # weights and states are float32: a product of factors has only about their rank


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Singular values of a matrix and what they come to.

    values : float64[width], falling; rank : how many are above rounding error
    effective_rank : exp of the entropy of values / sum (Roy and Vetterli 2007); stable_rank : sum of
        squares over the greatest square
    condition : greatest over least of the `rank` values
    """

    values: np.ndarray
    rank: int
    effective_rank: float
    stable_rank: float
    condition: float


@dataclass(frozen=True, slots=True)
class HeadGradient:
    """Shares of squared norms of the gradient g by the head's outputs, summed over tokens.

    through_softcap : |g|² of |p - onehot|²
    projected : |P g|² of |g|², P the projector onto the range of W; projected_error : its standard error over batches
        of sequences, None of fewer than two; batches : how many; projected_mean : mean of the shares of single tokens
    random_projected : what a random direction keeps, rank over vocabulary; random_spread : standard deviation of what
        random subspaces of that rank keep of this gradient, estimated from pairs of tokens
    weighted : |Wᵀ g|² of s₁² |g|², s₁ the greatest singular value; random_weighted : |W|² / (vocabulary
        s₁²), a random direction's
    hidden_directions : effective rank of the gradients Wᵀ g by the hidden states; tokens : how many gave a gradient
    """

    through_softcap: float
    projected: float
    projected_mean: float
    random_projected: float
    weighted: float
    random_weighted: float
    hidden_directions: float
    tokens: int
    projected_error: float | None = None
    random_spread: float = 0.0
    batches: int = 0


def spectrum(values: np.ndarray, tolerance: float) -> Spectrum:
    """What singular values (any order) come to; those of at most `tolerance` times the greatest count as zero."""
    values = np.sort(values.astype(np.float64))[::-1]
    if not len(values) or values[0] <= 0:
        return Spectrum(values, 0, 0.0, 0.0, math.inf)
    rank = int((values > tolerance * values[0]).sum())
    shares = values[:rank] / values[:rank].sum()
    entropy = -float((shares * np.log(shares)).sum())
    return Spectrum(
        values,
        rank,
        math.exp(entropy),
        float(np.square(values).sum() / values[0] ** 2),
        float(values[0] / values[rank - 1]),
    )


def moment_spectrum(moment: np.ndarray) -> Spectrum:
    """Spectrum of the matrix X / sqrt(rows) whose second moment Xᵀ X / rows is float64[width, width]."""
    return spectrum(np.sqrt(np.maximum(np.linalg.eigvalsh(moment), 0.0)), len(moment) * ROUNDING)


def measure_head(
    model: Model, sequences: np.ndarray, *, threads: int, finished: StageProgress, device: str = "cpu"
) -> tuple[Spectrum, Spectrum, HeadGradient]:
    """Spectra of the head and of the hidden states it reads, and the gradient that it lets through.

    sequences : int64[n, length], length 2 or more; device : where the model runs. `finished(batches done, batches)`;
    the same whatever `threads`.
    Raises CheckpointError when one linear map does not make the logits, DataError for sequences without a next token.
    """
    head = output_head(model.program)
    if sequences.shape[1] < 2:
        raise DataError("sequences of one token have no next token; give an architecture with a longer seq_len")
    weights = model.tensors[model.program.instructions[head].weight].values.astype(np.float64)
    if not weights.any():
        raise CheckpointError("the output head is zero: no gradient passes it")
    left, values, _ = np.linalg.svd(weights, full_matrices=False)
    found = spectrum(values, max(weights.shape) * ROUNDING)
    sums = _Sums(model, head, weights, left[:, : found.rank], device)
    batches = [sequences[i : i + BATCH_SEQUENCES] for i in range(0, len(sequences), BATCH_SEQUENCES)]
    totals: list[np.ndarray] | None = None
    shares: list[tuple[float, float]] = []  # of each batch |P g|² and |g|²
    for done, part in enumerate(iterate_jobs(sums.measure, batches, threads_for(device, threads)), start=1):
        totals = part if totals is None else [a + b for a, b in zip(totals, part, strict=True)]
        shares.append((float(part[2][2]), float(part[2][1])))
        finished(done, len(batches))
    hidden, passed, scalars = totals
    gradient = _gradient(found, passed, scalars, len(weights))
    gradient = replace(gradient, projected_error=_error_of_share(shares), batches=len(shares))
    return found, moment_spectrum(hidden / scalars[5]), gradient


def _gradient(head: Spectrum, passed: np.ndarray, scalars: np.ndarray, vocabulary: int) -> HeadGradient:
    """The shares from the sums of `_Sums.measure`."""
    plain, through, projected, weighted, ratios, tokens, overlaps, pairs = scalars.tolist()
    concentration = overlaps / pairs / (through / tokens) ** 2 if pairs and through else 1.0  # tr G² of G with trace 1
    return HeadGradient(
        through_softcap=_share(through, plain),
        projected=_share(projected, through),
        projected_mean=ratios / tokens,
        random_projected=head.rank / vocabulary,
        weighted=_share(weighted, through * float(head.values[0]) ** 2),
        random_weighted=head.stable_rank / vocabulary,
        hidden_directions=moment_spectrum(passed / tokens).effective_rank,
        tokens=int(tokens),
        random_spread=spread_of_random_subspaces(head.rank, vocabulary, concentration),
    )


def spread_of_random_subspaces(rank: int, size: int, concentration: float) -> float:
    """Standard deviation of tr(P G), P the projector onto a uniformly random subspace of so many dimensions of `size`,
    G symmetric with trace 1 and tr G² = `concentration`: 2 r (n - r) (tr G² - 1 / n) / (n (n - 1) (n + 2)).
    """
    if size < 2:
        return 0.0
    variance = 2 * rank * (size - rank) * max(concentration - 1 / size, 0.0) / (size * (size - 1) * (size + 2))
    return math.sqrt(variance)


def _error_of_share(shares: Sequence[tuple[float, float]]) -> float | None:
    """Standard error of a ratio of sums (Cochran, Sampling Techniques, 6.4) over batches of (part, whole)."""
    parts, wholes = np.array(shares, np.float64).T
    count, whole = len(parts), float(wholes.sum())
    if count < 2 or not whole:
        return None
    residual = parts - float(parts.sum()) / whole * wholes
    return math.sqrt(count / (count - 1) * float(residual @ residual)) / whole


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


class _Sums:
    """Sums over the tokens of one batch."""

    def __init__(self, model: Model, head: int, weights: np.ndarray, basis: np.ndarray, device: str) -> None:
        self.head, self.source, self.device = head, model.program.instructions[head].x, device
        self.executor = TorchExecutor(model.program, {i: self._placed(t.values) for i, t in enumerate(model.tensors)})
        self.weights, self.basis = self._placed(weights), self._placed(np.ascontiguousarray(basis))

    def _placed(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(self.device)

    def measure(self, tokens: np.ndarray) -> list[np.ndarray]:
        """[sum x xᵀ, sum Wᵀ g gᵀ W, (|p - onehot|², |g|², |P g|², |Wᵀ g|², |P g|² / |g|², tokens,
        (g · g')² of pairs of tokens half a batch apart, pairs)], float64.
        """
        kept: dict[int, torch.Tensor] = {}

        def keep(index: int, value: torch.Tensor) -> torch.Tensor:
            if index == self.head:
                value = value.detach().requires_grad_()
            if index in (self.head, self.source):
                kept[index] = value
            return value

        ids = self._placed(tokens)
        labels = ids[:, 1:].flatten()
        logits = self.executor.forward(ids[:, :-1], registers=keep).flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits.double(), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, kept[self.head])
        gradient = gradient.flatten(0, 1).double()
        plain = logits.detach().double().softmax(-1)
        plain[torch.arange(len(labels), device=self.device), labels] -= 1
        hidden = kept[self.source].detach().flatten(0, 1).double()
        passed = gradient @ self.weights
        squares, projected = gradient.square().sum(1), (gradient @ self.basis).square().sum(1)
        ratios = torch.where(squares > 0, projected / squares, 0.0)
        half = len(labels) // 2
        scalars = [
            plain.square().sum(),
            squares.sum(),
            projected.sum(),
            passed.square().sum(),
            ratios.sum(),
            len(labels),
            (gradient[:half] * gradient[half : 2 * half]).sum(1).square().sum(),
            half,
        ]
        moments = [(hidden.T @ hidden).cpu().numpy(), (passed.T @ passed).cpu().numpy()]
        return [*moments, np.array([float(value) for value in scalars])]
