"""Trials of a byte price by samples of rows: what an artifact of all matrices would take, to about a percent.

Strategy: a search of the price needs sizes alone. Whole matrices are quantized by the walk that follows, and before it
only the tables that it leaves alone. Whatever a walk comes to is a real artifact with its exact size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from ...format.tensors.grid import matrix_shape
from ..extremes import naming_tensor
from ..job import CompileJob
from ..quantize.grids import PlainGrids
from ..quantize.representation import Representations
from ..quantize.row_sample import RowSample, SampledMatrix, chosen_rows
from ..scratch_file import ScratchFile
from ..workers import run_jobs
from .artifacts import all_codes_zero, make_draft, with_control_tensors
from .quick_trials import QuickTrials
from .walk_plan import WalkPlan, remembered_plan


@dataclass(frozen=True, slots=True)
class SampledTrial:
    """What samples say of the artifact at a byte price: `size` is an estimate."""

    byte_price: float
    size: int
    matrices: Mapping[int, SampledMatrix]


def may_sample(job: CompileJob) -> bool:
    """Whether the recipe asks for samples, and whole matrices are quantized after them in any case."""
    recipe = job.recipe
    only_later = recipe.sequential.enabled and bool(job.walked)
    return recipe.row_sample.enabled and only_later and not recipe.menu.enabled and not recipe.head_bias.enabled


class GridSamples:
    """Samples of the rows of matrices, and what they have said of them as grids at the byte prices so far.

    stand_ins : by tensor index, the matrix whose sample says the same of it; without one a matrix has its own
    """

    def __init__(
        self, job: CompileJob, grids: PlainGrids, scratch: ScratchFile, stand_ins: Mapping[int, int] | None = None
    ) -> None:
        self._job, self._grids, self._scratch = job, grids, scratch
        self._stand_ins = {index: index for index in job.statistics.matrices} | dict(stand_ins or {})
        self._known: dict[float, Mapping[int, SampledMatrix]] = {}

    def at(self, byte_price: float) -> Mapping[int, SampledMatrix]:
        """The estimates at a byte price, by tensor index."""
        if byte_price not in self._known:
            found = self._remembered(byte_price)
            self._known[byte_price] = {index: found[other] for index, other in self._stand_ins.items()}
        return self._known[byte_price]

    def _remembered(self, byte_price: float) -> Mapping[int, SampledMatrix]:
        memory = self._job.memory
        state = memory.recall("sample", byte_price)
        if state is not None:
            memory.took("a sampled trial of the byte price")
            return {int(i): SampledMatrix(*figures) for i, figures in state.items()}
        found = self._estimate(byte_price)
        kept = {str(i): [m.bytes, float(m.predicted_loss), float(m.error)] for i, m in found.items()}
        memory.keep("sample", byte_price, state=kept)
        return found

    def _estimate(self, byte_price: float) -> dict[int, SampledMatrix]:
        def estimate(job: tuple[int, RowSample]) -> SampledMatrix:
            index, sample = job
            with naming_tensor(self._job.model.tensors[index].name):
                return sample.estimate(self._grids.quantizer.quantize(sample.prepared, byte_price))

        found = run_jobs(estimate, list(self._samples.items()), self._job.threads)
        return dict(zip(self._samples, found, strict=True))

    @cached_property
    def _samples(self) -> Mapping[int, RowSample]:
        """Of every matrix that stands for itself."""
        settings, indexes = self._job.recipe.row_sample, list(dict.fromkeys(self._stand_ins.values()))

        def sample(index: int) -> RowSample:
            rows, _ = matrix_shape(self._job.model.tensors[index].values.shape)
            prepared = self._grids.prepared_rows(index, chosen_rows(rows, settings))
            return RowSample.of(prepared, rows, self._scratch)

        return dict(zip(indexes, run_jobs(sample, indexes, self._job.threads), strict=True))


@dataclass(frozen=True, slots=True)
class SampledTrials:
    """Sampled trials of a job with some representations of its matrices.

    smallest : bytes of the artifact whose codes are all zero
    shares : of matrices that are no grids at the byte price, of a grid's bytes, by tensor index
    """

    job: CompileJob
    samples: GridSamples
    smallest: int
    representations: Representations
    shares: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        job: CompileJob,
        grids: PlainGrids,
        smallest: int,
        scratch: ScratchFile,
        stand_ins: Mapping[int, int] | None = None,
    ) -> SampledTrials:
        """With grids alone; see `GridSamples` for stand-ins."""
        return cls(job, GridSamples(job, grids, scratch, stand_ins), smallest, grids)

    def storing(self, trials: QuickTrials, sizes: Mapping[int, int], near: SampledTrial) -> SampledTrials:
        """The same trials with the representations of others, whose memory holds what is planned on them.

        sizes : bytes of what is no grid at the byte price, by tensor index, at that of `near`, which had grids alone.
            At other prices these take the same share of a grid, so that nothing is fitted before the walk is planned
        """
        job = replace(self.job, memory=trials.memory)
        shares = {i: size / near.matrices[i].bytes for i, size in sizes.items()}
        return replace(self, job=job, representations=trials.representations, shares=shares)

    def draft(self, byte_price: float) -> SampledTrial:
        """The estimate at a byte price."""
        found = dict(self.samples.at(byte_price))
        for index, share in self.shares.items():
            found[index] = replace(found[index], bytes=round(share * found[index].bytes))
        return SampledTrial(byte_price, self.smallest + sum(m.bytes for m in found.values()), found)

    def plan(self, trial: SampledTrial) -> WalkPlan:
        """A walk planned on an estimate: what it leaves alone is quantized, at that price."""
        return remembered_plan(self.job.memory, trial.byte_price, lambda: self._plan(trial))

    def _plan(self, trial: SampledTrial) -> WalkPlan:
        walked = self.job.walked
        rest = set(trial.matrices) - set(walked)
        kept = with_control_tensors(self.job, trial.byte_price, self.representations.fit(trial.byte_price, rest))
        others = make_draft(self.job, trial.byte_price, {**kept, **all_codes_zero(self.job, walked)}).size
        sizes = {i: trial.matrices[i].bytes for i in walked}
        size = others + sum(sizes.values())
        return WalkPlan(trial.byte_price, size, sizes, kept, lambda index: trial.matrices[index].error)
