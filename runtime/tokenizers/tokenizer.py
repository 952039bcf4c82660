"""What every tokenizer is to the rest of the program: a list of pieces with the bytes of text that each stands for,
and a way to encode.

Strategy: bytes come first. A kind of tokenizer says once, when it is loaded, which bytes of text each of its pieces
stands for; sizes, tables and the check against decoded text follow from that in one place. A piece that stands for no
text of its own (a control piece, the unknown piece, an unused one) is a boundary.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...errors import DataError
from ...format.identity import UNKNOWN, Identity, vocabulary_digest
from .byte_table import ByteTable, runs_between_boundaries
from .stretches import Span, cuts_of, first_fault

REPLACEMENTS = re.compile("\ufffd+")  # decoders differ in how many of them stand for bytes that are no character


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The vocabulary of a tokenizer, V pieces.

    texts : list of bytes [V]       bytes of text of each piece, b"" at a boundary
    boundary : bool [V]             stands for no text, though its loss counts
    unknown : bool [V]              of these the unknown piece, whose text is lost
    leading_space : bool [V]        begins with a space that is no text where the piece begins a document
    """

    texts: list[bytes]
    boundary: np.ndarray
    unknown: np.ndarray
    leading_space: np.ndarray

    @classmethod
    def of(
        cls,
        texts: Sequence[bytes],
        boundary: Sequence[int] = (),
        unknown: int | None = None,
        leading_space: Sequence[int] = (),
    ) -> Pieces:
        """From the ids of the boundary pieces, the unknown piece among them or besides, and of the spaced ones."""
        flags, lost, spaced = np.zeros((3, len(texts)), dtype=bool)
        flags[list(boundary)] = True
        if unknown is not None:
            flags[unknown] = lost[unknown] = True
        spaced[list(leading_space)] = True
        kept = [b"" if flag else text for text, flag in zip(texts, flags.tolist(), strict=True)]
        return cls(kept, flags, lost, spaced & ~flags)


class Tokenizer(abc.ABC):
    """A tokenizer that was read from a file.

    kind : str              what it is, in a word or two: "sentencepiece", "tokenizer.json", ...
    source : str            the file, as errors name it
    digest : str            SHA-256 of the file, hexadecimal; of a kind without a file, of its definition
    beginning : int | None  the token that the file puts before each text, -1 when it says that there is none,
                            None when it does not say
    assumed : tuple of str  what the file does not say and was taken for granted, in sentences
    """

    kind: str = ""
    beginning: int | None = None
    assumed: tuple[str, ...] = ()

    def __init__(self, source: str, digest: str) -> None:
        self.source, self.digest = source, digest

    @cached_property
    @abc.abstractmethod
    def pieces(self) -> Pieces:
        """The vocabulary."""

    @abc.abstractmethod
    def encode_document(self, text: str) -> list[int]:
        """Token ids of one document, without a boundary token before it; DataError for a text that it cannot spell."""

    def encode_spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids of one document, and of each the (start, end) of the bytes in the UTF-8 text that it came from.

        Spans may be empty or overlap where several tokens spell one character.
        """
        ids, end, spans = self.encode_document(text), 0, []
        for token in ids:
            start, end = end, end + len(self.pieces.texts[token])
            spans.append((start, end))
        return ids, spans

    def piece(self, token: int) -> str:
        """A piece as people write it."""
        return self.pieces.texts[token].decode("utf-8", "backslashreplace")

    def decode_runs(self, runs: list[list[int]]) -> list[str] | None:
        """The text of each list of ids as the tokenizer's own library has it; None where there is no library."""
        return None

    @property
    def vocabulary_size(self) -> int:
        """Number of pieces."""
        return len(self.pieces.texts)

    @cached_property
    def identity(self) -> Identity:
        """What an artifact stores of its tokenizer: the pieces up to the last that stands for text, and their digest.

        Source: spec/tensors.md, chapter 9.
        """
        texts = self.pieces.texts
        size = next((token + 1 for token in reversed(range(len(texts))) if texts[token]), 0)
        return Identity(size, vocabulary_digest(texts[:size])) if size else UNKNOWN

    def is_boundary(self, token: int) -> bool:
        """Whether a token stands for no text."""
        return 0 <= token < self.vocabulary_size and bool(self.pieces.boundary[token])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids by their bytes; U+FFFD where they are no characters."""
        return b"".join(self.pieces.texts[token] for token in ids).decode("utf-8", "replace")

    def byte_table(self) -> ByteTable:
        """The bytes of each piece; DataError for a piece too long for the table."""
        pieces = self.pieces
        lengths = np.array([len(text) for text in pieces.texts]) - pieces.leading_space
        if lengths.size and lengths.max() > np.iinfo(np.int16).max:
            longest = int(lengths.argmax())
            raise DataError(
                f"{self.source}: piece {longest} is {lengths[longest]:,} bytes long; the byte table ends at 32,767"
            )
        return ByteTable(lengths.astype(np.int16), pieces.leading_space, pieces.boundary, pieces.unknown)

    def check_decoding(self, ids: np.ndarray, source: str) -> None:
        """Hold the bytes of the pieces against the text that the tokenizer's library decodes, for `ids` [tokens].

        The ids fall into runs between boundary tokens, each of which must decode to the bytes of its pieces, with or
        without the space that it begins with. Raises DataError that names the first run that does not.
        """
        if self.decode_runs([]) is None:
            return

        def judged(spans: Sequence[Span]) -> list[str | None]:
            runs = [ids[start:stop].tolist() for start, stop in spans]
            decoded = self.decode_runs(runs) or []
            found = zip(spans, runs, decoded, strict=True)
            return [self._disagreement(source, span, run, text) for span, run, text in found]

        starts, stops = runs_between_boundaries(self.pieces.boundary, ids)
        runs = ((int(start), int(stop)) for start, stop in zip(starts, stops, strict=True))
        fault = first_fault(runs, ids, cuts_of(self.pieces.texts, self.pieces.leading_space), judged)
        if fault is not None:
            raise DataError(fault)

    def _disagreement(self, source: str, span: Span, run: list[int], text: str) -> str | None:
        """What is wrong with the pieces of a run whose text the library has; None where they agree."""
        ours, theirs = (REPLACEMENTS.sub("\ufffd", found) for found in (self.decode(run), text))
        if ours == theirs or (self.pieces.leading_space[run[0]] and ours == " " + theirs):
            return None
        return (
            f"{source}: tokens {span[0]:,} to {span[1] - 1:,} decode to {len(theirs.encode()):,} bytes of text "
            f"but the pieces of {self.source} are {len(ours.encode()):,}; bits per byte would be wrong. "
            "Score with the tokenizer that made the tokens"
        )
