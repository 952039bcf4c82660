"""How far a calibration has come, for a run that goes on with it: the sums so far and the last question's answer.

Strategy: sums are consistent between two batches when no other is under way. There a calibration may be kept, and from
there it goes on with the same bits, since batches are added in their order and draw their gradients by their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..resume.work_folder import FORGETFUL, Memory
from .running_sums import RunningSums

STAGE = "calibration"
BATCHES_BETWEEN = 8  # for each thread, after which a calibration may be kept


class Question(Protocol):
    """What decides whether a calibration has seen enough: Convergence."""

    def state(self) -> dict[str, np.ndarray]: ...

    def restore(self, state: Mapping[str, np.ndarray]) -> None: ...


@dataclass(slots=True)
class RememberedCalibration:
    """A calibration in a work folder.

    batches, tokens : measured so far;  ended : whether they are all that is wanted
    """

    memory: Memory = FORGETFUL
    question: Question | None = None
    batches: int = 0
    tokens: int = 0
    ended: bool = False

    def restore(self, sums: RunningSums) -> None:
        """Take over what was kept, if anything was."""
        state = self.memory.recall(STAGE)
        if state is None:
            return
        self.batches, self.tokens, self.ended = state["batches"], state["tokens"], state["ended"]
        sums.restore(state["sums"], self.batches)
        if self.question is not None:
            self.question.restore(state["question"])
        self.memory.took(f"calibration on {self.tokens:,} tokens" + ("" if self.ended else ", so far"))

    def stop_before(self, stop: int, threads: int) -> int:
        """Where to pause at the latest on the way to batch `stop`."""
        return stop if self.memory.folder is None else min(stop, self.batches + BATCHES_BETWEEN * threads)

    def keep(self, sums: RunningSums, ended: bool) -> None:
        """Keep the sums where it is time to, and always at the end."""
        self.ended = ended
        if ended or self.memory.due():
            question = {} if self.question is None else self.question.state()
            state = {"batches": self.batches, "tokens": self.tokens, "ended": ended, "question": question}
            self.memory.keep(STAGE, state=state | {"sums": sums.state()})
