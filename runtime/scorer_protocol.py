"""What somebody else's scorer must offer to be checked, and one view of the forms in which scorers offer it.

Strategy: few methods with the shapes that training scripts have; whichever exist are used. A scorer is a Python object
that the caller made: nothing is looked up, imported or loaded here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import DataError

READERS = ("token_losses", "log_probabilities", "logits")


class Scorer(Protocol):
    """A scorer to be checked: `vocabulary_size`, at least one of the three that read, and what else it has.

    The three may return anything that `numpy.asarray` takes; a torch tensor on the CPU does. Only the methods that a
    scorer has are called; `reset` before each question, so that what a scorer learns on the way is no fault.
    """

    vocabulary_size: int

    def logits(self, tokens: np.ndarray) -> np.ndarray:
        """int64 [batch, length] -> [batch, length, vocabulary]: of which a softmax over all gives probabilities."""

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """int64 [batch, length] -> nats [batch, length, vocabulary]: of each token as the next one."""

    def token_losses(self, tokens: np.ndarray) -> np.ndarray:
        """int64 [batch, length + 1] -> nats [batch, length]: entry t is -ln p(tokens[t + 1] | tokens[0..t])."""

    def evaluate(self, tokens: np.ndarray) -> Any:
        """int64 [n] -> how the scorer itself scores a stretch of tokens, with its own windows.

        Either its losses in nats by target, [n - 1] in order; or a mapping with any of `nats` (their sum), `targets`
        (how many were scored), `losses` [m] and `positions` [m] (index in `tokens` of each target, 1 to n - 1).
        """

    def reset(self) -> None:
        """Forget everything that was read."""


@dataclass(frozen=True, slots=True, eq=False)
class OwnScore:
    """What a scorer's `evaluate` said; None where it did not.

    nats : float; targets : int; losses : float64 [m]; positions : int64 [m]
    """

    nats: float | None
    targets: int | None
    losses: np.ndarray | None
    positions: np.ndarray | None


class ScorerView:
    """A scorer through the methods that it has; DataError for one that has none, or returns other shapes."""

    def __init__(self, scorer: Any) -> None:
        size = getattr(scorer, "vocabulary_size", None)
        self._scorer, self.name = scorer, type(scorer).__name__
        self.has = tuple(name for name in READERS if callable(getattr(scorer, name, None)))
        self.evaluates = callable(getattr(scorer, "evaluate", None))
        self.resets = callable(getattr(scorer, "reset", None))
        if not isinstance(size, int | np.integer) or size < 2:
            raise DataError(f"{self.name} has no vocabulary_size, a whole number of at least 2; it is {size!r}")
        if not self.has:
            raise DataError(f"{self.name} has none of {', '.join(READERS)}; give it one of them")
        self.vocabulary_size = int(size)

    def begin(self) -> None:
        """Make the scorer forget, where it can."""
        if self.resets:
            self._scorer.reset()

    def read(self, name: str, tokens: np.ndarray) -> np.ndarray:
        """float64 result of one of READERS for int64 [batch, length] (of token_losses [batch, length + 1])."""
        tokens = np.ascontiguousarray(tokens, np.int64)
        found = np.asarray(getattr(self._scorer, name)(tokens), dtype=np.float64)
        length = tokens.shape[1] - (name == "token_losses")
        shape = (tokens.shape[0], length, *(() if name == "token_losses" else (self.vocabulary_size,)))
        if found.shape != shape:
            raise DataError(f"{self.name}.{name} gave {list(found.shape)} for tokens {list(tokens.shape)}, not {shape}")
        return found

    def outputs(self, tokens: np.ndarray) -> np.ndarray:
        """What the first method of the scorer says at each place of int64 [batch, length + 1], afresh: losses
        [batch, length], or log probabilities [batch, length, vocabulary] of each next token.
        """
        self.begin()
        name = self.has[0]
        found = self.read(name, tokens if name == "token_losses" else tokens[:, :-1])
        return log_softmax(found) if name == "logits" else found

    def token_losses(self, tokens: np.ndarray) -> np.ndarray:
        """nats [batch, length] for int64 [batch, length + 1], by whichever method there is."""
        if "token_losses" in self.has:
            return self.read("token_losses", tokens)
        name = self.has[0]
        found = self.read(name, tokens[:, :-1])
        found = log_softmax(found) if name == "logits" else found
        return -np.take_along_axis(found, np.asarray(tokens)[:, 1:, None], axis=2)[..., 0]

    def evaluate(self, tokens: np.ndarray) -> OwnScore:
        """What the scorer says of a stretch of tokens, from a clean state."""
        self.begin()
        found = self._scorer.evaluate(np.ascontiguousarray(tokens, np.int64))
        if not isinstance(found, Mapping):
            found = {"losses": found}
        losses, positions = (
            None if found.get(name) is None else np.asarray(found[name]) for name in ("losses", "positions")
        )
        nats, targets = found.get("nats"), found.get("targets")
        if losses is not None:
            losses = losses.astype(np.float64).reshape(-1)
            nats = float(losses.sum()) if nats is None else nats
            targets = len(losses) if targets is None else targets
        if nats is None and positions is None:
            raise DataError(f"{self.name}.evaluate gave neither losses nor nats; return one of them")
        if positions is not None:
            positions = positions.astype(np.int64).reshape(-1)
        return OwnScore(
            None if nats is None else float(nats), None if targets is None else int(targets), losses, positions
        )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """float64 log probabilities along the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
