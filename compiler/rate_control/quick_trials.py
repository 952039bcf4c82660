"""Quick trials: the artifact at a byte price with every matrix quantized by itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..job import CompileJob
from ..quantize.representation import Representations
from .artifacts import complete_trial
from .landing import Trial


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of the rate-distortion curve: predicted loss in nats a token against the bytes of the whole artifact.

    kind : "quick", or "landed" for the artifact of the compile
    """

    kind: str
    byte_price: float
    bytes: int
    predicted_loss: float

    @classmethod
    def of(cls, kind: str, trial: Trial) -> CurvePoint:
        """The point of a trial."""
        return cls(kind, trial.byte_price, trial.size, trial.predicted_loss)


@dataclass(frozen=True, slots=True)
class QuickTrials:
    """Quick trials of a job with some representations of its matrices.

    points : of every trial so far, for the report; the one thing here that changes
    """

    job: CompileJob
    representations: Representations
    points: list[CurvePoint] = field(default_factory=list)

    def at(self, byte_price: float) -> Trial:
        """The artifact at a byte price."""
        trial = complete_trial(self.job, byte_price, self.representations.fit_all(byte_price))
        self.points.append(CurvePoint.of("quick", trial))
        return trial
