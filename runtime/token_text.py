"""Which text each token stands for: bytes of the user's own text, words that begin, and bytes that the tokenizer hides.

Strategy: for a text the denominator is the text itself. Where the tokens' bytes, joined, are exactly the document, each
token has its own. Where they are not (a tokenizer that normalizes, or lacks a character), each token gets the stretch
of the document that it came from, so that the sum is still the document's length, and the bytes under tokens that do
not spell them are counted as hidden. For shards only the pieces are at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .tokenizers import ByteTable, Tokenizer
from .tokenizers.stretches import CONTINUATIONS

WHITE_SPACE = np.array([chr(point).isspace() for point in range(0x3002)])  # where str.split() cuts; nowhere beyond
WORD_BLOCK = 1 << 20  # tokens
LONE_BYTES = (0xDC80, 0xDCFF)  # where surrogateescape puts bytes that are no character


@dataclass(frozen=True, slots=True, eq=False)
class TokenText:
    """Of each of n tokens:

    bytes : int32 [n]           bytes of text; 0 for a token that stands for none
    words : int32 [n] or None   words of white-space-separated text that begin under it; None where that is not known
    hidden : int32 [n]          of the bytes those that the token does not spell, so that no model predicts them
    unknown : bool [n]          it is the unknown piece
    """

    bytes: np.ndarray
    words: np.ndarray | None
    hidden: np.ndarray
    unknown: np.ndarray

    @classmethod
    def of_counts(cls, counts: np.ndarray) -> TokenText:
        """Where only the number of bytes is known, int32 [n]."""
        return cls(counts, None, np.zeros(len(counts), dtype=np.int32), np.zeros(len(counts), dtype=bool))

    def part(self, start: int, stop: int | None = None) -> TokenText:
        """Of some of the tokens."""
        words = None if self.words is None else self.words[start:stop]
        return TokenText(self.bytes[start:stop], words, self.hidden[start:stop], self.unknown[start:stop])

    @classmethod
    def joined(cls, parts: Sequence[TokenText]) -> TokenText:
        """One after the other."""
        words = [part.words for part in parts if part.words is not None]
        return cls(
            np.concatenate([part.bytes for part in parts]),
            np.concatenate(words) if len(words) == len(parts) else None,
            np.concatenate([part.hidden for part in parts]),
            np.concatenate([part.unknown for part in parts]),
        )


def encode_with_text(tokenizer: Tokenizer, document: str) -> tuple[list[int], TokenText]:
    """Token ids of a document and what each stands for; the bytes add up to the document's, however it is encoded."""
    data = document.encode()
    ids = tokenizer.encode_document(document)
    pieces = tokenizer.pieces
    texts = [pieces.texts[token] for token in ids]
    joined = b"".join(texts)
    own = np.array([len(text) for text in texts], dtype=np.int32)
    hidden = np.zeros(len(ids), dtype=np.int32)
    if joined != data:
        if ids and pieces.leading_space[ids[0]] and joined[1:] == data:
            own[0] -= 1
        else:
            ids, own, hidden = _by_stretches(tokenizer, document, data)
    return ids, TokenText(own, words_by_token(document, own), hidden, pieces.unknown[ids])


def _by_stretches(tokenizer: Tokenizer, document: str, data: bytes) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Ids, bytes and hidden bytes of a document that its tokens do not spell exactly."""
    ids, spans = tokenizer.encode_spans(document)
    own, hidden = np.zeros((2, len(ids)), dtype=np.int32)
    texts, spaced = tokenizer.pieces.texts, tokenizer.pieces.leading_space
    done = 0
    for first, last, stop in _groups(spans, len(data)):
        pieces, stretch = [texts[token] for token in ids[first:last]], data[done:stop]
        if first == 0 and spaced[ids[0]] and b"".join(pieces)[1:] == stretch:
            pieces[0] = pieces[0][1:]
        if b"".join(pieces) == stretch:
            own[first:last] = [len(piece) for piece in pieces]
        else:
            own[last - 1], hidden[last - 1] = stop - done, _differing(b"".join(pieces), stretch)
        done = stop
    return ids, own, hidden


def _differing(spelled: bytes, own: bytes) -> int:
    """Bytes of `own` between what it begins and what it ends with in common with `spelled`."""
    shorter = min(len(spelled), len(own))
    front = next((n for n in range(shorter) if spelled[n] != own[n]), shorter)
    back = next((n for n in range(shorter - front) if spelled[-1 - n] != own[-1 - n]), shorter - front)
    return len(own) - front - back


def _groups(spans: Sequence[tuple[int, int]], size: int) -> list[tuple[int, int, int]]:
    """(first token, token behind the last, end of its bytes) of tokens that spell a stretch of text together.

    Tokens whose stretches overlap or are empty belong to one group, as the bytes of one character do. What lies between
    two groups belongs to the later one, what is left at the end to the last.
    """
    groups: list[tuple[int, int, int]] = []
    first = end = done = 0
    for index, (start, stop) in enumerate(spans):
        if end > done and start >= end:
            groups.append((first, index, end))
            first, done = index, end
        end = max(end, stop)
    if spans:
        groups.append((first, len(spans), size))
    return groups


def text_of_ids(tokenizer: Tokenizer, table: ByteTable, ids: np.ndarray, *, words: bool = True) -> TokenText:
    """What the tokens of a shard stand for, as far as pieces tell; the text of unknown pieces counts no bytes."""
    before = np.concatenate((ids[:1], ids))
    own = table.target_bytes(before).astype(np.int32)
    if ids.size and not table.boundary[ids[0]]:  # cut out of a text, or its beginning: as if after a boundary
        own[0] = table.base_bytes[ids[0]]
    counted = _words_of_ids(tokenizer, ids, own) if words else None
    return TokenText(own, counted, np.zeros(len(own), dtype=np.int32), table.unknown[ids])


def _words_of_ids(tokenizer: Tokenizer, ids: np.ndarray, own: np.ndarray) -> np.ndarray:
    """int32 [n]: words that begin under each token of so many bytes; in blocks, since the pieces are Python objects."""
    texts, size = tokenizer.pieces.texts, tokenizer.vocabulary_size
    counted = np.zeros(len(ids), dtype=np.int32)
    start, inside = 0, False  # inside a word that began before
    while start < len(ids):
        stop = min(start + WORD_BLOCK, len(ids))
        while stop < len(ids) and ids[stop] < size and texts[ids[stop]][:1] in CONTINUATIONS:
            stop += 1  # a character is not cut
        pairs = zip(ids[start:stop].tolist(), own[start:stop].tolist(), strict=True)
        document = b"".join(texts[token][-count:] for token, count in pairs if count and token < size)
        text = document.decode("utf-8", "surrogateescape")
        block = own[start:stop].astype(np.int64)
        block[0] += inside
        counted[start:stop] = words_by_token("x" * inside + text, block)
        counted[start] -= inside
        inside = not text[-1].isspace() if text else inside
        start = stop
    return counted


def words_by_token(document: str, own: np.ndarray) -> np.ndarray:
    """int32 [n]: words of `document`, as str.split() cuts it, that begin under each token of so many bytes [n]."""
    points = np.frombuffer(document.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    if not points.size or not own.size:
        return np.zeros(len(own), dtype=np.int32)
    lone = (points >= LONE_BYTES[0]) & (points <= LONE_BYTES[1])
    widths = np.where(lone, 1, 1 + (points >= 0x80).astype(np.int64) + (points >= 0x800) + (points >= 0x10000))
    space = WHITE_SPACE[np.minimum(points, len(WHITE_SPACE) - 1)]
    begins = ~space & np.concatenate(([True], space[:-1]))
    places = (np.cumsum(widths) - widths)[begins]
    tokens = np.searchsorted(np.cumsum(own, dtype=np.int64), places, side="right")
    return np.bincount(np.minimum(tokens, len(own) - 1), minlength=len(own)).astype(np.int32)
