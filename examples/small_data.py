"""Text, a tokenizer and token shards for the examples: made in a moment, from nothing that is downloaded."""

from __future__ import annotations

import random
from pathlib import Path

import sentencepiece

VOCABULARY = 420
NAMES = "ada bo carl dina eve finn gus hana ivo jo".split()
VERBS = "sees calls meets helps asks tells follows forgets".split()
THINGS = "the house a bird the sea old letters two boats a song the road".split()


def text(seed: int, sentences: int) -> str:
    """Sentences of a tiny language; the same for the same seed."""
    chosen = random.Random(seed)
    lines = (
        f"{chosen.choice(NAMES)} {chosen.choice(VERBS)} {' '.join(chosen.choices(THINGS, k=3))}."
        for _ in range(sentences)
    )
    return "\n".join(lines)


def write_data(folder: Path) -> dict[str, Path]:
    """`tokenizer`, `calibration` and `validation` in `folder`; the two texts have no sentence of the other's seed."""
    paths = {"calibration": folder / "calibration.txt", "validation": folder / "validation.txt"}
    paths["calibration"].write_text(text(seed=1, sentences=2500), encoding="utf-8")
    paths["validation"].write_text(text(seed=2, sentences=250), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(paths["calibration"]),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=VOCABULARY,
        model_type="bpe",
        byte_fallback=True,
        add_dummy_prefix=False,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return {**paths, "tokenizer": folder / "tokenizer.model"}
