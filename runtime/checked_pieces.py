"""Whether a tokenizer's pieces are what the tokens of some data stand for.

Strategy: before a score is told, what can contradict the table of bytes does so: tokens without a piece, the decoded
text of every document that is scored, and text that lacks the case operators that its vocabulary reads.
"""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from .scoring import target_count
from .tokenizers import ByteTable, Tokenizer
from .tokens import NO_TOKEN, Tokens

CASE_OPERATORS = "\ue001\ue002\ue003\ue004"


def refuse_untransformed_text(tokenizer: Tokenizer, tokens: Tokens) -> None:
    """A vocabulary of case operators reads text that was rewritten with them before."""
    if tokens.text is not None and has_case_operators(tokenizer):
        raise DataError(
            f"{tokenizer.source} has pieces for case operators (CaseOps), and {tokens.source} is text without them; "
            "give the token shards and the counts of bytes that were written with them"
        )


def has_case_operators(tokenizer: Tokenizer) -> bool:
    """Whether the operators are pieces and no word has capitals: large vocabularies hold these characters, too."""
    texts = tokenizer.pieces.texts
    operators = {operator.encode() for operator in CASE_OPERATORS}
    return operators & set(texts) != set() and not any(len(text) > 1 and text != text.lower() for text in texts)


def checked_byte_table(
    tokenizer: Tokenizer,
    tokens: Tokens,
    sequence_length: int,
    max_tokens: int | None = None,
    vocabulary_size: int = 0,
    boundary_token: int = NO_TOKEN,
) -> ByteTable:
    """The tokenizer's byte table with rows up to the vocabulary, checked against the text of every document that the
    scored targets touch.

    Raises DataError when the tokens give no sequence of `sequence_length`, hold an id that has no piece, or their text
    contradicts the table.
    """
    byte_table = tokenizer.byte_table().padded(vocabulary_size)
    scored = target_count(tokens, sequence_length, max_tokens) + 1
    _refuse_tokens_without_piece(tokenizer, tokens, scored, boundary_token)
    beyond = np.flatnonzero(byte_table.boundary[tokens.ids[scored:]])
    end = scored + int(beyond[0]) if beyond.size else len(tokens.ids)
    ids = np.asarray(tokens.ids[:end])
    tokenizer.check_decoding(ids[ids < tokenizer.vocabulary_size], tokens.source)
    return byte_table


def _refuse_tokens_without_piece(tokenizer: Tokenizer, tokens: Tokens, scored: int, boundary_token: int) -> None:
    ids = tokens.ids[:scored]
    places = np.flatnonzero((ids >= tokenizer.vocabulary_size) & (ids != boundary_token))
    if places.size:
        raise DataError(
            f"{tokens.source}: token {int(places[0]):,} has the id {int(ids[places[0]])}, and {tokenizer.source} has "
            f"only {tokenizer.vocabulary_size:,} pieces; give the tokenizer that the tokens were made with"
        )
