"""What is known of one measured artifact: its bytes, and what it loses sequence by sequence.

Strategy: a plain record that turns into JSON and back, so that a measurement is kept as a small document.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...compiler.rate_control.artifacts import COARSEST_PRICE

BYTE, TOKEN = "byte", "token"
SCORES = {BYTE: "BPB", TOKEN: "bits a token"}
CHANGES = {BYTE: "mBPB", TOKEN: "mbit a token"}


@dataclass(frozen=True, slots=True)
class MeasuredArtifact:
    """An artifact and its quality on the evaluation text.

    byte_price : of the artifact, nats a token for a byte
    predicted_loss : of all matrices by the second-order model, nats a token
    divergence : KL divergence from the float model by sequence, bits a token
    bits, counted : of the targets, by sequence; what is counted is the bytes of their text or, where no tokenizer is
        known, the targets themselves; unit : which of the two, BYTE or TOKEN
    extra : whatever else the experiment wanted to know of it
    """

    name: str
    bytes: int
    byte_price: float
    predicted_loss: float
    divergence: tuple[float, ...]
    bits: tuple[float, ...]
    counted: tuple[int, ...]
    unit: str
    extra: Mapping[str, Any]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> MeasuredArtifact:
        """From what `document` gave."""
        by_sequence = {name: tuple(document[name]) for name in ("divergence", "bits", "counted")}
        return cls(**{**document, **by_sequence})

    @property
    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @property
    def fits(self) -> bool:
        """Whether its choices left room for any integers at all."""
        return self.byte_price < COARSEST_PRICE

    @property
    def mean_divergence(self) -> float:
        """Bits a token."""
        return float(np.mean(self.divergence))

    @property
    def score(self) -> float:
        """Bits a byte of text or a token, as `unit` says."""
        return math.fsum(self.bits) / sum(self.counted)
