"""What text tells of a checkpoint where nothing else does: the answers with which the model predicts it best.

Strategy: the questions that a frontend asks have few answers in public code. Beginning with the most usual ones, one
question after the other takes the answer that predicts the text best, until none changes. An answer counts as told
where every other one is worse by more than chance explains. Nothing is taken for granted by it: who compiles is told
what to write into an architecture file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...errors import CheckpointError, DataError
from ...format.program.program import Program
from ...progress import Progress, silent
from ...runtime.interpreter import Interpreter
from ..checkpoints.checkpoint import Checkpoint
from ..frontends import build_model
from ..frontends.untold import Answer, Question, UntoldError
from ..model.model import Model
from .doubts import doubt_of
from .sample import ERRORS, Sample, error_of_mean, losses_of, on_one_core, weights_of

MOST_ROUNDS = 3
TRIALS, TRIAL_WORK = (30, 200), 8e11  # least and most of answers together, and multiply-adds of all of them
ReadText = Callable[[Program], np.ndarray]  # int64 [n, length] of text for a program


@dataclass
class _Search:
    """Answers that are tried.

    questions, chosen : those that were asked so far, and the number of the answer to each
    losses, trials : of the answers that were tried, by their numbers, and how many may be
    """

    checkpoint: Checkpoint
    architecture: Mapping[str, object]
    questions: list[Question] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)
    sample: Sample = field(init=False)
    trials: int = TRIALS[1]
    losses: dict[tuple[int, ...], np.ndarray | None] = field(default_factory=dict)

    def model(self, chosen: list[int]) -> Model:
        """The model with these answers; raises CheckpointError where they make none."""
        said = dict(self.architecture)
        for question, number in zip(self.questions, chosen, strict=True):
            said |= question[number]
        return build_model(self.checkpoint, said)

    def begin(self) -> Model | None:
        """The model with the first answers that make one; None where a question has none."""
        for _ in range(TRIALS[1]):
            try:
                return self.model(self.chosen)
            except UntoldError as error:
                known = {frozenset(answer) for question in self.questions for answer in question}
                asked = [q for q in error.questions if not q or frozenset(q[0]) not in known]
                if not asked or not all(asked):
                    return None
                self.questions += asked
                self.chosen += [0] * len(asked)
            except CheckpointError:
                if not self._next_combination():
                    return None
        return None

    def _next_combination(self) -> bool:
        """Count the answers up, those to the first question first: heads fit where others do not."""
        for place in range(len(self.questions)):
            self.chosen[place] += 1
            if self.chosen[place] < len(self.questions[place]):
                return True
            self.chosen[place] = 0
        return False

    def tried(self, chosen: list[int]) -> np.ndarray | None:
        """The losses of the text with these answers; None where they make no model."""
        key = tuple(chosen)
        if key not in self.losses and len(self.losses) < self.trials:
            try:
                model = self.model(chosen)
                self.losses[key] = losses_of(model.program, weights_of(model), self.sample.much)
            except CheckpointError:
                self.losses[key] = None
        return self.losses.get(key)

    def with_answer(self, place: int, number: int) -> list[int]:
        return [*self.chosen[:place], number, *self.chosen[place + 1 :]]

    def by_loss(self, place: int) -> list[tuple[float, int]]:
        """(mean loss, number) of the answers to a question beside the chosen ones to the others, the best first."""
        tried = ((self.tried(self.with_answer(place, number)), number) for number in range(len(self.questions[place])))
        return sorted((float(losses.mean()), number) for losses, number in tried if losses is not None)

    def settle(self) -> np.ndarray | None:
        """Give every question its best answer; the losses with them, None where they make no model.

        Where these make no sense of the text, that is begun anew from each answer to the first question, without which
        no other one is right.
        """
        usual, places = list(self.chosen), range(len(self.questions))
        self._settle(places)
        for number in range(len(self.questions[0])):
            if self.knows(self.tried(self.chosen)):
                break
            self.chosen = [number, *usual[1:]]
            self._settle([*places[1:], 0])
        return self.tried(self.chosen)

    def _settle(self, places: Sequence[int]) -> None:
        for _ in range(MOST_ROUNDS):
            before = list(self.chosen)
            for place in places:
                found = self.by_loss(place)
                if found:
                    self.chosen[place] = found[0][1]
            if before == self.chosen:
                return

    def knows(self, losses: np.ndarray | None) -> bool:
        """Whether a model predicts the text better than the frequencies of its tokens, by more than chance explains."""
        if losses is None:
            return False
        return bool(losses.mean() + ERRORS * error_of_mean(losses) < self.sample.entropy)

    def as_good(self, place: int) -> list[Answer]:
        """The chosen answer to a question and those that the text does not tell from it or was not asked of, the
        best first.
        """
        best, found = self.tried(self.chosen), []
        for number, answer in enumerate(self.questions[place]):
            chosen = self.with_answer(place, number)
            losses = self.tried(chosen)
            if losses is None and tuple(chosen) in self.losses:  # it makes no model
                continue
            if losses is None or number == self.chosen[place] or not self.sample.decided(best, losses):
                loss = math.inf if losses is None else round(float(losses.mean()), 3)
                found.append((loss, number, answer))
        return [answer for _, _, answer in sorted(found, key=lambda each: each[:2])]


def answered_by_text(
    error: UntoldError,
    checkpoint: Checkpoint,
    architecture: Mapping[str, object],
    read_text: ReadText,
    source: str,
    progress: Progress | None = None,
) -> CheckpointError:
    """The error of a checkpoint that something has to be told of, with what the text of `source` tells."""
    (progress or silent)("try what nothing tells", 0, 0)
    try:
        told = told_by_text(checkpoint, architecture, read_text, source)
    except DataError:  # of a text that cannot be read; what the checkpoint lacks comes first
        told = None
    return error if told is None else CheckpointError(f"{error}; {told}")


def told_by_text(
    checkpoint: Checkpoint, architecture: Mapping[str, object], read_text: ReadText, source: str
) -> str | None:
    """What the text of `source` tells of a checkpoint that `build_model` asks questions of, in words; None where it
    tells nothing.
    """
    search = _Search(checkpoint, architecture)
    model = search.begin()
    if model is None:
        return None
    with on_one_core():
        text = read_text(model.program)
        interpreter = Interpreter(model.program, weights_of(model))
        search.sample = Sample.of(interpreter, text)
        if not search.sample.is_enough:
            return None
        work = interpreter.shapes.multiply_adds * search.sample.much.size
        search.trials = int(np.clip(TRIAL_WORK / max(1, work), *TRIALS))
        losses = search.settle()
        if losses is None:
            return None
        knows = search.knows(losses)
        alike = [search.as_good(place) for place in range(len(search.questions))]
        best = search.model(search.chosen)
        doubt = doubt_of(best.program, weights_of(best), text)
    if doubt is None and not knows:
        return None
    said = json.dumps({name: value for found in alike for name, value in found[0].items()})
    bits = f"{losses.mean() / math.log(2):.3f} bits a token"
    told = f"{source} is predicted best, in {bits}, with an architecture file that says {said}"
    open_questions = ", ".join(" or ".join(map(_said, found)) for found in alike if len(found) > 1)
    told += f"; whether {open_questions} it does not tell" if open_questions else ""
    return told if doubt is None else f"{told}; but {doubt}"


def _said(answer: Answer) -> str:
    return " and ".join(f"{name} {value}" for name, value in answer.items())
