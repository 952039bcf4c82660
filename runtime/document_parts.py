"""Documents of any length as tokens: a long one is encoded in windows that overlap, joined where they agree.

Strategy: an encoder's memory is a hundred times the text, so no more than a window of text is given to it at once. What
a token is depends on the text near it, and near the ends of a window there is text that the window does not show. So
each window begins in the last one's end, and the tokens go over from one to the other at a place where both have cut
the same tokens out of the same text for a stretch before it and behind it. Where no such place is, the windows grow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import DataError
from .token_text import TokenText, encode_with_text
from .tokenizers import Tokenizer

CHARACTERS_PER_TOKEN = 8  # about twice what a token of text has; where that gives too few tokens, twice as much
CUT_TOKENS = 64  # at the end of a text that was cut, which may be other tokens than in the whole
WINDOW = 1 << 20  # characters that are encoded at once, mostly
OVERLAP = 1 << 13  # characters of a window that the next one begins with
AGREEING = 48  # tokens on both sides of a place where windows are joined


class DocumentText:
    """The text of one document, of which no more is in memory than was looked at and not dropped."""

    def __init__(self, parts: Iterable[str]) -> None:
        self._parts, self._text, self._place = iter(parts), "", 0

    def peek(self, size: int, start: int = 0) -> str:
        """Up to `size` characters from the start-th on; fewer where the document ends."""
        wanted, found = self._place + start + size, [self._text]
        length = len(self._text)
        while length < wanted and (part := next(self._parts, None)) is not None:
            found.append(part)
            length += len(part)
        if len(found) > 1:
            found[0] = self._text[self._place :]
            self._text, self._place = "".join(found), 0
        return self._text[self._place + start : self._place + start + size]

    def is_longer(self, size: int) -> bool:
        """Whether there are more than so many characters."""
        return bool(self.peek(1, size))

    def drop(self, size: int) -> None:
        """Go on behind the first `size` characters."""
        self._place += size


def encode_parts(
    tokenizer: Tokenizer,
    parts: Iterable[str],
    most: int | None = None,
    encoded: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, TokenText] | None:
    """int32 tokens of a document whose text comes in parts, and what each stands for; None for a document without text.

    most : so many are enough; of a long document only the beginning is read, which has them and CUT_TOKENS more
    encoded : hears of how many tokens there are more, each time

    A document that is hardly longer than WINDOW is encoded in one piece. Beyond, tokens are joined from windows that
    agree in AGREEING tokens on both sides of each joint: the same, unless what a token is depends on text further away.
    Raises DataError for text that the tokenizer cannot spell, and for a tokenizer of which no windows agree.
    """
    text = DocumentText(parts)
    if not text.is_longer(0):
        return None
    beginning = None if most is None else _beginning(tokenizer, text, most)
    if beginning is not None:
        if encoded is not None:
            encoded(len(beginning.ids))
        return beginning.ids, beginning.text
    found: list[_Window] = []
    for window in _joined_windows(tokenizer, text):
        found.append(window)
        if encoded is not None:
            encoded(len(window.ids))
        if most is not None and sum(len(each.ids) for each in found) >= most + CUT_TOKENS:
            break
    return np.concatenate([each.ids for each in found]), TokenText.joined([each.text for each in found])


@dataclass(frozen=True, eq=False)
class _Window:
    """Tokens of a stretch of text, int32 [n], and what each stands for."""

    ids: np.ndarray
    text: TokenText

    @classmethod
    def of(cls, tokenizer: Tokenizer, document: str) -> _Window:
        ids, text = encode_with_text(tokenizer, document)
        return cls(np.array(ids, dtype=np.int32), text)

    @cached_property
    def starts(self) -> np.ndarray:
        """int64 [n]: the byte at which each token begins."""
        sizes = self.text.bytes.astype(np.int64)
        return np.cumsum(sizes) - sizes

    def part(self, start: int, stop: int | None = None) -> _Window:
        """Some of the tokens."""
        return _Window(self.ids[start:stop], self.text.part(start, stop))


def _beginning(tokenizer: Tokenizer, text: DocumentText, most: int) -> _Window | None:
    """Of a document at least `most` tokens and CUT_TOKENS, or all of it; None where that takes more than a window."""
    size = CHARACTERS_PER_TOKEN * (most + CUT_TOKENS)
    while size <= WINDOW + OVERLAP:
        if not text.is_longer(size):
            return _Window.of(tokenizer, text.peek(size))
        shown = text.peek(size)
        place = max(shown.rfind("\n"), shown.rfind(" "))
        found = _Window.of(tokenizer, shown[: place if place > 0 else size])
        if len(found.ids) >= most + CUT_TOKENS:
            return found
        size *= 2
    return None


def _joined_windows(tokenizer: Tokenizer, text: DocumentText) -> Iterator[_Window]:
    """The tokens of a document, stretch by stretch."""
    size, first = WINDOW, 0  # where the next window begins, and the first token that the one before does not have
    window = _Window.of(tokenizer, text.peek(size + OVERLAP))
    while text.is_longer(size + OVERLAP):
        following = _Window.of(tokenizer, text.peek(WINDOW + OVERLAP, size))
        joint = _joint(window, following, len(text.peek(size).encode()))
        if joint is None:
            begun, size = int(window.starts[first]), 2 * size
            window = _Window.of(tokenizer, text.peek(size + OVERLAP))
            first = _token_at(window, begun, tokenizer)
            continue
        yield window.part(first, joint[0])
        text.drop(size)
        size, window, first = WINDOW, following, joint[1]
    yield window.part(first)


def _joint(window: _Window, following: _Window, offset: int) -> tuple[int, int] | None:
    """The token before which a window is left, and that with which the following one, which begins `offset` bytes
    later, goes on; None where they nowhere agree in AGREEING tokens on both sides.
    """
    behind = int(np.searchsorted(window.starts, offset))
    _, left, right = np.intersect1d(window.starts[behind:], following.starts + offset, return_indices=True)
    for i, j in zip((left + behind).tolist(), right.tolist(), strict=True):
        if min(i, j) < AGREEING or min(len(window.ids) - i, len(following.ids) - j) < AGREEING:
            continue
        here, there = slice(i - AGREEING, i + AGREEING), slice(j - AGREEING, j + AGREEING)
        if np.array_equal(window.ids[here], following.ids[there]) and np.array_equal(
            window.text.bytes[here], following.text.bytes[there]
        ):
            return i, j
    return None


def _token_at(window: _Window, place: int, tokenizer: Tokenizer) -> int:
    """The first token that begins at a byte; DataError where none does."""
    token = int(np.searchsorted(window.starts, place))
    if token == len(window.ids) or window.starts[token] != place:
        raise DataError(
            f"{tokenizer.source} makes other tokens of a text of {len(window.ids):,} tokens than of its beginning; "
            "give documents with a NUL between them, as JSON lines, or a token shard"
        )
    return token
