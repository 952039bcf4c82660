"""Quick trials: the artifact at a byte price with every matrix quantized by itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..job import CompileJob
from ..quantize.representation import Representations
from .artifacts import finish_draft, make_draft, with_control_tensors
from .landing import Draft, Trial
from .walk_plan import WalkPlan, plan_on_trial


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
    def of(cls, kind: str, trial: Draft | Trial) -> CurvePoint:
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
        return finish_draft(self.job, self.draft(byte_price))

    def draft(self, byte_price: float) -> Draft:
        """The same, not assembled yet."""
        matrices = self.representations.fit_all(byte_price)
        draft = make_draft(self.job, byte_price, with_control_tensors(self.job, byte_price, matrices))
        self.points.append(CurvePoint.of("quick", draft))
        return draft

    def plan(self, draft: Draft | Trial) -> WalkPlan:
        """A walk planned on a trial."""
        return plan_on_trial(self.job, draft)
