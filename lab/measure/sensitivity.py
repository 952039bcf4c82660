"""How much each unit of a model matters: what quantizing it alone, and nothing else, costs.

Strategy: one error E = Q(W) - W for the whole model, Q rounding to a uniform step of so many bits, with
one step a row set by its greatest magnitude (0 bits: removal, Q = 0). A unit's error is E where the
unit is and zero elsewhere, and every sensitivity is one way to weigh it:
    second-order   1/2 tr(E_uᵀ G E_u H), nats a token: the Kronecker form of swaps.py restricted to the unit
    gradient       1/2 sum of g_i H_jj w_ij²: the Fisher diagonal's loss of removing the unit, weight by weight
                   (LeCun, Denker and Solla, "Optimal Brain Damage"); it does not depend on the bits
    row-error      sum of e_ij²; it does not depend on the data
    measured       KL divergence from the float model, nats a token of held-out text, of really swapping the unit
A unit of several tensors adds up their sensitivities. Each disjoint slice of the calibration text gives
sensitivities of its own; a unit's sensitivity is their mean, and how far the slices agree on the ranks
says whether there is a ranking at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...compiler.model.model import Model
from ...compiler.statistics.calibration import Statistics, measure_statistics
from ...display import ShownByFacts, rows_table
from ...errors import CompileError, DataError
from ...progress import Progress
from ...runtime.tokenizers import Tokenizer
from .rank_stability import RankStability, rank_correlation, rank_stability, top_shares
from .unit_losses import (
    gradient_losses,
    measured_losses,
    quantization_error,
    row_errors,
    second_order_losses,
    weight_matrices,
)
from .units import WeightSet, find_units

SECOND_ORDER, GRADIENT, ROW_ERROR, MEASURED = "second-order", "gradient", "row-error", "measured"
TOKENS, ROWS = "tokens", "rows"  # granularities whose units are tokens, or may be
METHODS = (SECOND_ORDER, GRADIENT, ROW_ERROR, MEASURED)
BATCH_SEQUENCES = 4
SHOWN_UNITS = 10  # in a notebook


@dataclass(frozen=True, slots=True, repr=False)
class Sensitivity(ShownByFacts):
    """Scores of every unit of one granularity.

    sensitivities : float64[units] by method; `measured` is there only when asked for, NaN where it was not measured
    slice_sensitivities : float64[slices, units] of the method `by`
    stability : over the units that `by` ranked, None for one slice and for sensitivities that do not depend on data
    concentration : for the top 1, 5 and 10 % of the units that `by` ranked, rounded up, that share, how many units it
        comes to, their share of the sum of sensitivities, and of the weights
    agreement : Spearman correlation of `by` with each other method, over the units that both ranked;
        NaN for constant ranks
    notes : what was assumed of the text, in sentences
    """

    kind: str
    by: str
    bits: int
    tokens: int
    held_out_tokens: int
    units: tuple[WeightSet, ...]
    sensitivities: Mapping[str, np.ndarray]
    slice_sensitivities: np.ndarray
    stability: RankStability | None
    concentration: tuple[tuple[float, int, float, float], ...]
    agreement: Mapping[str, float]
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> np.ndarray:
        """Units that `by` ranked, the most sensitive first; ties in program order."""
        ranked = np.flatnonzero(~np.isnan(self.sensitivities[self.by]))
        return ranked[np.argsort(-self.sensitivities[self.by][ranked], kind="stable")]

    @property
    def change(self) -> str:
        """What is done to a unit alone, in words; the gradient's loss is that of removing it, whatever the bits."""
        return "removed" if self.by == GRADIENT or not self.bits else f"quantized to {self.bits} bits"

    def shown_facts(self) -> Mapping[str, str]:
        """What was ranked, by what, on how much text, and how far the ranking holds."""
        first = ", ".join(self.units[u].name for u in self.order[:3].tolist())
        stability = "not known" if self.stability is None else f"{self.stability.mean_correlation:.3f} between slices"
        return {
            "": f"{len(self.units):,} {self.kind} by {self.by}",
            "text": f"{self.held_out_tokens or self.tokens:,} tokens",
            "first": first,
            "rank correlation": stability,
            **({"notes": "; ".join(self.notes)} if self.notes else {}),
        }

    def _repr_html_(self) -> str:
        values = self.sensitivities[self.by]
        rows = [
            (f"{place}", self.units[u].name, f"{self.units[u].weights:,}", f"{values[u]:.3g}")
            for place, u in enumerate(self.order[:SHOWN_UNITS].tolist(), start=1)
        ]
        table = rows_table("the first", ("rank", "unit", "weights", self.by), rows)
        return super(Sensitivity, self)._repr_html_() + table

    def with_pieces(self, tokenizer: Tokenizer, tables: Collection[int]) -> Sensitivity:
        """The same with tokens, and rows of the tensors `tables` that have one a token, named by their pieces, too."""
        if self.kind not in (TOKENS, ROWS):
            return self
        return replace(self, units=tuple(_with_piece(unit, tokenizer, tables) for unit in self.units))


def _with_piece(unit: WeightSet, tokenizer: Tokenizer, tables: Collection[int]) -> WeightSet:
    """The unit with the text of its token in its name; one that is no token, or has no piece, as it is."""
    area = unit.submatrices[0]
    if area.tensor not in tables or area.rows.start >= tokenizer.vocabulary_size:
        return unit
    return replace(unit, name=f"{unit.name} {tokenizer.piece(area.rows.start)!r}")


@dataclass(frozen=True, slots=True)
class SensitivityOptions:
    """What to rank and how.

    kind : one of units.GRANULARITIES; by : one of METHODS, what the units are ranked by
    bits : 2 or more, or 0 for removal; slices : disjoint stretches of the text; tokens : of the text,
        about, in all slices
    top : how many units by second order are measured; seed : of the random gradients of calibration
    """

    kind: str
    by: str
    bits: int
    slices: int
    top: int
    tokens: int
    seed: int


def measure_sensitivity(
    model: Model,
    text: np.ndarray,
    held_out: np.ndarray,
    options: SensitivityOptions,
    *,
    threads: int,
    progress: Progress,
    device: str = "cpu",
) -> Sensitivity:
    """Rank the units of one granularity.

    text : int[n] calibration tokens; held_out : int64[m, length] sequences for `measured`, which only
        the `top` units by second order get, for they cost a forward pass each; device : where models run.
    Raises DataError when the text is too short for so many slices, CheckpointError when the model has no such units.
    """
    slices, by = options.slices, options.by
    if by not in METHODS:
        raise CompileError(f"units are not ranked by {by!r}; they are by {', '.join(METHODS)}")
    units = find_units(model, options.kind)
    parts = data_slices(text, model.program.sequence_length, options.tokens, slices)
    if by == MEASURED and len(held_out) < slices:
        raise DataError(
            f"{len(held_out)} held-out sequences are fewer than {slices} slices; give more "
            "calibration text or ask for fewer slices"
        )
    weights = weight_matrices(model)
    errors = [quantization_error(w, options.bits) for w in weights]
    found = calibrate_slices(model, parts, options.seed, threads, progress, device)
    ranked = {
        SECOND_ORDER: np.stack([second_order_losses(units, errors, statistics) for statistics in found]),
        GRADIENT: np.stack([gradient_losses(units, weights, statistics) for statistics in found]),
        ROW_ERROR: row_errors(units, errors)[None],
    }
    if by == MEASURED:
        largest = np.argsort(-ranked[SECOND_ORDER].mean(0), kind="stable")[: options.top]
        how = np.sort(largest), threads, progress, device
        ranked[MEASURED] = measured_losses(model, units, errors, held_out, slices, *how)
    counts = sum(part.size for part in parts), held_out.size if by == MEASURED else 0
    return _summarize(options, counts, units, ranked)


def calibrate_slices(
    model: Model, parts: Sequence[np.ndarray], seed: int, threads: int, progress: Progress, device: str = "cpu"
) -> list[Statistics]:
    """Statistics of each slice int64[n, length], n the same for all; slice k samples its labels with seed + k."""
    batches = -(-len(parts[0]) // BATCH_SEQUENCES)

    def measure(k: int) -> Statistics:
        return measure_statistics(
            model,
            parts[k],
            batch_sequences=BATCH_SEQUENCES,
            seed=seed + k,
            device=device,
            threads=threads,
            finished=lambda done: progress("calibrate", k * batches + done, len(parts) * batches),
        )

    return [measure(k) for k in range(len(parts))]


def _summarize(
    options: SensitivityOptions, counts: tuple[int, int], units: Sequence[WeightSet], ranked: Mapping[str, np.ndarray]
) -> Sensitivity:
    """What the sensitivities float64[slices, units] of each method come to."""
    by = options.by
    sensitivities = {method: rows.mean(0) for method, rows in ranked.items()}
    there = ~np.isnan(sensitivities[by])
    own = ranked[by][:, there]
    stability = rank_stability(own) if len(own) > 1 else None
    shares = top_shares(sensitivities[by][there], np.array([unit.weights for unit in units])[there])
    agreement = {
        method: rank_correlation(sensitivities[by][there], values[there])
        for method, values in sensitivities.items()
        if method != by
    }
    return Sensitivity(
        options.kind, by, options.bits, *counts, tuple(units), sensitivities, ranked[by], stability, shares, agreement
    )


def data_slices(text: np.ndarray, length: int, tokens: int, slices: int) -> list[np.ndarray]:
    """int64[n, length] sequences of `slices` disjoint stretches of the text, equally many, spread
    evenly over each stretch.

    Raises DataError when a stretch has no whole sequence.
    """
    available = len(text) // length // slices
    if available == 0:
        raise DataError(
            f"{len(text)} tokens are fewer than {slices} slices of one sequence of {length}; give "
            "more text or ask for fewer slices"
        )
    count = max(1, min(available, -(-tokens // (slices * length))))
    starts = [[(k * available + i * available // count) * length for i in range(count)] for k in range(slices)]
    return [np.stack([text[s : s + length] for s in row]).astype(np.int64) for row in starts]
