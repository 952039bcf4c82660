"""Related tokens: what the pieces of a vocabulary have in common."""

from __future__ import annotations

import numpy as np
from tiny_tokenizers import tiny_tokenizer

from bytecap.compiler.model.related_tokens import token_groupings

SPACE = "\u2581"


def test_pieces_of_one_text_share_a_group_and_bytes_are_alone() -> None:
    tokenizer = tiny_tokenizer()
    labels = token_groupings(tokenizer)["spelling"]
    for token, other in np.ndindex(len(labels), len(labels)):
        apart = any(tokenizer.is_byte(t) or tokenizer.is_boundary(t) for t in (token, other))
        texts = [tokenizer.piece(t).removeprefix(SPACE).lower() for t in (token, other)]
        assert (labels[token] == labels[other]) == (token == other or (not apart and texts[0] == texts[1]))


def test_the_first_piece_starts_every_piece_of_its_group() -> None:
    tokenizer = tiny_tokenizer()
    labels = token_groupings(tokenizer)["first-piece"]
    assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1)) and labels.max() + 1 < len(labels)
    for group in range(labels.max() + 1):
        pieces = sorted((tokenizer.piece(int(t)) for t in np.flatnonzero(labels == group)), key=len)
        assert all(piece.startswith(pieces[0]) for piece in pieces)
