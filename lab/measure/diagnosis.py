"""Is the head or the trunk the limit of a model, in bytes and in gradient.

Strategy: in bytes, compare what the error of quantizing costs a byte stored: the tables of tokens
(embedding and head, tied or not) against all other matrices, at the same nominal bits on one step a
row. Errors fall fourfold with a bit more, for both, so the side with the greater loss a byte is the one
where the next byte brings more; as it was measured, where it was, and only where the prediction agrees. In gradient,
what the head lets through of the squared norm is held against what random directions of its rank let through, which
is little wherever the vocabulary is wider than the model: docs/decisions/verdicts.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...compiler.model.model import Model
from ...compiler.model.structure import output_head, token_tables
from ...compiler.statistics.calibration import Statistics, calibration_sequences, measure_statistics
from ...compiler.statistics.swaps import measure_divergences
from ...display import ShownByFacts
from ...files.intervals import INTERVAL, standard_errors
from ...progress import Progress
from .head_gradient import HeadGradient, Spectrum, measure_head
from .sensitivity import BATCH_SEQUENCES
from .unit_losses import quantization_error, second_order_losses, swapped, weight_matrices
from .units import WeightSet, find_units, matrices_of

HEAD, TRUNK, WIDTH, UNDECIDED = "head", "trunk", "width", "undecided"
LEAST_PROJECTED = 0.5  # of the gradient's squared norm, from which on the head is no limit
LIKE_RANDOM = 1.1  # times what random directions keep: a head that keeps no more is no better than these
EVEN = 1.25  # times the other side's loss a byte, below which the two are alike


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the comparison in bytes.

    tensors : names; weights : their number; bytes : weights at the nominal bits, steps not counted
    predicted : second-order loss of quantizing it, nats a token; measured : KL on held-out text, None without any
    """

    tensors: tuple[str, ...]
    weights: int
    bytes: float
    predicted: float
    measured: float | None

    @property
    def loss_per_byte(self) -> float:
        """Predicted nats a token for each byte stored."""
        return self.predicted / self.bytes if self.bytes else 0.0

    @property
    def measured_per_byte(self) -> float | None:
        """Measured nats a token for each byte stored."""
        return None if self.measured is None or not self.bytes else self.measured / self.bytes


@dataclass(frozen=True, slots=True, repr=False)
class Diagnosis(ShownByFacts):
    """What `diagnose_model` found; `tied` when one table embeds tokens and makes their logits, `notes` what was assumed
    of the text, in sentences.
    """

    head_tensor: str
    head_shape: tuple[int, int]
    tied: bool
    bits: int
    tokens: int
    held_out_tokens: int
    head_spectrum: Spectrum
    hidden_spectrum: Spectrum
    gradient: HeadGradient
    head: Side
    trunk: Side
    notes: tuple[str, ...] = ()

    @property
    def limit_in_bytes(self) -> str:
        """The side whose next byte brings more, as it was measured; UNDECIDED where the two sides are alike, or the
        second-order model says otherwise. Without held-out text what that model predicts.
        """
        predicted = dearer_side(self.head.loss_per_byte, self.trunk.loss_per_byte)
        if self.head.measured_per_byte is None or self.trunk.measured_per_byte is None:
            return predicted
        measured = dearer_side(self.head.measured_per_byte, self.trunk.measured_per_byte)
        return measured if measured == predicted else UNDECIDED

    @property
    def limit_in_gradient(self) -> str:
        """What limits the gradient: see `limit_of_gradient`."""
        return limit_of_gradient(self.gradient)

    def shown_facts(self) -> Mapping[str, str]:
        """The verdicts, and what they were measured on."""
        return {
            "limit in bytes": f"{self.limit_in_bytes}, at {self.bits} bits",
            "limit in gradient": self.limit_in_gradient,
            "head": f"{self.head_tensor}, {self.head_shape[0]:,} x {self.head_shape[1]:,}",
            "text": f"{self.tokens:,} tokens, {self.held_out_tokens:,} held out",
            **({"notes": "; ".join(self.notes)} if self.notes else {}),
        }


def dearer_side(head: float, trunk: float) -> str:
    """The side with the greater loss a byte; UNDECIDED where neither has EVEN times the other's."""
    if head > EVEN * trunk:
        return HEAD
    return TRUNK if trunk > EVEN * head else UNDECIDED


def limit_of_gradient(found: HeadGradient) -> str:
    """TRUNK where the head lets at least half of the gradient's squared norm pass. Else WIDTH where it keeps more than
    random subspaces of its rank: what is lost any head so narrow would lose. HEAD where it keeps no more than
    LIKE_RANDOM times their share: its directions are no better than chance. UNDECIDED where that is not certain: the
    interval has the errors of the text and of drawing a subspace.
    """
    if found.projected >= LEAST_PROJECTED:
        return TRUNK
    if found.projected_error is None or found.batches < 2:
        return UNDECIDED
    margin = math.hypot(standard_errors(found.batches) * found.projected_error, INTERVAL * found.random_spread)
    if found.projected - margin > found.random_projected:
        return WIDTH
    return HEAD if found.projected + margin < LIKE_RANDOM * found.random_projected else UNDECIDED


def diagnose_model(
    model: Model,
    text: np.ndarray,
    held_out: np.ndarray,
    *,
    bits: int,
    tokens: int,
    seed: int,
    threads: int,
    progress: Progress,
    device: str = "cpu",
) -> Diagnosis:
    """Compare head and trunk on about `tokens` tokens of a text; held_out : int64[n, length], maybe
    none, for the measured losses.

    bits : 2 or more; device : where models run. Raises CheckpointError when one linear map does not make the logits,
        DataError for too short sequences.
    """
    sequences = calibration_sequences(text, model.program.sequence_length, tokens)
    spectra = measure_head(model, sequences, threads=threads, finished=partial(progress, "head"), device=device)
    batches = -(-len(sequences) // BATCH_SEQUENCES)
    statistics = measure_statistics(
        model,
        sequences,
        batch_sequences=BATCH_SEQUENCES,
        seed=seed,
        device=device,
        threads=threads,
        finished=lambda done: progress("calibrate", done, batches),
    )
    tables = token_tables(model.program)
    groups = tables, [i for i in matrices_of(model) if i not in tables]
    head, trunk = _sides(model, groups, statistics, held_out, bits, threads, device)
    weight = model.program.instructions[output_head(model.program)].weight
    return Diagnosis(
        head_tensor=model.tensors[weight].name,
        head_shape=model.tensors[weight].values.shape,
        tied=len(tables) == 1,
        bits=bits,
        tokens=int(sequences.size),
        held_out_tokens=int(held_out.size),
        head_spectrum=spectra[0],
        hidden_spectrum=spectra[1],
        gradient=spectra[2],
        head=head,
        trunk=trunk,
    )


def _sides(
    model: Model,
    groups: Sequence[Sequence[int]],
    statistics: Statistics,
    held_out: np.ndarray,
    bits: int,
    threads: int,
    device: str,
) -> list[Side]:
    """Each group of tensors as a side: errors of its matrices at so many bits, all at once."""
    errors = [quantization_error(w, bits) for w in weight_matrices(model)]
    tensors = find_units(model, "tensors")
    units = [
        WeightSet("", tuple(tensors[i].submatrices[0] for i in group), sum(tensors[i].weights for i in group))
        for group in groups
    ]
    predicted = second_order_losses(units, errors, statistics)
    measured: Sequence[float | None] = [None] * len(units)
    if len(held_out):
        candidates = [swapped(model, unit, errors) for unit in units]
        measured = measure_divergences(model, candidates, held_out, threads=threads, device=device)
    return [
        Side(
            tuple(model.tensors[i].name for i in group), unit.weights, unit.weights * bits / 8, float(loss), divergence
        )
        for group, unit, loss, divergence in zip(groups, units, predicted, measured, strict=True)
    ]
