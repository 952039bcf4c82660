"""Two thin factors for matrices that are no token tables, alone or under a grid: every compile offers them.

Strategy: where the rows of a matrix share few directions, as they do after AdamW with its decay, factors need fewer
bytes than a grid. The spectrum of a matrix says what they would about cost (kinds/low_rank.py), for one singular value
decomposition; only what promises to cost PROMISED of the grid is fitted and encoded, since what it promises is more
than it keeps. What then saves bytes at equal predicted loss is taken, the largest savings if they stand in measured
loss, too. Tables are apart (tables.py): what their errors cost is measured before anything is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from ..job import CompileJob
from ..workers import run_jobs
from .allocation import Allocation, Tried, confirm_largest
from .kinds import Unit
from .kinds.low_rank import KIND
from .kinds.unit import bit_value_at
from .offers import PLAIN, Offer
from .setting import Setting
from .units import Units

PROMISED = 0.95  # of a grid's estimated cost: what promises less hardly ever saves a byte
LEAST_BYTES = 32  # that factors must save, for the longer line of the directory


def choose_factors(job: CompileJob, units: Units, byte_price: float) -> Tried:
    """What factors make of the matrices of a job at a byte price; menus of those alone to which they promise much."""
    settings, tensors = job.recipe.factors, job.model.tensors
    indexes = [i for i in sorted(job.walked) if tensors[i].values.size <= settings.most_weights]
    makers = {i: partial(units.unit, i, byte_price, {}) for i in indexes}
    found = run_jobs(lambda i: _menu(makers[i]()), indexes, job.threads)
    menus = {i: menu for i, menu in zip(indexes, found, strict=True) if menu}
    allocation = Allocation(menus, {}, 8 * bit_value_at(byte_price), 0.0, {})
    best = {i: max(menu, key=lambda offer: allocation.saved(i, offer)) for i, menu in menus.items()}
    least = {i: max(settings.least_saving * menu[0].bytes, LEAST_BYTES) for i, menu in menus.items()}
    chosen = {i: offer for i, offer in best.items() if allocation.saved(i, offer) >= least[i]}
    allocation = _confirmed(job, replace(allocation, chosen=chosen), makers)
    return Tried(menus, allocation.chosen, allocation.measured)


def _menu(unit: Unit) -> list[Offer]:
    """The plain grid and what factors promise; empty where they promise nothing."""
    settings = KIND.promising(unit, PROMISED)
    if not settings:
        return []
    fitted = [(PLAIN, Setting(), unit.grid()), *((KIND.name, each, KIND.fit(unit, each)) for each in settings)]
    return [Offer.of(unit, *each) for each in fitted]


def _confirmed(job: CompileJob, allocation: Allocation, makers: Mapping[int, Callable[[], Unit]]) -> Allocation:
    """The allocation without those of its largest choices whose measured loss eats up the bytes that they save."""
    settings = job.recipe.factors
    largest = allocation.largest(settings.confirmed)
    text = job.first_held_out(settings.tokens)
    if not (largest and len(text)):
        return allocation

    def fit(bundle: Mapping[int, Offer]) -> tuple[int, np.ndarray, np.ndarray]:
        ((index, offer),) = bundle.items()
        unit = makers[index]()
        return index, unit.grid().weights, offer.fit(unit).weights

    fitted = run_jobs(fit, largest, job.threads)
    plain = {index: grid for index, grid, _ in fitted}
    others = [{index: weights} for index, _, weights in fitted]
    how = {"threads": job.threads, "device": job.device}
    return confirm_largest(job.model, allocation, plain, others, text, **how)
