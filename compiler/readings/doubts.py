"""Whether a checkpoint was read as the model that it is: a neighbouring program of the same tensors that predicts text
better speaks against it.

Strategy: what is worse on little text by more than chance explains is not tried on more. Text that even the better
program predicts worse than its tokens' own frequencies would is none that the model learned from, and says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...format.program.program import Program
from ...runtime.interpreter import Interpreter
from .neighbours import Neighbour, neighbours
from .sample import Sample, losses_of, on_one_core

MOST_TRIED = 4  # of those that were better on little text


@dataclass(frozen=True, slots=True)
class Doubt:
    """A neighbour that predicts the text better than the program that was read.

    change : what it does otherwise;  loss, read_loss : its loss and that of the program, in nats a token
    tokens : on which both are
    """

    change: str
    loss: float
    read_loss: float
    tokens: int

    def __str__(self) -> str:
        loss, read = (f"{nats / math.log(2):.3f}" for nats in (self.loss, self.read_loss))
        return (
            f"the checkpoint predicts text better with {self.change}, in {loss} bits a token instead of {read} "
            f"({self.tokens:,} tokens): unless this text is unlike any that it learned from, it was trained as another "
            "model than it is read as, and an --architecture file says what it is"
        )


def doubts_of(program: Program, tensors: Sequence[np.ndarray], sequences: np.ndarray) -> tuple[str, ...]:
    """What text says against how a checkpoint was read, in sentences.

    sequences : int64 [n, length] of text that the model should know
    """
    found = doubt_of(program, tensors, sequences)
    return () if found is None else (str(found),)


def doubt_of(program: Program, tensors: Sequence[np.ndarray], sequences: np.ndarray) -> Doubt | None:
    """The neighbour that predicts text best, where it is better than the program by more than chance explains.

    sequences : int64 [n, length] of text that the model should know
    """
    interpreter = Interpreter(program, tensors)
    sample = Sample.of(interpreter, sequences)
    if not sample.is_enough:
        return None
    with on_one_core():
        promising = _promising(interpreter, sample)
        if not promising:
            return None
        read = interpreter.token_losses(sample.much).ravel()
        tried = {each.change: losses_of(each.program, each.tensors(tensors), sample.much) for each in promising}
    found = {change: losses for change, losses in tried.items() if losses is not None and sample.decided(losses, read)}
    found = {change: losses for change, losses in found.items() if losses.mean() < sample.entropy}
    if not found:
        return None
    best = min(found, key=lambda change: float(found[change].mean()))
    return Doubt(best, float(found[best].mean()), float(read.mean()), read.size)


def _promising(read: Interpreter, sample: Sample) -> list[Neighbour]:
    """Those neighbours that may be better by what little text says, the best first; none that computes the same."""
    own = read.token_losses(sample.little).ravel()
    found = []
    for neighbour in neighbours(read.program, read.shapes.widths, [tensor.shape for tensor in read.tensors]):
        losses = losses_of(neighbour.program, neighbour.tensors(read.tensors), sample.little)
        if losses is not None and sample.may_be_better(losses, own):
            found.append((float(losses.mean()), neighbour))
    return [neighbour for _, neighbour in sorted(found, key=lambda each: each[0])[:MOST_TRIED]]
