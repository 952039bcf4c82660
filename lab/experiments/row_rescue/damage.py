"""How concentrated the damage of quantized token tables is, and whether the same rows hold it on other text.

Strategy: rows are restored to their float values, the strongest first, and the divergence that is left is measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....compiler.rate_control.landing import Trial
from ....compiler.statistics.swaps import measure_divergences
from ...measure.equal_bytes import Bench
from ...measure.rank_stability import count_of, rank_stability
from ..head_tables import row_claims, tables_of
from ..protected_sets import agreement, statistics_of_slices
from .artifacts import base_choices

CONCENTRATION = (0.01, 0.05, 0.1)
TOP_SHARE = 0.05


def damage_by_row(bench: Bench, budget: int) -> dict[str, list[float]]:
    """Share of the damage of the tables, on equal steps in all rows, in the strongest 1, 5 and 10 % of the rows.

    predicted : by the second-order model
    measured : 1 - KL(strongest rows restored to float) / KL(none restored) on held-out calibration text, the
        trunk float
    divergence : KL with none restored, nats a token
    text : share of the text that the most frequent 1, 5 and 10 % of the tokens are
    """
    trial, tables = bench.at_bytes(budget, base_choices(bench)), tables_of(bench)
    units = {i: bench.unit(i, trial.byte_price) for i in tables}
    losses = sum(units[i].row_losses(trial.quantized[i].weights) for i in tables)
    order = np.argsort(-row_claims(bench), kind="stable")
    tops = [order[: count_of(share, len(order))] for share in CONCENTRATION]
    swaps = [_restored(bench, trial, tables, rows) for rows in (order[:0], *tops)]
    job = bench.job
    held_out = job.held_out if len(job.held_out) else bench.meter.sequences
    whole, *left = measure_divergences(bench.model, swaps, held_out, threads=job.threads, device=job.device)
    predicted = [float(losses[top].sum() / losses.sum()) for top in tops]
    counts = np.sort(np.bincount(job.text, minlength=len(order)))[::-1]
    text = [float(counts[: len(top)].sum() / counts.sum()) for top in tops]
    shares = {"predicted": predicted, "measured": [1 - each / whole for each in left], "text": text}
    return shares | {"divergence": [whole]}


def _restored(bench: Bench, trial: Trial, tables: Sequence[int], rows: np.ndarray) -> dict[int, np.ndarray]:
    """The decoded tables with some rows as they were."""
    found = {}
    for i in tables:
        values = trial.quantized[i].weights.reshape(bench.model.tensors[i].values.shape).copy()
        values[rows] = bench.model.tensors[i].values[rows]
        found[i] = values
    return found


def row_stability(bench: Bench, seed: int) -> dict[str, float]:
    """How far disjoint slices of text agree on the rows: rank correlation of their claims, overlap of the top 5 %.

    frequent : share of the strongest rows that are among the equally many most frequent tokens
    """
    measured, tables, claims = statistics_of_slices(bench, seed), tables_of(bench), row_claims(bench)
    rank = rank_stability(np.stack([sum(each.matrices[i].row_fisher for i in tables) for each in measured]))
    counts = np.bincount(bench.job.text, minlength=len(claims))[: len(claims)]
    top = count_of(TOP_SHARE, len(counts))
    frequent, strong = (set(np.argsort(-each, kind="stable")[:top].tolist()) for each in (counts, claims))
    return agreement(rank) | {"frequent": len(frequent & strong) / len(strong)}
