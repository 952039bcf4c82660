"""Quick trials: the artifact at a byte price with every matrix quantized by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from ..job import CompileJob
from ..quantize.representation import Quantized, Representations
from ..resume.work_folder import FORGETFUL, Memory
from .artifacts import finish_draft, make_draft, with_control_tensors
from .landing import Draft, Trial
from .walk_plan import WalkPlan, plan_on_trial, remembered_plan


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

    memory : of trials with these representations
    points : of every trial so far, for the report; the one thing here that changes
    """

    job: CompileJob
    representations: Representations
    memory: Memory = FORGETFUL
    points: list[CurvePoint] = field(default_factory=list)

    def storing(self, representations: Representations) -> QuickTrials:
        """The same trials with other representations, and so with a memory of their own."""
        memory = self.job.memory.bound_to(representations.description)
        return replace(self, representations=representations, memory=memory)

    def at(self, byte_price: float) -> Trial:
        """The artifact at a byte price."""
        return finish_draft(self.job, self.draft(byte_price))

    def draft(self, byte_price: float) -> Draft:
        """The same, not assembled yet; of a trial that a run before has made, the matrices when they are asked for."""
        state = self.memory.recall("trial", byte_price)
        if state is None:
            draft = make_draft(self.job, byte_price, self._quantized(byte_price))
            loss = draft.predicted_loss
            self.memory.keep("trial", byte_price, state={"size": draft.size, "predicted_loss": float(loss)})
        else:
            loss = state["predicted_loss"]
            draft = Draft(byte_price, state["size"], MadeWhenAsked(lambda: self._quantized(byte_price)))
            self.memory.took("a trial of the byte price")
        self.points.append(CurvePoint("quick", byte_price, draft.size, loss))
        return draft

    def plan(self, draft: Draft | Trial) -> WalkPlan:
        """A walk planned on a trial."""
        return remembered_plan(self.memory, draft.byte_price, lambda: plan_on_trial(self.job, draft))

    def _quantized(self, byte_price: float) -> dict[int, Quantized]:
        """Every tensor at a byte price."""
        return with_control_tensors(self.job, byte_price, self.representations.fit_all(byte_price))


class MadeWhenAsked(Mapping[int, Quantized]):
    """Quantized tensors that are made when the first of them is asked for."""

    def __init__(self, make: Callable[[], Mapping[int, Quantized]]) -> None:
        self._make = make

    @cached_property
    def _found(self) -> Mapping[int, Quantized]:
        return self._make()

    def __getitem__(self, index: int) -> Quantized:
        return self._found[index]

    def __iter__(self) -> Iterator[int]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)
