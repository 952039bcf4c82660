"""Which rows, columns or single weights of a model to protect, how concentrated their loss is, and whether that holds.

Strategy: a weight's claim is the loss that its step is expected to cost under the base rule (measure/simple_steps.py,
`expected_losses`), and a line's claim is the mean of its weights' claims. The strongest claims of all matrices together
are taken until they hold a given share of the weights.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...compiler.menu.composite import CompositeMatrix
from ...compiler.model.model import Model
from ...compiler.model.structure import token_tables
from ...compiler.quantize.grids import GridQuantizer, Quantizer
from ...compiler.quantize.representation import Quantized
from ...compiler.settings import START_PRICE
from ...compiler.statistics.calibration import Statistics
from ...errors import CheckpointError
from ...format.assembly import part_bytes
from ...format.tensors.grid import GridValues
from ...format.tensors.terms import GridInStream, RawValues
from ...progress import silent
from ..measure.equal_bytes import Bench
from ..measure.rank_stability import RankStability, rank_stability
from ..measure.sensitivity import calibrate_slices, data_slices
from ..measure.simple_steps import expected_losses
from ..measure.units import find_units
from .finer_members import COLUMNS, ROWS, WEIGHTS

Members = Mapping[int, Sequence[int]]
Claims = Mapping[int, np.ndarray]  # float64[rows, columns] by tensor, nats a token at byte price 1
AXES = (ROWS, COLUMNS, WEIGHTS)
SLICES, SEEDS, SLICE_TOKENS = 4, 3, 8192
CONCENTRATION = (0.01, 0.05, 0.1, 0.2)


def claims_of(bench: Bench, rule: str) -> Claims:
    """What every weight of every matrix is expected to lose by a rule."""
    return {i: expected_losses(bench.unit(i, START_PRICE).prepared, rule) for i in bench.matrices}


def strongest(claims: Claims, axis: str, share: float, only: Collection[int] | None = None) -> dict[int, list[int]]:
    """Members by tensor, ascending: the strongest until they hold `share` of the weights of all matrices.

    Members come from the matrices `only`, or from all; there is at least one, and never every line of a matrix.
    """
    chosen = [i for i in sorted(claims) if only is None or i in only]
    lines = [line_claims(claims[i], axis) for i in chosen]
    sizes = np.concatenate([np.full(len(s), claims[i].size // len(s)) for i, s in zip(chosen, lines, strict=True)])
    owners = np.concatenate([np.full(len(s), i) for i, s in zip(chosen, lines, strict=True)])
    places = np.concatenate([np.arange(len(s)) for s in lines])
    order = np.argsort(-np.concatenate(lines), kind="stable")
    count = 1 + int(np.searchsorted(np.cumsum(sizes[order]), share * sum(c.size for c in claims.values())))
    taken = order[:count]
    found = {i: np.sort(places[taken[owners[taken] == i]]).tolist() for i in chosen}
    most = {i: len(s) - 1 for i, s in zip(chosen, lines, strict=True)}
    return {i: members[: most[i]] for i, members in found.items() if members}


def line_claims(claims: np.ndarray, axis: str) -> np.ndarray:
    """float64: the mean claim of every row or column, or every weight's own."""
    return claims.reshape(-1) if axis == WEIGHTS else claims.mean(1 if axis == ROWS else 0)


def concentration(claims: Claims, axis: str) -> list[float]:
    """Share of all claims that the strongest lines with 1, 5, 10 and 20 % of the weights hold."""
    lines = [line_claims(c, axis) for c in claims.values()]
    sizes = np.concatenate([np.full(len(s), c.size // len(s)) for s, c in zip(lines, claims.values(), strict=True)])
    values = np.concatenate(lines)
    order = np.argsort(-values, kind="stable")
    weights, held = np.cumsum(sizes[order]), np.cumsum((values * sizes)[order])
    return [float(np.interp(share * weights[-1], weights, held) / held[-1]) for share in CONCENTRATION]


def statistics_of_slices(bench: Bench, seed: int) -> list[Statistics]:
    """Of SLICES disjoint pieces of the calibration text."""
    length = bench.model.program.sequence_length
    slices = data_slices(bench.job.text, length, SLICES * SLICE_TOKENS, SLICES)
    return calibrate_slices(bench.model, slices, seed, bench.job.threads, silent, bench.job.device)


def agreement(rank: RankStability) -> dict[str, float]:
    """Rank stability as JSON values."""
    return {
        "correlation": rank.mean_correlation,
        "overlap": rank.mean_overlap,
        "least_overlap": rank.least_overlap,
        "top": rank.top,
    }


def stability(bench: Bench, rule: str, seed: int) -> dict[str, dict[str, float]]:
    """How far rows keep their rank between disjoint slices of text, and between seeds on one slice.

    Rank correlation, and overlap of the top 5 %.
    """
    job, length = bench.job, bench.model.program.sequence_length
    first = data_slices(job.text, length, SLICES * SLICE_TOKENS, SLICES)[0]
    by_seed = calibrate_slices(bench.model, [first] * SEEDS, seed, job.threads, silent, job.device)
    quantizer, found = GridQuantizer(job.recipe.quantization), {}
    for name, measured in (("slices", statistics_of_slices(bench, seed)), ("seeds", by_seed)):
        claims = np.stack([_row_claims(bench.model, quantizer, each, rule) for each in measured])
        found[name] = agreement(rank_stability(claims))
    return found


def _row_claims(model: Model, quantizer: Quantizer, statistics: Statistics, rule: str) -> np.ndarray:
    """float64: claims of all rows of all matrices, in order."""
    found = []
    for i in sorted(statistics.matrices):
        values = model.tensors[i].values.reshape(len(model.tensors[i].values), -1)
        prepared = quantizer.prepare(values, replace(statistics.matrices[i], output_fisher=None))
        found.append(expected_losses(prepared, rule).mean(1))
    return np.concatenate(found)


def families(model: Model, matrices: Collection[int]) -> dict[str, list[int]]:
    """Matrices by what they are for: token tables (head and embedding), attention, and the rest, which is the MLPs."""
    tables = set(token_tables(model.program))
    try:
        attention = {part.tensor for unit in find_units(model, "heads") for part in unit.submatrices} - tables
    except CheckpointError:  # no attention that can be found
        attention = set()
    rest = set(matrices) - tables - attention
    return {
        name: sorted(group & set(matrices))
        for name, group in (("head", tables), ("attention", attention), ("MLP", rest))
        if group
    }


def exception_bytes(matrices: Mapping[int, Quantized], codec: int) -> dict[str, int]:
    """Bytes of all exceptions of an artifact: of their own values, and of everything that says where they belong."""
    residual = places = 0
    for each in matrices.values():
        if isinstance(each, CompositeMatrix):
            grid, exceptions = each.parts
            own = _value_bytes(exceptions.part, codec)
            whole, alone = (part_bytes(parts, each.weights.shape, codec) for parts in (each.parts, [grid]))
            residual, places = residual + own, places + whole - alone - own
    return {"residual_bytes": residual, "place_bytes": places}


def _value_bytes(values: RawValues | GridValues, codec: int) -> int:
    """Of the values of exceptions by themselves."""
    if isinstance(values, RawValues):
        return part_bytes([values], values.values.shape, codec)
    return part_bytes([GridInStream(values, 1)], values.codes.shape, codec)
