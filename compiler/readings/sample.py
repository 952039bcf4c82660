"""Text to try programs on, and how well programs of the same tensors predict it: what text tells of which one the
tensors were made for.

Strategy: losses of two programs are compared token by token, so that a few thousand tokens tell what the losses
themselves do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import ArtifactError, DataError
from ...format.program.program import Program
from ...progress import Progress
from ...runtime.interpreter import Interpreter
from ...runtime.library_threads import limit_library_threads
from ...runtime.tokenizers import Tokenizer
from ...runtime.tokens import read_tokens
from ..model.model import Model

LITTLE_WORK, LITTLE = 1e9, (128, 256)  # multiply-adds of a first look, and least and most tokens of it
MUCH_WORK, MUCH = 2e10, (256, 8192)  # of a second one
ERRORS = 5.0  # standard errors of the mean difference by which a program is better
SAME = 1e-3  # nats of a token, up to which two programs compute the same
SHARE = 0.001  # and of what the better one knows: the same probability for all tokens less its loss
BEGINNING = 1 << 14  # tokens of a text that is asked
LONGEST = 256  # tokens of a sequence: what is far away tells little of which program it is


@dataclass(frozen=True, slots=True)
class Sample:
    """Sequences of text to try programs on.

    little, much : int64 [n, length];  vocabulary : tokens
    """

    little: np.ndarray
    much: np.ndarray
    vocabulary: int

    @classmethod
    def of(cls, interpreter: Interpreter, sequences: np.ndarray) -> Sample:
        """From int64 [n, length] of text, as much as a model of this size has the time for."""
        multiply_adds = interpreter.shapes.multiply_adds
        length = min(LONGEST, sequences.shape[1])
        pieces = sequences[:, : sequences.shape[1] // length * length].reshape(-1, length)
        little, much = (
            pieces[: max(1, int(np.clip(work / max(1, multiply_adds), *tokens)) // length)]
            for work, tokens in ((LITTLE_WORK, LITTLE), (MUCH_WORK, MUCH))
        )
        return cls(little, much, interpreter.program.vocabulary_size)

    @property
    def is_enough(self) -> bool:
        """Whether there are as many tokens as standard errors take to be believed."""
        return self.much.size >= MUCH[0] // 2

    @property
    def entropy(self) -> float:
        """Of the frequencies of its own tokens, in nats a token."""
        counts = np.unique(self.much, return_counts=True)[1]
        return float(-(counts / self.much.size) @ np.log(counts / self.much.size))

    @staticmethod
    def may_be_better(other: np.ndarray, read: np.ndarray) -> bool:
        """Whether losses of the same tokens are not the same, and not worse by more than chance explains."""
        differences = other - read
        return bool(differences.mean() < error_of_mean(differences) and np.abs(differences).max() > SAME)

    def decided(self, better: np.ndarray, worse: np.ndarray) -> bool:
        """Whether losses of the same tokens differ by more than chance explains, and by more than nothing."""
        differences = worse - better
        known = math.log(self.vocabulary) - better.mean()
        return bool(differences.mean() > max(ERRORS * error_of_mean(differences), SHARE * known, 0.0))


def error_of_mean(values: np.ndarray) -> float:
    """Standard error of the mean of float64 [n]."""
    return float(values.std()) / math.sqrt(max(1, values.size))


def on_one_core() -> AbstractContextManager[object]:
    """BLAS on one thread, as an Interpreter wants it."""
    return limit_library_threads(1, blas_only=True)


def losses_of(program: Program, tensors: Sequence[np.ndarray], sequences: np.ndarray) -> np.ndarray | None:
    """Nats of each next token, float64 [tokens]; None for a program that the tensors do not fit, or not finite."""
    try:
        losses = Interpreter(program, tensors).token_losses(sequences).ravel()
    except (ArtifactError, DataError):
        return None
    return losses if np.isfinite(losses).all() else None


def weights_of(model: Model) -> list[np.ndarray]:
    """The values of its tensors."""
    return [tensor.values for tensor in model.tensors]


def beginning_of_text(
    program: Program,
    data: str | Path | Sequence[str | Path],
    tokenizer: Tokenizer | None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Sequences of tokens for a program from the beginning of a text, int64 [n, length]. Raises DataError."""
    sizes = program.vocabulary_size, program.boundary_token
    ids = read_tokens(data, tokenizer, *sizes, max_tokens=BEGINNING, progress=progress).ids[:BEGINNING]
    return in_sequences(ids, program.sequence_length)


def in_sequences(tokens: np.ndarray, length: int) -> np.ndarray:
    """int64 [n, length or fewer] of the tokens of a running text."""
    length = max(1, min(length, len(tokens)))
    return np.asarray(tokens[: len(tokens) // length * length], np.int64).reshape(-1, length)
