"""What a compile will cost in time, before it starts: a simple law, and this machine's speed. Memory: peak_memory.py.

Strategy: every stage is counted in operations that its inputs and options fix (products of matrices, weights on the
trellis, calls of small operations), and a second of such operations is timed on this machine. How much text a
calibration needs, and how many trials and walks a landing takes, is not known before; the law takes what they mostly
are, and the range spans what they may be. It is a forecast, and is printed as one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..format.container.limits import DEFAULT_LIMITS
from ..format.program.operations import SCANS, DeltaScan, Linear
from ..format.program.program import validate_program
from .instruction_sets import has_half_products
from .machine_speed import flops_of_core, searched_weights, uncompiled_seconds
from .model.chunked_scan import CHUNK
from .model.model import Model
from .model.structure import embedding_tables, find_head
from .peak_memory import PEAK_FACTOR, forecast_peak
from .quantize.refiner import LEAST_UPDATES, wanted_updates
from .quantize.sequential import group_starts, walked_layers
from .recipe import Recipe
from .statistics.calibration import are_rows_coupled
from .tile_products import has_tiles
from .wide_products import has_wide_products

SAMPLED_TRIALS, TRIALS = 5, 2  # of the byte price, mostly: by some rows of every matrix, and by all
CALIBRATE = "calibrate"  # the stage that is the same for all caps of a checkpoint
SHARE_OF_TEXT = 0.25  # of the calibration text at most, mostly, where that is more than SURELY_READ
SURELY_READ = 65_536  # tokens that hardly ever suffice
WALKS = {1: 1.0}  # by how many may be; 1.1 beyond
# forward passes that an update costs: the teacher's, the student's, and back to what still moves; with products in
# bfloat16, and in float32
UPDATE_PASSES = {True: 1.35, False: 2.2}
JUDGEMENT_PASSES = {True: 0.6, False: 0.9}  # what comes before the first weight that moves is shared by two
TEACHER_SHARE = 0.3  # of an update, which is saved where the text was learned from before
# of a pass over its products at the speed that is timed: attention, norms, logits; and where its products are wide ones
OVERHEAD = {False: 2.2, True: 1.65}
HALVED = {True: 0.65, False: 1.0}  # of the time of passes and moments whose products are in bfloat16
TILED = {True: 0.5, False: 1.0}  # of the time of a calibration, where its products are those of tiles
SCAN_FLOPS = 400  # of a decay: what is done to it element by element, in operations of a product
SECONDS_A_CALL = 4e-5  # of an operation in a pass, besides its products
GRID = 4e6  # weights a second and core without a trellis
SEARCHED = 0.75  # of the weights a second that the search of a column does, with all that is done besides
CODED = 1.2e7  # weights a second that are coded, all of them four times before the last matrix fits
INDEPENDENT = 2.5e6  # where the rows do not make up for each other, as those of samples and of tables
TABLE_TRIALS = 10  # grids of a token table, to choose how it is stored and for the walk
TABLE_PASSES = 11  # over the text that the loss of a table is measured on
SYMMETRIC = 0.6  # of a product, where half of it suffices
EIGEN_FLOPS = 25  # of an eigenvector's coefficient
FACTOR_FLOPS = 150  # of a singular value decomposition and what it promises, over the product of all three sides
LOW, HIGH = 0.6, 1.9  # of the forecast seconds


def kernel_note(forecast: Forecast) -> str | None:
    """What is to be said where numba compiles kernels on the way."""
    if not forecast.kernel_seconds:
        return None
    return f"numba compiles them on the way, about {forecast.kernel_seconds:.0f} s of the forecast, and keeps them"


def device_note(device: str) -> str | None:
    """What is to be said of a forecast for a compile that computes elsewhere than on the processor."""
    if device == "cpu":
        return None
    return f"{device} computes; the forecast of time and memory is for the processor alone"


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds by stage, in their order, and the bytes of memory at the peak, with so many threads.

    kernel_seconds : in which numba compiles kernels that it has not kept yet; they are counted in the first stage's
    """

    seconds: Mapping[str, float]
    peak_bytes: int
    threads: int
    kernel_seconds: float = 0.0

    @property
    def total(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())

    @property
    def low(self) -> float:
        """The forecast's lower end."""
        return LOW * self.total

    @property
    def high(self) -> float:
        """The forecast's upper end."""
        return HIGH * self.total

    @property
    def peak_factor(self) -> float:
        """What the memory may be more or less than the forecast by."""
        return PEAK_FACTOR

    @property
    def with_kernels_at_hand(self) -> Forecast:
        """What it will be once they are compiled."""
        first = {CALIBRATE: self.seconds[CALIBRATE] - self.kernel_seconds}
        return replace(self, seconds={**self.seconds, **first}, kernel_seconds=0.0)

    def document(self) -> dict[str, object]:
        """As JSON values."""
        memory = {"peak_bytes": self.peak_bytes, "peak_factor": self.peak_factor, "threads": self.threads}
        seconds = {"seconds": dict(self.seconds), "kernel_seconds": self.kernel_seconds}
        return {**seconds, "low": self.low, "high": self.high, **memory}


def forecast_compile(model: Model, recipe: Recipe, text_tokens: int, held_out: int, threads: int) -> Forecast:
    """The forecast for a landing on one cap.

    text_tokens, held_out : tokens of the calibration text, and of that which only judges;  threads : that work
    """
    wanted = _read_tokens(recipe, text_tokens)
    counts = _Counts.of(model, wanted)
    flops, overhead = flops_of_core() * threads, OVERHEAD[has_wide_products()]

    def passes(tokens: float, times: float) -> float:
        """Seconds of so many forward passes over these tokens; a backward pass counts two."""
        calls = len(model.program.instructions) * tokens / 4096 * SECONDS_A_CALL * 16
        return times * (overhead * tokens * counts.forward / flops + calls / threads)

    calibrated = max(SHARE_OF_TEXT * wanted, min(wanted, SURELY_READ))
    halved = HALVED[has_half_products()]
    measuring = halved * passes(calibrated, 3) + SYMMETRIC * calibrated * counts.moments / flops
    states = recipe.quantization.trellis_states
    kernels = uncompiled_seconds(states) if states else 0.0
    seconds = {CALIBRATE: TILED[has_tiles()] * measuring + kernels}
    rate = SEARCHED * searched_weights(states) if states else GRID
    prepare = 2 * EIGEN_FLOPS / 10 * counts.cubes / flops
    sampled = SAMPLED_TRIALS * _sampled_share(recipe, counts) * counts.weights / INDEPENDENT / threads
    searched = (counts.weights - counts.independent) / rate + counts.independent / INDEPENDENT
    trials = sampled + TRIALS * searched / threads
    peak = forecast_peak(model, recipe, text_tokens, threads)
    tables = TABLE_TRIALS * counts.table / INDEPENDENT + passes(recipe.tables.tokens, TABLE_PASSES)
    tables = (tables if recipe.tables.enabled and counts.table else 0.0) + _factors(recipe, counts, flops)
    if not recipe.sequential.enabled:
        return Forecast(seconds | {"land on the cap": 2 * trials + prepare + tables}, peak, threads, kernels)
    seconds["find the byte price"] = (2 * sampled if recipe.row_sample.enabled else trials) + prepare + tables
    walked = min(recipe.sequential.tokens, text_tokens)
    measured = walked * (2 * halved + SYMMETRIC) * counts.inputs / flops
    walk = halved * passes(walked, 2) + measured + searched + prepare
    walk += _distillation_passes(model, recipe, text_tokens, held_out, passes) + _bases(recipe, counts, flops)
    seconds["quantize in order"] = WALKS.get(recipe.rate_control.walks, 1.1) * walk
    last = counts.head / INDEPENDENT if counts.head else counts.last / rate
    seconds["land on the cap"] = 2 * last + 4 * counts.weights / CODED
    return Forecast(seconds, peak, threads, kernels)


def _read_tokens(recipe: Recipe, text_tokens: int) -> int:
    """Tokens that a calibration reads at most."""
    return min(recipe.calibration.tokens, text_tokens)


@dataclass(frozen=True, slots=True)
class _Counts:
    """Of a model: weights on grids, of the largest matrix whose rows make up for each other, of matrices that are no
    token tables and whose rows do not, of its token tables, and of a head that is none of these; the sides of the
    matrices that a walk quantizes; operations a token of a forward pass, of second moments of inputs, and of all second
    moments; cubes of the sides of which these are taken, and the number of matrices.
    """

    weights: int
    last: int
    independent: int
    table: int
    head: int
    inner: tuple[tuple[int, int], ...]
    forward: float
    inputs: float
    moments: float
    cubes: float
    matrices: int

    @classmethod
    def of(cls, model: Model, tokens: int) -> _Counts:
        """tokens : of text that second moments are taken of, at most"""
        shapes = [tensor.values.shape for tensor in model.tensors]
        uses = [op for op in model.program.instructions if isinstance(op, Linear)]
        tables, head = embedding_tables(model.program), find_head(model.program)
        of_head = -1 if head is None else model.program.instructions[head].weight
        sources = {op.x: shapes[op.weight][1] for op in uses}
        inner = {op.weight: shapes[op.weight] for op in uses if op.weight not in tables}
        coupled = [s for weight, s in inner.items() if weight != of_head and are_rows_coupled(s[0], tokens)]
        inputs = sum(2.0 * width**2 for width in sources.values())
        outputs = sum(2.0 * rows**2 for rows, _ in coupled)
        sizes = [tensor.values.size for tensor in model.tensors if tensor.values.ndim > 1]
        cubes = sum(float(rows) ** 3 for rows, _ in coupled) + sum(float(columns) ** 3 for _, columns in inner.values())
        forward = sum(2.0 * rows * columns for rows, columns in (shapes[op.weight] for op in uses)) + _scans(model)
        products, all_inner = ([rows * columns for rows, columns in each] for each in (coupled, inner.values()))
        table = sum(model.tensors[index].values.size for index in tables)
        apart = math.prod(inner.get(of_head, (0,)))
        facts = sum(sizes), max(products, default=1), sum(all_inner) - sum(products), table, apart
        return cls(*facts, tuple(inner.values()), forward, inputs, inputs + outputs, cubes, len(sizes))


def _scans(model: Model) -> float:
    """Operations a token of a forward pass through its states: decays between the positions of a chunk, or of every
    element.
    """
    shapes = [tensor.values.shape for tensor in model.tensors]
    widths, total = validate_program(model.program, shapes, DEFAULT_LIMITS).widths, 0.0
    for op in model.program.instructions:
        if isinstance(op, SCANS):
            alone, state = len(shapes[op.log_rates]) == 1, widths[op.write] // op.groups
            total += SCAN_FLOPS * (op.heads * CHUNK if alone else widths[op.x] * state)
            total += 2.0 * widths[op.x] * (CHUNK + 2 * state) if alone else 0.0
            total += 2.0 * widths[op.x] * (CHUNK / 2 + state) if isinstance(op, DeltaScan) else 0.0
    return total


def _sampled_share(recipe: Recipe, counts: _Counts) -> float:
    """Share of the weights whose rows a sample takes, at matrices of the mean size."""
    rows = (counts.weights / max(counts.matrices, 1)) ** 0.5
    return min(1.0, max(recipe.row_sample.share, recipe.row_sample.least / rows))


def _distillation_passes(model: Model, recipe: Recipe, text_tokens: int, held_out: int, passes) -> float:
    """Seconds of all updates and of the judgements between them."""
    settings = recipe.distillation
    if not settings.enabled or not held_out:
        return 0.0
    updates = sum(
        min(wanted_updates(count, model), int(settings.passes * text_tokens) // settings.batch_tokens)
        for count in (settings.steps, settings.final_steps)
    )
    groups, half = len(group_starts(model.program, walked_layers(model.program).values())), has_half_products()
    judgements = 2 * (1 + min(updates / LEAST_UPDATES, groups))
    fresh = min(updates, text_tokens // settings.batch_tokens)
    work = (fresh + (1 - TEACHER_SHARE) * (updates - fresh)) * settings.batch_tokens
    return passes(work, UPDATE_PASSES[half]) + passes(judgements * held_out, JUDGEMENT_PASSES[half])


def _factors(recipe: Recipe, counts: _Counts, flops: float) -> float:
    """Seconds by which matrices are offered factors, where few of them promise any."""
    if not recipe.factors.enabled:
        return 0.0
    sides = (side for side in counts.inner if side[0] * side[1] <= recipe.factors.most_weights)
    return FACTOR_FLOPS * sum(float(rows) * columns * min(rows, columns) for rows, columns in sides) / flops


def _bases(recipe: Recipe, counts: _Counts, flops: float) -> float:
    """Seconds of the eigenvectors that distillation turns gradients into."""
    return EIGEN_FLOPS * counts.cubes / flops if recipe.distillation.enabled else 0.0
