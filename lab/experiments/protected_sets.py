"""Which rows, columns or single weights of a model to protect, how concentrated what they would lose is, and whether that holds.

Strategy: a weight's claim is the loss that its step is expected to cost under the base rule (steps.py, `expected_losses`), a line's the
mean of its weights' claims, and the strongest claims of all matrices together are taken until they hold a given share of the weights.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...compiler.menu.kinds.unit import Quantizer
from ...compiler.model.model import Model
from ...compiler.model.structure import token_tables
from ...compiler.pipeline import START_PRICE
from ...compiler.quantize.composite import CompositeMatrix, Quantized
from ...compiler.statistics.calibration import Statistics
from ...errors import CheckpointError
from ...format.assembly import part_bytes
from ...format.tensors.parts import GridInStream, RawValues
from ...progress import silent
from ..measure.equal_bytes import Bench
from ..measure.rank_stability import rank_stability
from ..measure.sensitivity import calibrate_slices, data_slices
from ..measure.units import find_units
from .steps import COLUMNS, ROWS, WEIGHTS, expected_losses

Members = Mapping[int, Sequence[int]]
Claims = Mapping[int, np.ndarray]  # float64[rows, columns] by tensor, nats a token at byte price 1
SLICES, SEEDS, SLICE_TOKENS = 4, 3, 8192
CONCENTRATION = (0.01, 0.05, 0.1, 0.2)


def claims_of(bench: Bench, rule: str) -> Claims:
    """What every weight of every matrix is expected to lose by a rule."""
    return {i: expected_losses(bench.unit(i, START_PRICE).prepared, rule) for i in bench.matrices}


def strongest(claims: Claims, axis: str, share: float, only: Collection[int] | None = None) -> dict[int, list[int]]:
    """Members by tensor, ascending: the strongest of `only` these matrices, until they hold `share` of the weights of all.

    Never all lines of a matrix, at least one member.
    """
    chosen = [i for i in sorted(claims) if only is None or i in only]
    scores = [line_claims(claims[i], axis) for i in chosen]
    sizes = np.concatenate([np.full(len(s), claims[i].size // len(s)) for i, s in zip(chosen, scores, strict=True)])
    owners = np.concatenate([np.full(len(s), i) for i, s in zip(chosen, scores, strict=True)])
    places = np.concatenate([np.arange(len(s)) for s in scores])
    order = np.argsort(-np.concatenate(scores), kind="stable")
    count = 1 + int(np.searchsorted(np.cumsum(sizes[order]), share * sum(c.size for c in claims.values())))
    taken = order[:count]
    found = {i: np.sort(places[taken[owners[taken] == i]]).tolist() for i in chosen}
    return {i: members[: len(scores[chosen.index(i)]) - 1] for i, members in found.items() if members}


def line_claims(claims: np.ndarray, axis: str) -> np.ndarray:
    """float64: the mean claim of every row or column, or every weight's own."""
    return claims.reshape(-1) if axis == WEIGHTS else claims.mean(1 if axis == ROWS else 0)


def concentration(claims: Claims, axis: str) -> list[float]:
    """Share of all claims that the strongest lines with 1, 5, 10 and 20 % of the weights hold."""
    scores = [line_claims(c, axis) for c in claims.values()]
    sizes = np.concatenate([np.full(len(s), c.size // len(s)) for s, c in zip(scores, claims.values(), strict=True)])
    values = np.concatenate(scores)
    order = np.argsort(-values, kind="stable")
    weights, held = np.cumsum(sizes[order]), np.cumsum((values * sizes)[order])
    return [float(np.interp(share * weights[-1], weights, held) / held[-1]) for share in CONCENTRATION]


def stability(bench: Bench, rule: str, seed: int) -> dict[str, dict[str, float]]:
    """Rank correlation of rows and overlap of their top 5 % between disjoint slices of text, and between seeds on one slice."""
    trials, length = bench.trials, bench.model.program.sequence_length
    slices = data_slices(trials.text, length, SLICES * SLICE_TOKENS, SLICES)
    found = {}
    for name, parts in (("slices", slices), ("seeds", [slices[0]] * SEEDS)):
        measured = calibrate_slices(bench.model, parts, seed, trials.threads, silent)
        scores = np.stack([_row_scores(bench.model, trials.plan["quantize-matrices"], each, rule) for each in measured])
        rank = rank_stability(scores)
        found[name] = {
            "correlation": rank.mean_correlation, "overlap": rank.mean_overlap, "least_overlap": rank.least_overlap, "top": rank.top,
        }  # fmt: skip
    return found


def _row_scores(model: Model, quantizer: Quantizer, statistics: Statistics, rule: str) -> np.ndarray:
    """float64: claims of all rows of all matrices, in order."""
    found = []
    for i in sorted(statistics.matrices):
        values = model.tensors[i].values
        prepared = quantizer.prepare(
            values.reshape(values.shape[0], -1), replace(statistics.matrices[i], output_fisher=None)
        )
        found.append(expected_losses(prepared, rule).mean(1))
    return np.concatenate(found)


def families(model: Model, matrices: Collection[int]) -> dict[str, list[int]]:
    """Matrices by what they are for: token tables (head and embedding), attention, and the rest, which is the MLPs."""
    tables = set(token_tables(model.program))
    try:
        attention = {part.tensor for unit in find_units(model, "heads") for part in unit.parts} - tables
    except CheckpointError:  # no attention that can be found
        attention = set()
    rest = set(matrices) - tables - attention
    return {
        name: sorted(group & set(matrices))
        for name, group in (("head", tables), ("attention", attention), ("MLP", rest))
        if group
    }


def told_bytes(matrices: Mapping[int, Quantized], codec: int) -> dict[str, int]:
    """Bytes of all exceptions of an artifact: their own values, and everything else that tells where they belong."""
    residual = told = 0
    for each in matrices.values():
        if isinstance(each, CompositeMatrix):
            grid, exceptions = each.parts
            values = exceptions.part
            raw = isinstance(values, RawValues)
            own = part_bytes(
                [values if raw else GridInStream(values, 1)], (values.values if raw else values.codes).shape, codec
            )
            residual += own
            told += (
                part_bytes(each.parts, each.weights.shape, codec) - part_bytes([grid], each.weights.shape, codec) - own
            )
    return {"residual_bytes": residual, "told_bytes": told}


AXES = (ROWS, COLUMNS, WEIGHTS)
