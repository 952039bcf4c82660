"""Slow, obvious twins of the byte table and the scorer: one target at a time, text by text, no arrays."""

from __future__ import annotations

import math

import numpy as np

from bytecap.runtime.tokenizers import SentencepieceTokenizer


class BigramModel:
    """A language model that sees one token back; `logits` float64 [vocabulary, vocabulary]. Counts its calls."""

    def __init__(self, vocabulary_size: int, seed: int = 0) -> None:
        self.logits = np.random.default_rng(seed).normal(size=(vocabulary_size, vocabulary_size))
        self.calls: list[tuple[int, ...]] = []

    def token_losses(self, tokens: np.ndarray) -> np.ndarray:
        self.calls.append(tokens.shape)
        rows = self.logits[tokens[:, :-1]]
        chosen = np.take_along_axis(rows, tokens[:, 1:, None], axis=2)[..., 0]
        return np.log(np.exp(rows).sum(axis=2)) - chosen

    def loss(self, previous: int, target: int) -> float:
        row = self.logits[previous]
        return math.log(math.fsum(math.exp(value) for value in row)) - row[target]


class PositionModel:
    """Not a model of text: the loss of a target is its token id plus 1000 times its position in the window."""

    def token_losses(self, tokens: np.ndarray) -> np.ndarray:
        return tokens[:, 1:] + 1000.0 * np.arange(tokens.shape[1] - 1)


def naive_target_bytes(tokenizer: SentencepieceTokenizer, previous: int, target: int) -> int:
    """Design section 6, word by word, for one target."""
    if tokenizer.is_boundary(target):
        return 0
    if tokenizer.is_byte(target):
        return 1
    text = tokenizer.piece(target).replace("\u2581", " ")
    if text.startswith(" ") and tokenizer.is_boundary(previous):
        text = text[1:]
    return len(text.encode())


def naive_window_of_target(target: int, sequence_length: int, stride: int) -> int:
    """Start of the one window that scores a target: the first in which it is among the scored."""
    if target < sequence_length:
        return 0
    return ((target - sequence_length) // stride + 1) * stride
