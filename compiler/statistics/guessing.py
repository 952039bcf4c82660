"""How a model compares with guessing: what its predictions know, and whether they are right, which tells a checkpoint
that was read as another model, or text of another tokenizer.

Strategy: both are by-products of calibration. A loss counts as worse than guessing only when it is so by more than its
standard error explains, since untrained models guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ERRORS = 3.0  # standard errors by which a loss is beyond that of guessing


@dataclass(frozen=True, slots=True)
class Guessing:
    """In nats a token. entropy : of the model's predictions
    loss : of the text's own tokens, in the first batch, and its standard error;  vocabulary : tokens
    """

    entropy: float
    loss: float
    loss_error: float
    vocabulary: int

    @classmethod
    def of_sums(cls, entropy: float, tokens: int, loss: float, squares: float, count: int, vocabulary: int) -> Guessing:
        """From the summed entropy of so many predictions, and from the loss of `count` of the text's tokens, summed and
        squared and summed.
        """
        mean = loss / count if count else 0.0
        variance = max(0.0, squares / count - mean**2) if count else 0.0
        return cls(entropy / tokens, mean, math.sqrt(variance / max(1, count - 1)), vocabulary)

    @property
    def uniform(self) -> float:
        """Loss of the same probability for every token."""
        return math.log(self.vocabulary)

    @property
    def known(self) -> float:
        """What the same probability for every token costs more than the model's own predictions."""
        return max(0.0, self.uniform - self.entropy)

    def notes(self) -> list[str]:
        """What is to be said of a model that guesses worse than it would by the same probability for every token."""
        if not self.loss - ERRORS * self.loss_error > self.uniform:
            return []
        bits, even = (nats / math.log(2) for nats in (self.loss, self.uniform))
        return [
            f"worse than guessing on the calibration text: {bits:.2f} bits a token, where the same probability for "
            f"each of {self.vocabulary:,} tokens gives {even:.2f}; probably another architecture or tokenizer"
        ]
