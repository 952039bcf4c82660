"""Whole artifacts of one checkpoint with given protected weights, at given bytes, and what each loses
on held-out sequences.

Strategy: model, statistics and text are read once. The cheap path is the plain grid of every matrix at
one byte price, by a recipe without walk and distillation, on the allocator's row and column steps or on
simpler ones (simple_steps.py); a choice (choices.py) puts something else in place of the grid of a matrix. Every
artifact is assembled whole, so bytes are those of a file, and decoded again before it is measured.
Sequences are the same for all, so that differences can be paired sequence by sequence.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...compiler.checkpoints.selection import EVERYTHING, Selection
from ...compiler.extremes import naming_extremes
from ...compiler.inputs import read_model_and_text
from ...compiler.job import CompileJob
from ...compiler.menu.kinds import Unit
from ...compiler.menu.offers import ALIAS
from ...compiler.menu.units import Units
from ...compiler.model.model import Model
from ...compiler.profiles import profile_codec
from ...compiler.quantize.representation import Quantized
from ...compiler.rate_control.artifacts import complete_trial, smallest_trial
from ...compiler.rate_control.landing import Landing, Trial, land_on_cap
from ...compiler.rate_control.price_search import PriceSearch, SizeWindow
from ...compiler.recipe import Recipe, parse_recipe
from ...compiler.rewrites import exchange_symmetries
from ...compiler.rewrites.head_bias import may_have_bias, with_bias
from ...compiler.settings import START_PRICE, HeadBiasSettings
from ...compiler.statistics.convergence import calibrate
from ...compiler.workers import check_device, one_thread_each, run_jobs
from ...format.artifact import decode_tensors, read_artifact
from ...format.parallel import usable_cores
from ...progress import Progress, silent_stage
from ...runtime.checked_pieces import checked_byte_table
from ...runtime.tokenizers import ByteTable, load_tokenizer
from ...runtime.tokens import Tokens, read_tokens
from .choices import Candidate, Choice, Choices
from .sequence_quality import QualityMeter, SequenceQuality
from .simple_steps import ALLOCATED, SteppedUnit

FAST = {
    "calibrate": {"tokens": 65_536},
    # rows and columns stay where they are
    "exchange-symmetries": {"hidden-units": False, "value-dimensions": False, "output-scales": False},
    "quantize-matrices": {"trellis-states": 0},
    "correct-drift": {"enabled": False},
    "distil": {"enabled": False},
}
NEAR = 0.001
REMEMBERED_PRICES = 4
TRIALS = 16


@dataclass(frozen=True, slots=True)
class BenchInputs:
    """What the figures of a bench depend on.

    evaluation : what is measured on, about `tokens` tokens; None: held-out calibration text
    tokenizer : tells how many bytes of text the tokens are; None: figures a byte are not known
    recipe : options by table that differ from FAST
    selection : which tensors of the checkpoint are read; device : where models run and are measured
    """

    checkpoint: Path
    calibration: Path
    architecture: Path | None = None
    tokenizer: Path | None = None
    evaluation: Path | None = None
    tokens: int = 16_384
    recipe: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    profile: str = "default"
    seed: int = 0
    selection: Selection = EVERYTHING
    device: str = "cpu"


class Bench:
    """Artifacts of one model and their quality.

    job : of the compiler; meter : measures on the held-out sequences
    steps, share : what the cheap path's grids are on, see simple_steps.py; the allocator's own steps have no share
    notes : what was assumed of the files, in sentences
    """

    def __init__(
        self,
        job: CompileJob,
        meter: QualityMeter,
        steps: str = ALLOCATED,
        share: float = 1.0,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.job, self.meter, self.steps, self.share, self.notes = job, meter, steps, share, notes
        self.model, self.statistics = job.model, job.statistics
        self._maker = Units(job)
        self._plain: OrderedDict[float, dict[int, Quantized]] = OrderedDict()
        self._units: OrderedDict[tuple[int, float], Unit] = OrderedDict()
        self._prepared: dict[int, Unit] = {}
        self._smallest: Trial | None = None

    @classmethod
    def open(cls, inputs: BenchInputs, threads: int | None = None, progress: Progress | None = None) -> Bench:
        """Read, calibrate and get ready to measure, on as many threads as there are cores unless given.

        Raises CheckpointError, DataError (calibration text that is evaluated, too), CompileError.
        """
        threads = threads or usable_cores()
        check_device(inputs.device)
        others = [] if inputs.evaluation is None else [inputs.evaluation]
        files = inputs.checkpoint, inputs.calibration, others, inputs.tokenizer, inputs.architecture, inputs.selection
        model, (text, held_out, notes, _), *_ = read_model_and_text(*files, progress=progress)
        judged, table = _judged(inputs, model, held_out, progress)
        options = fast_recipe(inputs.recipe)
        how = {"seed": inputs.seed, "device": inputs.device, "threads": threads}
        with one_thread_each(), naming_extremes(model):
            meter = QualityMeter(model, judged, table, inputs.tokens, threads, inputs.device)
            statistics = calibrate(model, text, options.calibration, progress=silent_stage, **how)
            model, statistics = exchange_symmetries(model, statistics, options)
            provenance, codec = {"recipe": options.digest}, profile_codec(inputs.profile)
            job = CompileJob(model, statistics, text, held_out, options, provenance, codec, **how)
            return cls(job, meter, notes=tuple(dict.fromkeys((*notes, *judged.notes))))

    def with_steps(self, steps: str, share: float = 1.0) -> Bench:
        """The same bench with these steps in the cheap path, and nothing remembered."""
        return Bench(self.job, self.meter, steps, share, self.notes)

    def with_head_bias(self) -> Bench | None:
        """The same bench with a bias at the output head, fitted to every artifact; None where the head
        has one or can have none.
        """
        if self.statistics.head_mean is None or not may_have_bias(self.model.program):
            return None
        model, statistics = with_bias(self.model, self.statistics)
        recipe = replace(self.job.recipe, head_bias=HeadBiasSettings(enabled=True))
        job = replace(self.job, model=model, statistics=statistics, recipe=recipe)
        return Bench(job, self.meter, self.steps, self.share, self.notes)

    def use_threads(self, threads: int) -> None:
        """How many threads work from now on; no figure depends on it."""
        self.job, self.meter.threads = replace(self.job, threads=threads), threads

    @property
    def matrices(self) -> list[int]:
        """Tensors that there can be a choice for."""
        return sorted(self.statistics.matrices)

    def artifact(self, byte_price: float, choices: Choices | None = None) -> Trial:
        """The whole artifact at a byte price; a matrix that is not named in `choices` is its plain grid."""
        with one_thread_each(), naming_extremes(self.model):
            choices = choices or {}
            matrices = dict(self._plain_at(byte_price, [i for i in self.matrices if i not in choices]))
            weights = {i: q.weights for i, q in matrices.items()}
            for index, choice in sorted(choices.items()):
                chosen = Candidate(*choice) if isinstance(choice, tuple) else choice
                matrices[index] = chosen.fit(self._unit_of(chosen, index, byte_price, weights))
                weights[index] = matrices[index].weights
            return complete_trial(self.job, byte_price, matrices)

    def at_bytes(
        self, budget: int, choices: Choices | None = None, start_price: float = START_PRICE, tolerance: float = NEAR
    ) -> Trial:
        """The largest artifact of at most `budget` bytes found by searching the byte price, within
        `tolerance` of it as a rule.

        Raises CapError when nothing is that small.
        """
        return self._land(budget, choices, start_price, tolerance).trial

    def _land(self, budget: int, choices: Choices | None, start_price: float, tolerance: float) -> Landing:
        self._smallest = self._smallest or smallest_trial(self.job)
        return land_on_cap(
            lambda price: self.artifact(price, choices),
            start_price=start_price,
            smallest=self._smallest,
            budget=budget,
            weights=self.job.weights,
            finest_price=self.job.recipe.rate_control.finest_price(self.job.weights),
            tolerance=tolerance,
            trials=TRIALS,
            progress=silent_stage,
        )

    def at_nearest(self, wanted: int, tolerance: int, start_price: float) -> Trial:
        """The plain artifact whose size comes nearest to `wanted` bytes, the search ending within
        `tolerance` bytes of it.
        """
        return nearest_trial(self.artifact, wanted, tolerance, start_price, self.job.weights)

    def unit(self, index: int, byte_price: float) -> Unit:
        """What choices for a matrix are fitted to; remembers what several of them need."""
        key = index, byte_price
        if key not in self._units:
            self._units[key] = self._new_unit(index, byte_price)
            self._units[key].remembered("grid", lambda: self._plain_at(byte_price, [index])[index])
            while len(self._units) > REMEMBERED_PRICES * len(self.matrices):
                self._units.popitem(last=False)
        self._units.move_to_end(key)
        return self._units[key]

    def _new_unit(self, index: int, byte_price: float) -> Unit:
        """Prepared once for all prices."""
        if index not in self._prepared:
            made = self._maker.unit(index, byte_price, {})
            self._prepared[index] = made if self.steps == ALLOCATED else SteppedUnit.of(made, self.steps, self.share)
        return replace(self._prepared[index], byte_price=byte_price)

    def _unit_of(self, choice: Choice, index: int, byte_price: float, weights: Mapping[int, np.ndarray]) -> Unit:
        """An alias is fitted to the other tensors as they are in this artifact."""
        if isinstance(choice, Candidate) and choice.kind == ALIAS:
            return replace(self._new_unit(index, byte_price), earlier=self._maker.earlier(index, weights))
        return self.unit(index, byte_price)

    def _plain_at(self, byte_price: float, wanted: Sequence[int]) -> Mapping[int, Quantized]:
        """Plain grids of these matrices, by tensor index; those of the latest prices are remembered."""
        known = self._plain.setdefault(byte_price, {})
        missing = [i for i in wanted if i not in known]
        units = [self._new_unit(i, byte_price) for i in missing]
        known |= dict(zip(missing, run_jobs(lambda unit: unit.grid(), units, self.job.threads), strict=True))
        self._plain.move_to_end(byte_price)
        while len(self._plain) > REMEMBERED_PRICES:
            self._plain.popitem(last=False)
        return {i: known[i] for i in wanted}

    def quality(self, trial: Trial) -> SequenceQuality:
        """Divergence, losses and bytes by sequence, of the artifact as it decodes."""
        artifact = read_artifact(trial.data)
        return self.meter.measure(decode_tensors(artifact), artifact.program)

    def divergence(self, trial: Trial) -> np.ndarray:
        """float64[sequences]: KL divergence from the float model in bits a token."""
        return self.quality(trial).divergence

    def bits_per_byte(self, trial: Trial) -> tuple[np.ndarray, np.ndarray | None]:
        """(float64[sequences] bits of all targets, int64[sequences] bytes of their text or None without
        a tokenizer).
        """
        found = self.quality(trial)
        return found.bits, found.bytes


def _judged(
    inputs: BenchInputs, model: Model, held_out: np.ndarray, progress: Progress | None
) -> tuple[Tokens, ByteTable | None]:
    """What is measured on, and the bytes of each token."""
    program = model.program
    loaded = None if inputs.tokenizer is None else load_tokenizer(inputs.tokenizer)
    if inputs.evaluation is None:
        judged = Tokens(held_out.reshape(-1), str(inputs.calibration))
    else:
        sizes = program.vocabulary_size, program.boundary_token
        judged = read_tokens(inputs.evaluation, loaded, *sizes, progress=progress)
    table = None if loaded is None else checked_byte_table(loaded, judged, program.sequence_length, inputs.tokens)
    return judged, table


def fast_recipe(changes: Mapping[str, Mapping[str, object]]) -> Recipe:
    """FAST with other options; CompileError names what no recipe has."""
    return parse_recipe(
        "equal-bytes", {name: {**FAST.get(name, {}), **changes.get(name, {})} for name in {**FAST, **changes}}
    )


def nearest_trial(
    make: Callable[[float], Trial], wanted: int, tolerance: int, start_price: float, weights: int
) -> Trial:
    """The trial nearest to `wanted` bytes, the search ending within `tolerance` bytes of it."""
    search = PriceSearch(SizeWindow(wanted - tolerance, wanted + tolerance, wanted), weights, start_price)
    tried: list[Trial] = []
    while len(tried) < TRIALS and not search.finished:
        tried.append(make(search.price))
        search.learn(tried[-1].size)
    return min(tried, key=lambda trial: abs(trial.size - wanted))
