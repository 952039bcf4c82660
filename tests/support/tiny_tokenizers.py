"""Small sentencepiece models for the tests, trained once a session from generated text."""

from __future__ import annotations

import io
import random
from functools import cache

import sentencepiece

from bytecap.runtime.tokenizers import SentencepieceTokenizer

COMMON = {
    "model_type": "bpe",
    "pad_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "unk_id": 3,
    "add_dummy_prefix": False,
    "minloglevel": 2,
    "num_threads": 1,
}
KINDS = {
    "bytes": {"vocab_size": 420, "byte_fallback": True, "character_coverage": 1.0},  # as the challenge's
    "unknowns": {"vocab_size": 120, "byte_fallback": False},  # what it cannot spell is lost
    "spaceless": {"vocab_size": 320, "byte_fallback": True},  # trained without a space: no piece for the bare U+2581
    "spaces": {  # keeps white space as it is and has pieces of several spaces
        "vocab_size": 400,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "split_by_whitespace": False,
    },
    "prefixed": {"vocab_size": 420, "byte_fallback": True, "add_dummy_prefix": True},  # sentencepiece's default
    "symbols": {
        "vocab_size": 420,
        "byte_fallback": True,
        "user_defined_symbols": ["<doc>", "of the"],
        "control_symbols": ["<cut>"],
    },
}


def words(seed: int, count: int, letters: str = "abcdefghijklmnop") -> list[str]:
    """Made-up words, short ones more often, as in a language."""
    rng = random.Random(seed)
    vocabulary = ["".join(rng.choices(letters, k=rng.randint(1, 7))) for _ in range(200)]
    return rng.choices(vocabulary, weights=[1 / (rank + 1) for rank in range(200)], k=count)


@cache
def sentences(count: int) -> tuple[list[str], ...]:
    """What the vocabularies of the tests are trained on."""
    return tuple(words(seed, 12) for seed in range(count))


@cache
def model_bytes(kind: str = "bytes") -> bytes:
    """A trained .model file of one of KINDS."""
    model = io.BytesIO()
    joined = "" if kind == "spaceless" else "    " if kind == "spaces" else " "
    lines = [joined.join(sentence) for sentence in sentences(300)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, **{**COMMON, **KINDS[kind]}
    )
    return model.getvalue()


@cache
def tiny_tokenizer(kind: str = "bytes") -> SentencepieceTokenizer:
    """The tokenizer of one of KINDS."""
    return SentencepieceTokenizer(sentencepiece.SentencePieceProcessor(model_proto=model_bytes(kind)), f"{kind}.model")
