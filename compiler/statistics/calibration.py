"""Calibration: the second-order model of the loss, measured on text.

Strategy: run the model over calibration sequences, and back from gradients of the logits that are drawn at random
(Fisher information of the model's own predictions is their second moment), so that squared gradients estimate the true
Fisher information of every tensor. A matrix W used as x Wᵀ loses about
    1/2 * sum_o g_o (w'_o - w_o) H (w'_o - w_o)ᵀ    nats a token  (design section 5)
with H = E[x xᵀ] over its inputs and g_o = E[δ_o²] over the gradients of its outputs. A matrix used as an embedding has
the same form with the rows' frequencies; a tied table adds the Fisher of both uses. Vectors get their diagonal Fisher.
Batches are independent jobs (batch_pass.py) whose sums are added in batch order (running_sums.py): the result does not
depend on the thread count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..instruction_sets import has_half_products
from ..model.half_products import arithmetic_for
from ..model.model import Model
from ..model.structure import widest_input
from ..scratch_file import ScratchFile
from ..tile_products import rounded_products
from ..workers import iterate_jobs, threads_for
from .batch_pass import BatchPass, MeasuredProgram
from .calibration_progress import RememberedCalibration
from .damping import shrunk
from .guessing import Guessing
from .matrix_statistics import MatrixStatistics, MatrixTable
from .running_sums import RunningSums

TOKENS_AN_UNKNOWN = 4
LEAST_SHARE = 0.15  # of how rows go together, for it to be measured: it takes half of a matrix's time
APART = 382  # thousandths of the step between two sequences: of few whole multiples near to a whole step
LEAST_MOMENT = 1e-30  # keeps an all-zero model from dividing by zero


@dataclass(frozen=True, slots=True)
class Statistics:
    """What calibration measured: matrices and vectors by tensor index, and over how many tokens.

    head_mean, head_fisher : float64[columns], float64[rows] mean input and own row Fisher of the linear
        map that makes the logits
    guessing : how the model compares with guessing; None where nothing was measured
    """

    matrices: Mapping[int, MatrixStatistics]
    vectors: Mapping[int, np.ndarray]  # float64 in the tensor's shape: diagonal Fisher per token
    tokens: int
    head_mean: np.ndarray | None = None
    head_fisher: np.ndarray | None = None
    guessing: Guessing | None = None


def calibration_sequences(
    tokens: np.ndarray, sequence_length: int, wanted_tokens: int, *, apart: bool = False
) -> np.ndarray:
    """int64[n, sequence_length] sequences spread evenly over the text, about `wanted_tokens` in all,
    without overlap.

    apart : others than without it, however many are wanted of either, as far as the text is long enough
    """
    available, first = len(tokens) // sequence_length, APART if apart else 0
    count = max(1, min(available, -(-wanted_tokens // sequence_length)))
    starts = [(1000 * i + first) * available // (1000 * count) * sequence_length for i in range(count)]
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
    scratch: ScratchFile | None = None,
    remembered: RememberedCalibration | None = None,
    passed_over: Collection[int] = (),
) -> Statistics:
    """Second-order statistics of every tensor of a model.

    sequences : int64[n, length]. The labels are drawn with a generator seeded by (seed, batch), so equal arguments give
    equal bits on one device, whatever `threads`.
    enough : asked after 1, 2, 4, ... batches, while there are more and from as many tokens on as a matrix has inputs,
        with the statistics so far but without correlations of outputs; True ends the measurement
    scratch : where statistics are put aside; the result reads them from there. In memory without it
    remembered : how far a run before has come, and where this one leaves how far it is
    passed_over : weights of linear maps, not the head's, of which nothing is wanted
    """
    threads = threads_for(device, threads)
    batches = [(i, sequences[i : i + batch_sequences]) for i in range(0, len(sequences), batch_sequences)]
    tensors = {i: torch.from_numpy(t.values).to(device) for i, t in enumerate(model.tensors)}
    names, apart = [t.name for t in model.tensors], _with_many_rows(model, sequences.size)
    measured, sums = MeasuredProgram(model.program, names, apart, passed_over), RunningSums(scratch)
    widest = widest_input(model)  # fewer tokens span fewer directions
    arithmetic = arithmetic_for(model.program, has_half_products(device), tensors)

    def measure(number: int) -> int:
        first, tokens = batches[number]
        generator = torch.Generator().manual_seed((seed * 1_000_003 + first) % 2**63)
        try:
            batch = BatchPass(measured, tensors, sums, number, arithmetic)
            batch.run(torch.from_numpy(tokens).to(device), generator)
        except BaseException:
            sums.fail()
            raise
        sums.finish(number)
        return tokens.size

    so_far = remembered or RememberedCalibration()
    so_far.restore(sums)
    with rounded_products(device):
        while not so_far.ended:
            done = so_far.batches
            # up to the next power of two, so that every question is about the batches before it
            stop = len(batches) if enough is None else min(len(batches), next_power_of_two(done))
            for size in iterate_jobs(measure, range(done, so_far.stop_before(stop, threads)), threads):
                so_far.tokens, so_far.batches = so_far.tokens + size, so_far.batches + 1
                if finished is not None:
                    finished(so_far.batches)
            ended = so_far.batches >= len(batches)
            if enough is not None and so_far.batches == stop and not ended and so_far.tokens >= widest:
                ended = enough(_summarize(measured, sums, so_far.tokens, scratch, correlations=False))
            so_far.keep(sums, ended)
    return _summarize(measured, sums, so_far.tokens, scratch)


def _with_many_rows(model: Model, tokens: int) -> list[int]:
    """Matrices with so many rows that next to nothing of how these go together is told by so many tokens."""
    matrices = [(i, len(tensor.values)) for i, tensor in enumerate(model.tensors) if tensor.values.ndim > 1]
    return [i for i, rows in matrices if not are_rows_coupled(rows, tokens)]


def are_rows_coupled(rows: int, tokens: int) -> bool:
    """Whether so many tokens tell how so many rows of a matrix go together, the head's apart."""
    return told_share(tokens, rows) >= LEAST_SHARE


def next_power_of_two(number: int) -> int:
    """The least power of two above a number from 0 on."""
    return 1 << number.bit_length()


def told_share(tokens: int, unknowns: int, tokens_an_unknown: float = TOKENS_AN_UNKNOWN) -> float:
    """Share of what so many tokens say of so many rows or inputs together that is worth believing."""
    return tokens / (tokens + tokens_an_unknown * unknowns)


def _summarize(
    measured: MeasuredProgram,
    sums: RunningSums,
    tokens: int,
    scratch: ScratchFile | None,
    *,
    correlations: bool = True,
) -> Statistics:
    """Per token. A weight used k times has k times the Fisher information and the average moment of its uses.

    correlations : whether the output Fisher is wanted beside its diagonal
    """
    summary = _Summary(measured, sums, tokens, correlations)
    matrices = MatrixTable(measured.matrices, summary.matrix, scratch)
    if scratch is None:
        matrices = {i: matrices[i] for i in matrices}
    vectors = {i: (sums.load(("vectors", i)) / tokens).numpy() for i in measured.vectors if ("vectors", i) in sums}
    vectors = {i: values for i, values in vectors.items() if i not in matrices}
    heads = [i for i in sums.names("means") if measured.uses[i] == 1]
    head = [(sums.load((kind, i)) / tokens).numpy() for i in heads[:1] for kind in ("means", "fisher")]
    (entropy,), (loss, squares, count) = sums.load(("entropy", 0)).tolist(), sums.load(("text", 0)).tolist()
    guessing = Guessing.of_sums(entropy, tokens, loss, squares, int(count), measured.program.vocabulary_size)
    return Statistics(matrices, vectors, tokens, *(head or (None, None)), guessing)


@dataclass(frozen=True, slots=True)
class _Summary:
    """What the sums over so many tokens say of each matrix."""

    measured: MeasuredProgram
    sums: RunningSums
    tokens: int
    correlations: bool

    def matrix(self, tensor: int) -> MatrixStatistics:
        """Statistics of one matrix, computed from the sums."""
        return self._linear(tensor) if tensor in self.measured.uses else self._table(tensor)

    def _linear(self, tensor: int) -> MatrixStatistics:
        sums, tokens = self.sums, self.tokens
        source = self.measured.input_of.get(tensor)
        moment = sums.load(("moments", tensor) if source is None else ("inputs", source))
        moment = moment / tokens
        if self.measured.uses[tensor] > 1:
            moment = moment / self.measured.uses[tensor]
        excess = sums.load(("excess", tensor)) / tokens if ("excess", tensor) in sums else None
        if excess is not None:
            moment = moment + excess
        both, fisher = None, 0
        if ("output_fisher", tensor) in sums:
            found = sums.load(("output_fisher", tensor))
            fisher = found.diagonal() / tokens
            share = told_share(tokens, len(found))
            both = shrunk((found / tokens).numpy(), share) if self.correlations else None
        if ("fisher", tensor) in sums:
            fisher, both = fisher + sums.load(("fisher", tensor)) / tokens, None
        if (
            "lookup_fisher",
            tensor,
        ) in sums:  # tied: in units of the head's mean input, rows add their use as embedding
            lookups = sums.load(("lookup_fisher", tensor)) / tokens
            fisher = fisher + lookups / moment.diagonal().mean().clamp_min(LEAST_MOMENT)
            both = None
        found = _finite(moment.numpy(), fisher.numpy(), None if both is None else both.astype(np.float32))
        return found if excess is None else replace(found, excess=excess.numpy())

    def _table(self, tensor: int) -> MatrixStatistics:
        sums = self.sums
        moment = sums.load(("lookup_moments", tensor))
        rows = (
            sums.load(("lookup_fisher", tensor))
            if ("lookup_fisher", tensor) in sums
            else sums.load(("vectors", tensor)).mean(1)
        )
        moment = moment / moment.diagonal().mean().clamp_min(LEAST_MOMENT)
        return _finite(moment.numpy(), (rows / self.tokens).numpy())


def _finite(hessian: np.ndarray, row_fisher: np.ndarray, output_fisher: np.ndarray | None = None) -> MatrixStatistics:
    """Statistics of numbers; OverflowError for what a model of too large weights makes of them."""
    for name, values in {"inputs": hessian, "gradients": row_fisher, "outputs": output_fisher}.items():
        if values is not None and not np.isfinite(values).all():
            raise OverflowError(f"second moments of {name} that are not finite")
    return MatrixStatistics(hessian, row_fisher, output_fisher)
