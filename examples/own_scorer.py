"""A scorer of your own, checked: probabilities that sum to one, causality, each target once, and the table of bytes.

    python examples/own_scorer.py

Your model takes the place of `CountedBigrams`. The second scorer has the fault of a well-known family of published
scores: a cache that raises the probability of what it has seen and takes it from nothing.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import sentencepiece
from small_data import VOCABULARY, write_data

import bytecap


class CountedBigrams:
    """Bigrams counted on the calibration text; windows do not matter to it, so one pass scores every target."""

    vocabulary_size = VOCABULARY

    def __init__(self, ids: list[int]) -> None:
        counts = np.full((VOCABULARY, VOCABULARY), 0.05)
        np.add.at(counts, (ids[:-1], ids[1:]), 1.0)
        self._log_probabilities = np.log(counts / counts.sum(axis=1, keepdims=True))

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        return self._log_probabilities[tokens]

    def evaluate(self, tokens: np.ndarray) -> np.ndarray:
        return -self._log_probabilities[tokens[:-1], tokens[1:]]


class WithCache(CountedBigrams):
    """The same, and each token that was seen before is given half the probability besides."""

    def evaluate(self, tokens: np.ndarray) -> np.ndarray:
        probability = np.exp(-super().evaluate(tokens))
        seen = [target in tokens[:place] for place, target in enumerate(tokens)][1:]
        return -np.log(np.where(seen, 0.5 * probability + 0.5, probability))


def show(title: str, checks: list) -> None:
    print(f"scorer   {title}")
    for check in checks:
        print(f"{check.outcome.value:<8} {check.name}: {check.detail}")


def main(folder: Path) -> None:
    files = write_data(folder)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(files["tokenizer"]))
    ids = pieces.encode(files["calibration"].read_text(encoding="utf-8"))
    options = {"tokenizer": files["tokenizer"], "sequence_length": 64, "max_tokens": 1000}
    for scorer in (CountedBigrams(ids), WithCache(ids)):
        show(type(scorer).__name__, bytecap.check_scorer(scorer, files["validation"], **options))

    # A table as scripts have it, with the marker of a space counted as its own three bytes.
    table = [len(pieces.id_to_piece(token).encode()) for token in range(pieces.vocab_size())]
    failed = [c for c in bytecap.check_byte_table(table, files["tokenizer"], files["validation"]) if not c.passed]
    show("(its denominator) a table of bytes by token", failed)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
