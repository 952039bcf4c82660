"""Points: whole artifacts at given bytes and what they lose by sequence, kept once they are measured.

Strategy: a point is a named way to spend the bytes. It is landed on its budget by the byte price, assembled, decoded and measured on
the evaluation text; what is kept of it is a small JSON document, so that a run that was stopped measures only what is missing and
one that was finished opens nothing at all. All comparisons are between points of one budget, paired by sequence.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...compiler.pipeline import START_PRICE
from ...compiler.rate_control.landing import Trial
from ...compiler.rate_control.trials import COARSEST_PRICE
from ...errors import DataError
from ...format.artifact import decode_tensors, read_artifact
from ..measure.equal_bytes import Bench, Choice
from .findings import FALSIFIES, SUPPORTS, UNDECIDED, Estimate
from .inputs import Inputs
from .keeping import KeptParts

MILLI = 1000.0
DECODINGS = 5
RECIPE = {
    "quantize-matrices": {"correlation": 0.0}
}  # beside the bench's: rows by themselves, so that one row's steps are its own affair
NEEDED = ("checkpoint", "calibration", "evaluation", "tokenizer")
Choices = Mapping[int, Choice]
MakeChoices = Callable[[Bench], Choices]


@dataclass(frozen=True, slots=True)
class Point:
    """An artifact and its quality.

    predicted_loss : second order, nats a token; divergence : bits a token by sequence; bits, text_bytes : of the targets by sequence
    extra : what the caller wanted to know of it
    """

    name: str
    bytes: int
    byte_price: float
    predicted_loss: float
    divergence: tuple[float, ...]
    bits: tuple[float, ...]
    text_bytes: tuple[int, ...]
    extra: Mapping[str, Any]

    @property
    def fits(self) -> bool:
        """Whether its choices left room for any integers at all."""
        return self.byte_price < COARSEST_PRICE

    @property
    def mean_divergence(self) -> float:
        """Bits a token."""
        return float(np.mean(self.divergence))

    @property
    def bits_per_byte(self) -> float:
        return math.fsum(self.bits) / sum(self.text_bytes)


class Measurements:
    """Points of one checkpoint on one evaluation text. Raises DataError naming inputs that were not given."""

    def __init__(self, experiment: str, inputs: Inputs) -> None:
        inputs.require(experiment, *NEEDED)
        self.inputs = inputs
        basis = {name: getattr(inputs, name) for name in (*NEEDED, "architecture", "tokens", "seed")}
        self.kept = KeptParts(inputs.folder, basis | {"recipe": RECIPE})
        self._prices: dict[int, float] = {}
        self._done = 0
        self.total = 0  # of points, for progress; callers say

    @cached_property
    def bench(self) -> Bench:
        """Opened when the first part is missing."""
        i = self.inputs
        self.inputs.progress("calibrate", 0, 1)
        bench = Bench.open(
            i.checkpoint, i.calibration, architecture=i.architecture, tokenizer=i.tokenizer, evaluation=i.evaluation,
            tokens=i.tokens, recipe=RECIPE, seed=i.seed, threads=i.threads,
        )  # fmt: skip
        self.inputs.progress("calibrate", 1, 1)
        return bench

    @cached_property
    def biased_bench(self) -> Bench | None:
        """The same with a bias at the head that every artifact fits; None where there can be none."""
        return self.bench.with_head_bias()

    def part(self, name: str, key: Mapping[str, object], measure: Callable[[Bench], Any]) -> Any:
        """A JSON value that is computed on the bench and kept."""
        return self.kept.part(name, key, lambda: measure(self.bench))

    def float_model(self) -> Point:
        """The checkpoint itself: no bytes, no divergence."""

        def measure(bench: Bench) -> dict[str, Any]:
            found = bench.meter.float_model
            zeros = [0.0] * len(found.bits)
            return _document("float", 0, 0.0, 0.0, zeros, found.bits.tolist(), found.bytes.tolist(), {})

        return _point(self.part("float", {}, measure))

    def at_bytes(
        self, name: str, budget: int, choices: MakeChoices, extra: Callable[[Bench, Trial], Mapping[str, Any]] | None = None, *, must_fit: bool = True,
        biased: bool = False,
    ) -> Point:  # fmt: skip
        """The largest artifact of at most `budget` bytes, with these choices at every byte price. `name` says all about the choices.

        biased : with a bias at the head, which must be possible

        DataError when these choices do not fit, unless `must_fit` is false: then the point is that of the smallest artifact, `fits` false.
        """

        def measure(bench: Bench) -> dict[str, Any]:
            bench = self.biased_bench if biased else bench
            trial = bench.at_bytes(budget, choices(bench), start_price=self._prices.get(budget, START_PRICE))
            if trial.byte_price < COARSEST_PRICE:
                self._prices[budget] = trial.byte_price
            return self._measured(name, bench, trial, extra)

        found = self._counted(name, {"name": name, "budget": budget} | ({"biased": True} if biased else {}), measure)
        if must_fit and not found.fits:
            raise DataError(f"{budget} bytes are too few for {name!r}; this experiment needs a larger model")
        return found

    def at_price(self, name: str, byte_price: float, choices: MakeChoices) -> Point:
        """The artifact at a byte price, whatever its bytes."""
        key = {"name": name, "byte_price": byte_price}
        return self._counted(
            name, key, lambda bench: self._measured(name, bench, bench.artifact(byte_price, choices(bench)), None)
        )

    def _counted(self, name: str, key: Mapping[str, object], measure: Callable[[Bench], dict[str, Any]]) -> Point:
        self.inputs.progress("artifacts", self._done, self.total)
        found = _point(self.part("point", key, measure))
        self._done += 1
        self.inputs.progress("artifacts", self._done, max(self.total, self._done))
        return found

    @staticmethod
    def _measured(
        name: str, bench: Bench, trial: Trial, extra: Callable[[Bench, Trial], Mapping[str, Any]] | None
    ) -> dict[str, Any]:
        found = bench.quality(trial)
        predicted = sum(q.predicted_loss for q in trial.quantized.values())
        known = {} if extra is None else dict(extra(bench, trial))
        return _document(
            name,
            len(trial.data),
            trial.byte_price,
            predicted,
            found.divergence.tolist(),
            found.bits.tolist(),
            found.bytes.tolist(),
            known,
        )

    def decode_seconds(self, point: Point, choices: MakeChoices) -> float:
        """Processor seconds of reading and decoding the artifact of a point, the least of a few."""

        def measure(bench: Bench) -> float:
            data = bench.artifact(point.byte_price, choices(bench)).data
            return min(_seconds_of_decoding(data) for _ in range(DECODINGS))

        return self.part("decode-seconds", {"name": point.name, "byte_price": point.byte_price}, measure)

    def budget_of(self, bits: float) -> int:
        """Bytes of a whole artifact that has so many bits a weight."""
        return round(bits * self.weights_and_matrices()[0] / 8)

    def weights_and_matrices(self) -> tuple[int, int]:
        """Numbers of weights of the model, and of its matrices."""
        found = self.part(
            "sizes", {}, lambda b: [int(b.trials.weights), int(sum(b.model.tensors[i].values.size for i in b.matrices))]
        )
        return found[0], found[1]


def _seconds_of_decoding(data: bytes) -> float:
    began = time.process_time()
    decode_tensors(read_artifact(data))
    return time.process_time() - began


def _document(name, n_bytes, price, predicted, divergence, bits, text_bytes, extra) -> dict[str, Any]:
    return asdict(
        Point(name, n_bytes, price, float(predicted), tuple(divergence), tuple(bits), tuple(text_bytes), extra)
    )


def _point(document: Mapping[str, Any]) -> Point:
    lists = {name: tuple(document[name]) for name in ("divergence", "bits", "text_bytes")}
    return Point(**{**document, **lists})


def divergence_change(first: Point, second: Point) -> Estimate:
    """second - first, millibits a token, paired by sequence."""
    return Estimate.of_pairs(MILLI * np.array(first.divergence), MILLI * np.array(second.divergence))


def score_change(first: Point, second: Point) -> Estimate:
    """second - first in thousandths of a bit per byte, paired by sequence, each in proportion to the mean bytes of a sequence."""
    scale = MILLI / np.mean(first.text_bytes)
    return Estimate.of_pairs(scale * np.array(first.bits), scale * np.array(second.bits))


def gain(first: Point, second: Point) -> float:
    """ln of how many times less the second diverges from the float model; below 0 when it diverges more."""
    return math.log(first.mean_divergence / second.mean_divergence)


def outcome_of_change(change: Estimate) -> str:
    """Of a change for which the thesis predicts a fall: supports when the whole interval is below 0, falsifies when it is above."""
    return {-1: SUPPORTS, 0: UNDECIDED, 1: FALSIFIES}[change.side()]


def outcome_of_share(value: float, least: float, too_little: float) -> str:
    """Supports from `least` on, falsifies below `too_little`."""
    return SUPPORTS if value >= least else FALSIFIES if value < too_little else UNDECIDED


def interval(estimate: Estimate, unit: str) -> str:
    """`-1.23 [-1.50, -0.96] mbit`."""
    return f"{estimate.mean:+.3g} [{estimate.low:+.3g}, {estimate.high:+.3g}] {unit}"
