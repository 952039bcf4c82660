"""Token tables by what their errors really cost: every compile measures it, and may store rows as codewords.

Strategy: the second-order model takes the uses of a table (embedding, head, the streams that carry one to the other) by
themselves, and what it says of a table at low rates is too little: by a factor of 1.4 to 40 on checkpoints at hand. A
table is the first tensor that a program reads and a walk leaves it alone, so its loss can be measured: swapped alone
into the float model, on held-out text, at a few steps. What a byte is worth at the byte price then says how much finer
than the price its steps are to be; a walk makes up for part of the error, by what it aims at. Rows of rare tokens may
have steps by what large errors cost (statistics/large_errors.py), where that pays, measured. At those steps rows may
become codewords and a grid of what they leave (kinds/vq_rows.py), which pays where rows of rare tokens are near copies
of each other, or two thin factors and such a grid (kinds/low_rank.py), which pays where rows share a few directions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from ..job import CompileJob
from ..model.structure import embedding_tables
from ..rate_control.budget import is_walked
from ..statistics.swaps import measure_divergences
from ..workers import run_jobs
from .allocation import Tried
from .kinds import KINDS, Unit
from .kinds.low_rank import KIND as LOW_RANK
from .kinds.unit import bit_value_at
from .offers import PLAIN, Offer
from .setting import Setting
from .units import Units

CODEWORDS, FACTORS = "vq-rows", "low-rank"
MEASURED, TAKEN = 3, 9  # octaves that are measured, and of which one is taken, evenly spaced
LEFT_BY_WALKS = 0.5  # of a table's measured loss, about; what a walk aims at makes up for the rest
LEAST_LOSS = 1e-30
WEIGHTS_AT_ONCE = 1 << 27  # of tables that are quantized side by side: each takes up to 28 bytes a weight meanwhile


def choose_tables(job: CompileJob, units: Units, byte_price: float) -> Tried:
    """How the tables of a job are stored at a byte price."""
    menus, choices, measured = {}, {}, {}
    for index in sorted(embedding_tables(job.model.program) & set(job.statistics.matrices)):
        trial = _best_trial(job, units, index, byte_price)
        menus[index] = trial.menu
        if trial.chosen is not trial.menu[0] or trial.octaves or trial.chosen.bounded:
            choices[index] = trial.chosen
        if trial.losses is not None:
            measured[index] = trial.losses
    return Tried(menus, choices, measured)


def _best_trial(job: CompileJob, units: Units, index: int, byte_price: float) -> _TableTrial:
    """The table on steps by its statistics as they are, or by what large errors of rare tokens cost where that pays.

    Of a large table, to which offers take long, the steps are chosen by its grids.
    """
    trials, settings = [_TableTrial(job, units, index, byte_price)], job.recipe.tables
    if settings.rare_rows and trials[0].is_measured and units.bounded_statistics(index, byte_price):
        trials.append(_TableTrial(job, units, index, byte_price, bounded=True))
    large = job.model.tensors[index].values.size > settings.most_weights
    if not large:
        for trial in trials:
            trial.offer()
    plain, best = trials[0], trials[-1]
    if plain.cost - best.cost < settings.least_saving * plain.size:
        best = plain
    if large:
        best.offer()
    return best


class _TableTrial:
    """Trials of one table around a byte price, on steps by one kind of statistics.

    octaves : how far from the byte price the steps cost least in bytes and measured loss: at most 0
    size, cost : about the bytes of the grid; and bytes of it, or of what was chosen, with what its measured loss is
        worth in bytes
    menu : the plain grid and what codewords and factors make of the table at these steps; chosen : which of them
    losses : measured, of the grid and of the best other, where it has been held against the grid
    """

    menu: list[Offer]
    chosen: Offer
    losses: tuple[float, float] | None

    def __init__(self, job: CompileJob, units: Units, index: int, byte_price: float, *, bounded: bool = False) -> None:
        self.job, self.settings, self.index, self.bounded = job, job.recipe.tables, index, bounded
        self._units, self._byte_price = units, byte_price
        self._shape = job.model.tensors[index].values.shape
        self._text = job.first_held_out(self.settings.tokens)
        self._left = LEFT_BY_WALKS if is_walked(job) else 1.0
        self.nats_per_byte = 8 * bit_value_at(byte_price)
        self.octaves, self.size, self.cost = self._best_octaves() if self.is_measured else (0.0, 0.0, 0.0)

    def offer(self) -> None:
        """Find `menu`, `chosen` and `losses`, and what was chosen costs."""
        self.menu, self.chosen, self.losses = self._offers()
        if self.losses is not None and self.chosen is not self.menu[0]:
            self.cost = self.chosen.bytes + self._left * self.losses[1] / self.nats_per_byte

    @property
    def is_measured(self) -> bool:
        """Whether steps are chosen by measured loss."""
        return bool(len(self._text) and self.settings.most_octaves)

    @property
    def _threads(self) -> int:
        """How many ways to store the table are computed at once."""
        return min(self.job.threads, max(1, WEIGHTS_AT_ONCE // math.prod(self._shape)))

    def _unit_at(self, octaves: float) -> Unit:
        price = self._byte_price * 2.0**octaves
        statistics = self._units.bounded_statistics(self.index, price) if self.bounded else None
        return self._units.unit(self.index, price, {}, statistics=statistics)

    def _grids_at(self, tried: Iterable[float]) -> tuple[list[np.ndarray], list[int]]:
        """Weights and bytes of the grids so many octaves from the byte price; their integers are not kept."""
        shared = None if self.bounded else self._unit_at(0.0)  # bounded steps have statistics by their price

        def weights_and_size(octaves: float) -> tuple[np.ndarray, int]:
            grid = self._unit_at(octaves).grid() if shared is None else shared.grid(octaves=octaves)
            return grid.weights, grid.bytes

        found = run_jobs(weights_and_size, tried, self._threads)
        return [weights for weights, _ in found], [size for _, size in found]

    def _best_octaves(self) -> tuple[float, float, float]:
        """The octaves; about the bytes of the grid there, and these with its measured loss."""
        tried = np.linspace(0.0, -self.settings.most_octaves, MEASURED)
        weights, of_grids = self._grids_at(tried)
        losses = np.log(np.maximum(self._losses(weights), LEAST_LOSS))
        taken = np.linspace(0.0, -self.settings.most_octaves, TAKEN)
        sizes = np.interp(-taken, -tried, of_grids)
        costs = sizes + self._left * np.exp(np.interp(-taken, -tried, losses)) / self.nats_per_byte
        best = int(np.argmin(costs))
        return float(taken[best]), float(sizes[best]), float(costs[best])

    def _offers(self) -> tuple[list[Offer], Offer, tuple[float, float] | None]:
        """Menu, choice and measured losses."""
        unit = self._unit_at(self.octaves)

        def offer_and_weights(kind: str, setting: Setting) -> tuple[Offer, np.ndarray]:
            made = unit.grid() if kind == PLAIN else KINDS[kind].fit(unit, setting)
            offer = Offer.of(unit, kind, setting, made, self.octaves, bounded=self.bounded)
            return offer, made.weights  # and not its integers

        settings = [(PLAIN, Setting()), *self._settings(unit)]
        found = run_jobs(lambda each: offer_and_weights(*each), settings, self._threads)
        menu = [offer for offer, _ in found]
        costs = [offer.cost(self.nats_per_byte) for offer in menu]
        best, least = int(np.argmin(costs)), self.settings.least_saving * menu[0].bytes
        if costs[0] - costs[best] < max(least, 1):
            return menu, menu[0], None
        if not len(self._text):
            return menu, menu[best], None
        before, after = self._losses([found[0][1], found[best][1]])
        saved = menu[0].bytes - menu[best].bytes + (before - after) / self.nats_per_byte
        return menu, menu[best if saved >= least else 0], (before, after)

    def _settings(self, unit: Unit) -> list[tuple[str, Setting]]:
        """What else than a grid is tried, by kind; clusters of the rows of large tables would take too long."""
        if not self.settings.codewords:
            return []
        small = unit.values.size <= self.settings.most_weights
        codewords = KINDS[CODEWORDS].settings(unit) if small else []
        return [(CODEWORDS, each) for each in codewords] + [(FACTORS, each) for each in LOW_RANK.under(unit)]

    def _losses(self, candidates: Sequence[np.ndarray]) -> list[float]:
        """Measured nats a token of the table with these weights, alone in the float model."""
        swaps = [{self.index: weights.reshape(self._shape)} for weights in candidates]
        how = {"threads": self.job.threads, "device": self.job.device}
        return measure_divergences(self.job.model, swaps, self._text, **how)
