"""What a compile gives back: the artifact, where its bytes went, and everything that was found on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..display import ShownByFacts
from ..files.ledger import Ledger
from .model.model import Reading


@dataclass(frozen=True, slots=True, repr=False)
class CompileResult(ShownByFacts):
    """A compiled artifact: its bytes, the ledger of every byte, the report and the provenance stored in it."""

    artifact: bytes
    ledger: Ledger
    report: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def reading(self) -> Reading:
        """What was assumed, told, chosen and left out of the checkpoint."""
        report = self.report
        assumed = {name: report["architecture"].get(name) for name in report["defaults"]}
        return Reading(assumed, report["told"], tuple(report["notes"]), report["weights_read"])

    def shown_facts(self) -> Mapping[str, str]:
        """Bytes, and what the artifact loses as it was measured; the prediction where nothing was."""
        report, score = self.report, self.report["score"]
        loss = f"{report['predicted_loss']:.3g} nats a token, predicted and not measured"
        if not report["prediction"]["supported"]:
            loss = "not known: nothing was measured, and the statistics do not support a prediction"
        if report["measured_loss"] is not None:
            tokens = f"{report['held_out_tokens']:,} held-out tokens"
            loss = f"{report['measured_loss']:.3g} nats a token, measured on {tokens}"
        facts = {**self.ledger.shown_facts(), "bits a weight": f"{report['bits_per_weight']:.3f}", "loss": loss}
        assumed = ", ".join(f"{name} {value}" for name, value in self.reading.assumed.items())
        if assumed:
            facts["assumed"] = assumed
        if score and score["artifact"]:
            figures = [score[which]["bits_per_byte"] for which in ("artifact", "checkpoint")]
            facts["bits per byte"] = f"{figures[0]:.5f}, the checkpoint {figures[1]:.5f}"
        return facts
