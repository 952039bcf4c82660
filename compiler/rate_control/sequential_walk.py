"""One sequential walk through the program that spends a budget: a price for every matrix, and the last one open.

Strategy: quantize/sequential.py brings the targets of one group after the other; `SequentialWalk` prices
it (price_schedule.py), quantizes its matrices side by side and keeps the accounts. The last matrix stays
open: requantizing it alone is cheap, and closes the gap to the last bytes (land_walks.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np

from ...format.assembly import EncodedStreams
from ...progress import StageProgress
from ..allocator import freed_memory_given_back
from ..extremes import naming_tensor
from ..job import CompileJob
from ..quantize.distillation import Distiller, make_distiller
from ..quantize.grid_matrix import zero_matrices
from ..quantize.refiner import Refiner, all_updates, tune_vectors
from ..quantize.representation import FitAt, Quantized, Representations
from ..quantize.sequential import Target, Walk, group_starts, quantize_sequentially, walk_sequences
from ..quantize.vectors import quantize_control_tensors, trainable_vectors
from ..rewrites.head_bias import fit_head_bias
from ..scratch_file import ScratchFile
from ..workers import run_jobs
from .artifacts import make_draft
from .landing import Draft
from .price_schedule import PriceSchedule
from .walk_bookmark import WalkBookmark, memory_of_walk
from .walk_plan import WalkPlan

SAME_PRICE = 1e-12  # relative: a price that a search has taken the logarithm of
COARSE_BITS = 4.0  # a weight, up to which rounding to bfloat16 does next to nothing beside quantization; at 6 it does


@dataclass(frozen=True, slots=True)
class OpenMatrix:
    """The matrix that a walk quantized last: its tensor index, its price in the walk, and how to
    quantize it at another.
    """

    index: int
    byte_price: float
    fit_at: FitAt


@dataclass(frozen=True, slots=True)
class FinishedWalk:
    """Every tensor quantized, the last matrix open for another price.

    base_price : that the walk was planned at; quantized : everything, by tensor index; targets : as a Draft has them
    encoded : streams without the last matrix, which are the same at every price
    """

    job: CompileJob
    base_price: float
    quantized: Mapping[int, Quantized]
    last: OpenMatrix
    targets: Mapping[int, Target] = field(default_factory=dict)
    encoded: EncodedStreams = field(default_factory=EncodedStreams)

    def at(self, byte_price: float) -> Draft:
        """The artifact with the last matrix at a byte price of its own."""
        as_it_is = math.isclose(byte_price, self.last_price, rel_tol=SAME_PRICE)
        return self._draft(byte_price, self.quantized[self.last.index] if as_it_is else self.last.fit_at(byte_price))

    def smallest(self) -> Draft:
        """The artifact with the last matrix all zero."""
        (nothing,) = zero_matrices([self.quantized[self.last.index].weights.shape])
        return self._draft(self.last_price, nothing)

    @property
    def last_price(self) -> float:
        """Byte price of the last matrix in the walk."""
        return self.last.byte_price

    @property
    def last_weights(self) -> int:
        """Number of weights of the last matrix."""
        return self.quantized[self.last.index].weights.size

    def _draft(self, byte_price: float, last: Quantized) -> Draft:
        quantized = {**self.quantized, self.last.index: last}
        return replace(make_draft(self.job, byte_price, quantized, self.encoded), targets=self.targets)


class SequentialWalk:
    """The accounts of one walk: what is decided, what it took, and which matrix is open.

    decided : float32 weights by tensor index, for representations that name earlier tensors
    targets : what each matrix was quantized against, kept for an explanation;  settled : the accounts so far
    """

    def __init__(
        self,
        job: CompileJob,
        representations: Representations,
        plan: WalkPlan,
        budget: int,
        bytes_per_octave: float,
        keep_targets: bool = False,
    ) -> None:
        """Start as planned.

        budget : bytes of the whole artifact; bytes_per_octave : of one weight, when the byte price halves
        """
        self.job, self.representations, self.plan = job, representations, plan
        weights = {i: job.model.tensors[i].values.size if representations.follows_price(i) else 0 for i in job.walked}
        left = budget - (plan.size - sum(plan.sizes.values()))
        finest = job.recipe.rate_control.finest_price(job.weights)
        self.schedule = PriceSchedule(plan.byte_price, finest, plan.sizes, weights, bytes_per_octave, left)
        self.kept = plan.kept
        self.decided = {i: q.weights for i, q in self.kept.items()}
        self.keep_targets, self.targets = keep_targets, {}
        self.settled: dict[int, tuple[int, float]] = {}  # bytes and byte price by tensor index
        self.open: OpenMatrix | None = None
        self._how = budget, bytes_per_octave, keep_targets

    def run(self, progress: StageProgress, *, distilled: bool = True) -> FinishedWalk:
        """Quantize every matrix in program order with drift correction and distillation, then what
        depends on all of them.

        Tables that embed keep their quick result. distilled : False leaves distillation out, whatever the recipe says
        """
        with freed_memory_given_back(), ScratchFile(self.job.memory.folder) as scratch:
            return self._run(progress, self._distiller(scratch) if distilled else None, distilled)

    def _run(self, progress: StageProgress, distiller: Distiller | None, distilled: bool) -> FinishedWalk:
        job, price = self.job, self.plan.byte_price
        refiner = self._refiner(distiller)
        memory = memory_of_walk(job.memory, self.plan, distilled, self._how)

        def quantize(targets: Mapping[int, Target]) -> dict[int, Quantized]:
            with nullcontext() if distiller is None else distiller.looking_ahead():
                return self._quantize(targets, progress)

        walked = quantize_sequentially(
            self._walk(),
            job.statistics.matrices,
            quantize,
            refine=refiner,
            bookmark=WalkBookmark(memory, self, refiner),
        )
        quantized = {**self.kept, **walked}
        if distiller is not None:
            tuned = tune_vectors(
                distiller, job.recipe.distillation, quantized, trainable_vectors(job.model, job.statistics)
            )
            vectors = quantize_control_tensors(job.model, job.statistics, job.recipe.vectors, price, tuned)
            quantized = {**quantized, **vectors}
        quantized |= fit_head_bias(job.model, job.statistics, job.recipe, price, quantized)
        return FinishedWalk(job, price, quantized, self.open, self.targets)

    def _walk(self) -> Walk:
        """Both models before their first instruction, with what is kept decided."""
        job, settings = self.job, self.job.recipe.sequential
        decided = {i: q.weights.reshape(job.model.tensors[i].values.shape) for i, q in self.kept.items()}
        sequences = walk_sequences(job.model, job.text, settings)
        damping = job.recipe.quantization.damping
        bits = 8 * sum(self.plan.sizes.values()) / sum(job.model.tensors[i].values.size for i in self.plan.sizes)
        coarse = bits <= COARSE_BITS
        return Walk(job.model, decided, sequences, settings, damping, job.threads, job.device, coarse=coarse)

    def _quantize(self, targets: Mapping[int, Target], progress: StageProgress) -> dict[int, Quantized]:
        """The next matrices, which share an input, at the price that the accounts allow them: side by side, but for
        those that take values of others.
        """
        price, found = self.schedule.price(), dict[int, tuple[FitAt, Quantized]]()

        def fit(index: int) -> tuple[FitAt, Quantized, int]:
            with naming_tensor(self.job.model.tensors[index].name):
                fit_at = self.representations.prepare(index, *targets[index], self.decided)
                result = fit_at(price)
                return fit_at, result, result.bytes

        taking = [index for index in targets if self.representations.takes_values(index)]
        for some in ([index for index in targets if index not in taking], *([index] for index in taking)):
            for index, (fit_at, result, size) in zip(some, run_jobs(fit, some, self.job.threads), strict=True):
                target, real = targets[index]
                kept_target = (target.astype(np.float32), real) if self.keep_targets else None
                self.settle(index, result, size, price, kept_target)
                found[index] = fit_at, result
            progress(len(self.settled), len(self.schedule.planned))
        *_, last = targets
        self.open = OpenMatrix(last, price, found[last][0])
        return {index: result for index, (_, result) in found.items()}

    def settle(self, index: int, result: Quantized, n_bytes: int, byte_price: float, target: Target | None) -> None:
        """Enter a matrix into the accounts: what it takes, at which price, and what it was quantized against where that
        is kept.
        """
        self.settled[index] = n_bytes, byte_price
        self.decided[index] = result.weights
        if target is not None:
            self.targets[index] = target
        self.schedule.spend(index, n_bytes, byte_price)

    def _distiller(self, scratch: ScratchFile) -> Distiller | None:
        """None where the recipe has no distillation or no text is held out to judge it."""
        settings = self.job.recipe.distillation
        if not settings.enabled or not len(self.job.held_out):
            return None
        distiller = make_distiller(self.job, scratch)
        distiller.expect(all_updates(settings, distiller))
        return distiller

    def _refiner(self, distiller: Distiller | None) -> Refiner | None:
        if distiller is None:
            return None
        groups = len(group_starts(self.job.model.program, self.job.walked))
        return Refiner(distiller, self.job.recipe.distillation, self.plan.error, groups)
