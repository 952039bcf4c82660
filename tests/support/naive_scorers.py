"""Scorers as other people bring them: a good one over a bigram model, and one for each known fault."""

from __future__ import annotations

import numpy as np
from naive_scoring import BigramModel

VOCABULARY = 40


class GoodScorer:
    """A bigram model with everything that the protocol knows; its own windows are `stride` wide behind the first."""

    vocabulary_size = VOCABULARY

    def __init__(self, sequence_length: int = 16, stride: int = 4) -> None:
        self.model = BigramModel(VOCABULARY)
        self.sequence_length, self.stride = sequence_length, stride

    def logits(self, tokens):
        return self.model.logits[tokens]

    def token_losses(self, tokens):
        return self.model.token_losses(tokens)

    def evaluate(self, tokens):
        return self.token_losses(tokens[None])[0]


class OnlyLogits:
    """A training script's model: logits and nothing else."""

    vocabulary_size = VOCABULARY

    def logits(self, tokens):
        return BigramModel(VOCABULARY).logits[tokens].astype(np.float32)


class OnlyLogProbabilities(OnlyLogits):
    """As the distribution itself, which `excess` makes too large."""

    excess = 0.0

    def log_probabilities(self, tokens):
        rows = OnlyLogits.logits(self, tokens).astype(np.float64)
        return rows - np.log(np.exp(rows).sum(axis=-1, keepdims=True)) + self.excess

    logits = None


class CacheScorer(GoodScorer):
    """A cache that lifts whichever token was asked for, so that all together have a probability beyond 1."""

    def token_losses(self, tokens):
        probability = np.exp(-super().token_losses(tokens))
        return -np.log(0.5 * probability + 0.5 * 0.9)


class OtherLogits(GoodScorer):
    """Its losses are of another temperature than its logits."""

    def logits(self, tokens):
        return 0.5 * super().logits(tokens)


class PeekingScorer(GoodScorer):
    """A loss that hangs on the token after the target, as when targets are shifted by one too few."""

    def token_losses(self, tokens):
        losses = super().token_losses(tokens)
        losses[:, :-1] += 0.01 * tokens[:, 2:]
        return losses


class LengthScorer(GoodScorer):
    """A loss that hangs on how many tokens follow: something is normalized along the sequence."""

    def token_losses(self, tokens):
        return super().token_losses(tokens) + 0.01 * tokens.shape[1]


class BatchScorer(GoodScorer):
    """Something is normalized over the batch."""

    def token_losses(self, tokens):
        losses = super().token_losses(tokens)
        return losses + 0.1 * losses.mean() - 0.1 * losses.mean(axis=1, keepdims=True)


class LearningScorer(GoodScorer):
    """Learns from each call."""

    seen = 0

    def token_losses(self, tokens):
        self.seen += 1
        return super().token_losses(tokens) * (1 + 0.1 * self.seen)


class ForgettingScorer(LearningScorer):
    """Learns from each call, and can forget."""

    def reset(self):
        self.seen = 0


class LastWindowsAgain(GoodScorer):
    """Windows begin up to the very end, and each scores its last `stride` targets; says which, or only how many."""

    says = "positions"

    def evaluate(self, tokens):
        nats, positions, losses = 0.0, [], []
        count = len(tokens) - 1
        for start in range(0, count, self.stride):
            stop = min(start + self.sequence_length, count)
            skip = 0 if start == 0 else max(0, stop - start - self.stride)
            found = self.token_losses(tokens[None, start : stop + 1])[0, skip:]
            nats += found.sum()
            positions += range(start + skip + 1, stop + 1)
            losses += found.tolist()
        if self.says == "positions":
            return {"positions": positions, "losses": losses}
        return {"nats": nats, "targets": len(positions)}


class LastWindowsCounted(LastWindowsAgain):
    """The same, and only the count is told."""

    says = "count"


class WholeWindows(GoodScorer):
    """Leaves out the targets behind the last whole window, as the public challenge does."""

    def evaluate(self, tokens):
        count = (len(tokens) - 1) // self.sequence_length * self.sequence_length
        return {"nats": self.token_losses(tokens[None, : count + 1]).sum(), "targets": count}


class CachingEvaluation(GoodScorer):
    """Its `evaluate` lifts the probability of every token that it has seen, and takes it from none."""

    def evaluate(self, tokens):
        probability = np.exp(-self.token_losses(tokens[None])[0])
        seen = np.array([token in tokens[:place] for place, token in enumerate(tokens)])[1:]
        return -np.log(np.where(seen, 0.5 * probability + 0.4, probability))


class FittingEvaluation(GoodScorer):
    """Its `evaluate` fits a temperature to all tokens before it scores the first."""

    def evaluate(self, tokens):
        losses = self.token_losses(tokens[None])[0]
        return losses - 0.1 * losses.mean()
