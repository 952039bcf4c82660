"""Which tokens are related, as their pieces tell: tables with one row a token may let related rows
share what they store.

Strategy: relations come from the pieces alone (Vocabulary Compression, arXiv:2411.06371, groups tokens
by their merges). Two are made: pieces that are one text but for case and the space before it, and
pieces whose chains of longest prefixes in the vocabulary, which for byte-pair merges are mostly their
left parts, begin with the same piece. Pieces of raw bytes and boundaries are groups of their own.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...runtime.tokenizer import SPACE, Tokenizer


def token_groupings(tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    """int64[vocabulary] group of each token, numbered from 0, by the name of the grouping."""
    tokens = range(tokenizer.vocabulary_size)
    apart = [tokenizer.is_byte(token) or tokenizer.is_boundary(token) for token in tokens]
    pieces = [tokenizer.piece(token) for token in tokens]
    spellings = [(token,) if apart[token] else pieces[token].removeprefix(SPACE).lower() for token in tokens]
    known = {piece: token for token, piece in enumerate(pieces) if not apart[token]}
    return {
        "spelling": _numbered(spellings),
        "first-piece": _numbered([_first_piece(pieces[t], known, t) for t in tokens]),
    }


def _first_piece(piece: str, known: dict[str, int], token: int) -> int:
    """The token at the end of a chain of longest proper prefixes that are tokens."""
    while known.get(piece) == token:
        shorter = next((piece[:length] for length in range(len(piece) - 1, 0, -1) if piece[:length] in known), None)
        if shorter is None:
            break
        piece, token = shorter, known[shorter]
    return token


def _numbered(keys: Iterable) -> np.ndarray:
    """int64: the keys as numbers in the order of their first occurrence."""
    numbers: dict = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
