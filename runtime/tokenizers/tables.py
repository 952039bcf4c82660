"""Tokenizers that are a plain table: raw bytes, characters, and tables that only count bytes.

Strategy: each is a list of texts by token. A table that counts bytes without saying which they are cannot encode, but
shards can be scored by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ...errors import DataError
from ...files.nested_text import parse_json
from ...format.identity import Identity
from .byte_table import ByteTable
from .pickled_values import read_pickle
from .tokenizer import Pieces, Tokenizer

BYTES = "bytes"
MOST_IDS = 1 << 20  # four times the largest public vocabulary: a larger id asks for a table that is not there
MOST_DIGITS = len(str(MOST_IDS))


class ByteTokenizer(Tokenizer):
    """Each byte of the UTF-8 text is a token, whose id is its value; other ids of a model are boundaries."""

    kind = BYTES

    def __init__(self) -> None:
        super().__init__(BYTES, hashlib.sha256(BYTES.encode()).hexdigest())

    @cached_property
    def pieces(self) -> Pieces:
        return Pieces.of([bytes([value]) for value in range(256)])

    def encode_document(self, text: str) -> list[int]:
        return list(text.encode())


class CharacterTokenizer(Tokenizer):
    """Each character is a token, as in character models after nanoGPT."""

    kind = "characters"
    beginning = -1

    def __init__(self, ids: Mapping[str, int], source: str, digest: str) -> None:
        super().__init__(source, digest)
        self._ids = ids
        texts = [b""] * (max(ids.values()) + 1)
        for character, token in ids.items():
            texts[token] = character.encode("utf-8", "surrogatepass")
        self._pieces = Pieces.of(texts, [token for token, text in enumerate(texts) if not text])

    @cached_property
    def pieces(self) -> Pieces:
        return self._pieces

    def encode_document(self, text: str) -> list[int]:
        try:
            return [self._ids[character] for character in text]
        except KeyError as error:
            character = error.args[0]
            place = text.index(character)
            raise DataError(
                f"{self.source} has no token for {character!r} (character {place:,} of a document); "
                "give text of the characters that the model was trained on"
            ) from error


class ByteCounts(Tokenizer):
    """Only the number of bytes of each token is known, not the text: shards can be scored, text cannot be encoded."""

    kind = "table of byte counts"

    def __init__(self, counts: np.ndarray, source: str, digest: str) -> None:
        super().__init__(source, digest)
        self._counts = counts

    @cached_property
    def pieces(self) -> Pieces:
        texts = [b"\xff" * count for count in self._counts.tolist()]  # no character, so that it counts as no word
        return Pieces.of(texts, np.flatnonzero(self._counts == 0).tolist())

    @cached_property
    def identity(self) -> Identity:
        """The number of pieces alone: which they are is not known."""
        return Identity(super().identity.pieces)

    def piece(self, token: int) -> str:
        return f"{int(self._counts[token])} bytes"

    def byte_table(self) -> ByteTable:
        zero = np.zeros(len(self._counts), dtype=bool)
        return ByteTable(self._counts.astype(np.int16), zero, self._counts == 0, zero)

    def encode_document(self, text: str) -> list[int]:
        raise DataError(
            f"{self.source} says how many bytes a token has, not which; give token shards as data, or the tokenizer"
        )


def character_table(values: Any, source: str, digest: str) -> CharacterTokenizer:
    """From what a meta.pkl or chars.json holds: `stoi`, `itos`, `chars`, or such a table itself; DataError if not."""
    found = values
    if isinstance(values, Mapping):
        found = next((values[name] for name in ("stoi", "itos", "chars", "vocab") if name in values), values)
    pairs: dict[Any, Any] = {}
    if isinstance(found, str | list | tuple) and all(isinstance(character, str) for character in found):
        pairs = {character: token for token, character in enumerate(found)}
    elif isinstance(found, Mapping):
        pairs = dict(found)
    if pairs and all(isinstance(value, str) for value in pairs.values()):  # itos
        pairs = {character: _number(token) for token, character in pairs.items()}
    good = {
        character: token
        for character, token in pairs.items()
        if isinstance(character, str) and type(token) is int and 0 <= token < MOST_IDS
    }
    if not good or len(good) != len(found) or len(set(good.values())) != len(good):
        raise DataError(f"{source} is no table of characters; it needs stoi, each character's own number")
    longer = next((character for character in good if len(character) != 1), None)
    if longer is not None:
        raise DataError(f"{source} is no table of characters: it holds {longer!r}; give the tokenizer itself")
    return CharacterTokenizer(good, source, digest)


def _number(token: Any) -> int | None:
    """An id that is a number or, since JSON has no others as keys, the digits of one."""
    if type(token) is int:
        return token
    return int(token) if isinstance(token, str) and token.isdecimal() and len(token) <= MOST_DIGITS else None


def read_characters(data: bytes, source: str) -> CharacterTokenizer:
    """A nanoGPT meta.pkl, of which nothing is executed, or the same as JSON."""
    digest = hashlib.sha256(data).hexdigest()
    if data[:1] in (b"{", b"["):
        return character_table(_json(data, source), source, digest)
    return character_table(read_pickle(data, source), source, digest)


def read_byte_counts(counts: Sequence[int] | np.ndarray, source: str, digest: str) -> ByteCounts:
    """A table of bytes by token id; DataError when it is none."""
    table = np.asarray(counts)
    if (
        table.ndim != 1
        or table.dtype.kind not in "iu"
        or not table.size
        or not 0 <= table.min() <= table.max() < 1 << 15
    ):
        raise DataError(
            f"{source} is no table of bytes by token: it is {table.dtype} {list(table.shape)}, "
            "expected one whole number from 0 to 32,767 for each token"
        )
    return ByteCounts(table.astype(np.int64), source, digest)


def _json(data: bytes, source: str) -> Any:
    try:
        return parse_json(data.decode("utf-8"))
    except ValueError as error:
        raise DataError(f"{source} is not JSON ({error}); copy it again") from error
