"""Whole artifacts at given bytes and what they lose by sequence, kept once they are measured.

Strategy: an artifact is a named way to spend the bytes. It is brought to its budget by a search of the byte
price, assembled, decoded and measured on the evaluation text. What is kept of it is a small JSON document, so
that a run that was stopped measures only what is missing, and one that was finished opens nothing at all. All
comparisons are between artifacts of one budget, paired by sequence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from ...compiler.inputs import own_tokenizer
from ...compiler.rate_control.artifacts import COARSEST_PRICE
from ...compiler.rate_control.landing import Trial
from ...compiler.settings import START_PRICE
from ...errors import DataError
from ...format.artifact import decode_tensors, read_artifact
from ..measure.choices import Choice
from ..measure.equal_bytes import Bench, BenchInputs
from ..measure.sequence_quality import SequenceQuality
from .inputs import MEASURED, Inputs
from .keeping import KeptParts
from .measured_artifact import BYTE, TOKEN, MeasuredArtifact

DECODINGS = 5
# Beside the bench's own recipe: rows by themselves, so that the steps of one row do not move the others.
RECIPE = {"quantize-matrices": {"correlation": 0.0}}
UNCHANGED = {"trellis": "none", "drift correction, distillation": "none"}  # settings that all these experiments report
Choices = Mapping[int, Choice]
MakeChoices = Callable[[Bench], Choices]
MakeExtra = Callable[[Bench, Trial], Mapping[str, Any]]


class Measurements:
    """Artifacts of one checkpoint on one evaluation text. Raises DataError naming inputs that were not given."""

    def __init__(self, experiment: str, inputs: Inputs) -> None:
        inputs.require(experiment, *MEASURED)
        self.inputs = replace(inputs, tokenizer=own_tokenizer(inputs.checkpoint, inputs.evaluation, inputs.tokenizer))
        others = ("architecture", "tokenizer", "tokens", "seed", "weights", "ignore", "rename")
        basis = {name: getattr(self.inputs, name) for name in (*MEASURED, *others)}
        basis |= {} if inputs.device == "cpu" else {"device": inputs.device}
        self._kept = KeptParts(inputs.folder, basis | {"recipe": RECIPE})
        self._prices: dict[int, float] = {}  # by budget: where the next search starts
        self._done = self._expected = 0

    @cached_property
    def bench(self) -> Bench:
        """Opened when the first part is missing."""
        i = self.inputs
        i.progress("calibrate", 0, 1)
        files = {"architecture": i.architecture, "tokenizer": i.tokenizer, "evaluation": i.evaluation}
        how = {"tokens": i.tokens, "recipe": RECIPE, "seed": i.seed, "selection": i.selection, "device": i.device}
        bench = Bench.open(BenchInputs(i.checkpoint, i.calibration, **files, **how), i.threads, i.progress)
        i.progress("calibrate", 1, 1)
        return bench

    @cached_property
    def biased_bench(self) -> Bench | None:
        """The same with a bias at the head that every artifact fits; None where there can be none."""
        return self.bench.with_head_bias()

    def expect(self, artifacts: int) -> None:
        """Say how many artifacts will be asked for, which progress is reported by."""
        self._expected = artifacts

    def part(self, name: str, key: Mapping[str, object], measure: Callable[[Bench], Any]) -> Any:
        """A JSON value that is computed on the bench and kept."""
        return self._kept.part(name, key, lambda: measure(self.bench))

    def float_model(self) -> MeasuredArtifact:
        """The checkpoint itself: no bytes, no divergence."""

        def measure(bench: Bench) -> dict[str, Any]:
            found = bench.meter.float_model
            lost = [0.0] * len(found.bits)
            return MeasuredArtifact("float", 0, 0.0, 0.0, lost, found.bits.tolist(), *_counted(found), {}).document

        return MeasuredArtifact.of(self.part("float", {}, measure))

    def at_bytes(
        self,
        name: str,
        budget: int,
        choices: MakeChoices,
        extra: MakeExtra | None = None,
        *,
        must_fit: bool = True,
        biased: bool = False,
    ) -> MeasuredArtifact:
        """The largest artifact of at most `budget` bytes, with these choices at every byte price.

        name : says all about the choices; what was kept under this name and budget is not measured again
        extra : what else to know of the artifact, as JSON values
        must_fit : DataError when these choices do not fit; otherwise the smallest artifact, whose `fits` is false
        biased : with a bias at the head, which must be possible
        """

        def measure(bench: Bench) -> dict[str, Any]:
            bench = self.biased_bench if biased else bench
            trial = bench.at_bytes(budget, choices(bench), start_price=self._prices.get(budget, START_PRICE))
            if trial.byte_price < COARSEST_PRICE:
                self._prices[budget] = trial.byte_price
            return _measured(name, bench, trial, extra)

        found = self._counted({"name": name, "budget": budget} | ({"biased": True} if biased else {}), measure)
        if must_fit and not found.fits:
            raise DataError(f"{budget} bytes are too few for {name!r}; this experiment needs a larger model")
        return found

    def at_price(self, name: str, byte_price: float, choices: MakeChoices) -> MeasuredArtifact:
        """The artifact at a byte price, whatever its bytes."""

        def measure(bench: Bench) -> dict[str, Any]:
            return _measured(name, bench, bench.artifact(byte_price, choices(bench)), None)

        return self._counted({"name": name, "byte_price": byte_price}, measure)

    def _counted(self, key: Mapping[str, object], measure: Callable[[Bench], dict[str, Any]]) -> MeasuredArtifact:
        self.inputs.progress("artifacts", self._done, self._expected)
        found = MeasuredArtifact.of(self.part("artifact", key, measure))
        self._done += 1
        self.inputs.progress("artifacts", self._done, max(self._expected, self._done))
        return found

    def decode_seconds(self, artifact: MeasuredArtifact, choices: MakeChoices) -> float:
        """Processor seconds of reading and decoding an artifact, the least of a few."""

        def measure(bench: Bench) -> float:
            data = bench.artifact(artifact.byte_price, choices(bench)).data
            return min(_seconds_of_decoding(data) for _ in range(DECODINGS))

        return self.part("decode-seconds", {"name": artifact.name, "byte_price": artifact.byte_price}, measure)

    def budget_of(self, bits: float) -> int:
        """Bytes of a whole artifact that has so many bits a weight."""
        return round(bits * self.weights / 8)

    @cached_property
    def weights(self) -> int:
        """Weights of the model."""
        return self.part("weights", {}, lambda bench: int(bench.job.weights))

    def settings(self, chosen: Mapping[str, object]) -> dict[str, object]:
        """What a report says the experiment was run with: the settings of its own, then those that all share, and what
        was assumed of the files.
        """
        notes = self.part("notes", {}, lambda bench: list(bench.notes))
        assumed = {"assumed": "; ".join(notes)} if notes else {}
        return {**chosen, "evaluation tokens": self.inputs.tokens, "seed": self.inputs.seed, **UNCHANGED, **assumed}


def _measured(name: str, bench: Bench, trial: Trial, extra: MakeExtra | None) -> dict[str, Any]:
    found = bench.quality(trial)
    by_sequence = found.divergence.tolist(), found.bits.tolist(), *_counted(found)
    predicted = float(sum(q.predicted_loss for q in trial.quantized.values()))
    known = {} if extra is None else dict(extra(bench, trial))
    return MeasuredArtifact(name, len(trial.data), trial.byte_price, predicted, *by_sequence, known).document


def _counted(found: SequenceQuality) -> tuple[list[int], str]:
    """What the bits of each sequence are held against: its bytes or, without a tokenizer, its targets."""
    if found.bytes is None:
        return [found.length] * len(found.bits), TOKEN
    return found.bytes.tolist(), BYTE


def _seconds_of_decoding(data: bytes) -> float:
    began = time.process_time()
    decode_tensors(read_artifact(data))
    return time.process_time() - began
