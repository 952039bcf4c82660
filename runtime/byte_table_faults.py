"""The ways in which tables of bytes by token go wrong, each recognised by what it does to the pieces.

Strategy: a table's count of a piece is held against the bytes that the piece stands for; a piece whose count differs
belongs to the first fault whose rule gives exactly that count. So a fault is named only where it explains the number,
and what nothing explains is said to be that. Each of them was met in published scores (docs/scoring.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .tokenizers import Tokenizer

MARKER = "\u2581".encode()  # how sentencepiece writes a space inside a piece
REPLACEMENT = "\ufffd".encode()
PRIVATE_USE = re.compile("[\ue000-\uf8ff]+")
NEEDS_BARE_SPACE = "a \u4e2d"
BYTES_OF_A_NAME = len("<0x00>")


@dataclass(frozen=True, slots=True)
class PieceCount:
    """A piece and what the table says of it.

    text, spaced, boundary     as in `Pieces`
    given, right : int         its count in the table and the bytes it stands for, its leading space with them
    operators : int            bytes of private-use characters in the text that stand for no text of their own
    """

    text: bytes
    spaced: bool
    boundary: bool
    given: float
    right: int
    operators: int

    @property
    def partial(self) -> bool:
        """Whether the bytes are no whole characters: a byte piece, or a part of one."""
        try:
            self.text.decode()
        except UnicodeDecodeError:
            return True
        return False


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of counting.

    name : str              of the check
    fine : str              what is said where no piece has it
    text : str              what is said where pieces have it
    explains : of a PieceCount whose count is wrong     whether this fault gives exactly that count
    """

    name: str
    fine: str
    text: str
    explains: Callable[[PieceCount], bool]


def _replacement_counted(piece: PieceCount) -> bool:
    alone = len(piece.text) == 1 and piece.text != b" " and piece.given == len(REPLACEMENT)
    return alone or (piece.partial and piece.given == len(piece.text.decode(errors="replace").encode()))


def _marker_counted(piece: PieceCount) -> bool:
    spaces = piece.text.count(b" ")
    return spaces > 0 and piece.given == piece.right + (len(MARKER) - 1) * spaces


FAULTS = (
    Fault(
        "control pieces",
        "pieces that stand for no text count no bytes",
        "pieces that stand for no text count bytes",
        lambda piece: piece.boundary,
    ),
    Fault(
        "case operators",
        "no private-use characters are counted",
        "private-use characters that mark case are counted as 3 bytes each, and stand for no text",
        lambda piece: piece.operators > 0 and piece.given == piece.right + piece.operators,
    ),
    Fault(
        "byte pieces",
        "pieces that are no whole characters count the bytes they are",
        "pieces that are no whole characters are counted as what they decode to alone, U+FFFD of 3 bytes",
        _replacement_counted,
    ),
    Fault(
        "names of byte pieces",
        "byte pieces are not counted by their names",
        "byte pieces are counted by their names, <0x41> as 6 bytes",
        lambda piece: len(piece.text) == 1 and piece.given == BYTES_OF_A_NAME,
    ),
    Fault(
        "space counted twice",
        "a leading space counts once",
        "a leading space is counted in the table and again beside it",
        lambda piece: piece.spaced and piece.given == piece.right + 1,
    ),
    Fault(
        "space marker",
        "spaces count one byte, whatever character writes them",
        "the marker U+2581 is counted as its own 3 bytes (a table that looks for another character, such as ?)",
        _marker_counted,
    ),
    Fault(
        "space not counted",
        "a leading space counts",
        "a leading space is not counted",
        lambda piece: piece.spaced and piece.given == piece.right - 1,
    ),
    Fault(
        "characters",
        "bytes are counted, not characters",
        "characters are counted, not bytes",
        lambda piece: not piece.partial and piece.given == len(piece.text.decode()),
    ),
    Fault("other pieces", "no other piece is wrong", "other pieces have a wrong count", lambda piece: True),
)


def operator_bytes(texts: Iterable[bytes], marks_case: bool) -> np.ndarray:
    """int64 [V]: bytes of private-use characters in each piece, zeros unless the vocabulary marks case with them."""
    if not marks_case:
        return np.zeros(len(list(texts)), dtype=np.int64)
    return np.array([sum(map(len, _operators_in(text))) for text in texts], dtype=np.int64)


def _operators_in(text: bytes) -> list[bytes]:
    return [found.encode() for found in PRIVATE_USE.findall(text.decode(errors="ignore"))]


def faults_of_pieces(tokenizer: Tokenizer, given: np.ndarray, right: np.ndarray, operators: np.ndarray) -> np.ndarray:
    """int64 [V]: index into FAULTS of each piece whose count is wrong, -1 of the others."""
    pieces = tokenizer.pieces
    found = np.full(len(pieces.texts), -1, dtype=np.int64)
    for token in np.flatnonzero(given != right).tolist():
        piece = PieceCount(
            pieces.texts[token],
            bool(pieces.leading_space[token]),
            bool(pieces.boundary[token]),
            float(given[token]),
            int(right[token]),
            int(operators[token]),
        )
        found[token] = next(number for number, fault in enumerate(FAULTS) if fault.explains(piece))
    return found


def spelled_space(tokenizer: Tokenizer) -> tuple[int, ...] | None:
    """The three byte pieces that a bare space becomes for want of its own, which are those of its marker; None
    where it has one. Told by a text in which no piece can take the space along.
    """
    try:
        ids = tokenizer.encode_document(NEEDS_BARE_SPACE)
    except DataError:
        return None
    texts = [tokenizer.pieces.texts[token] for token in ids]
    places = [place for place in range(len(ids)) if b"".join(texts[place : place + len(MARKER)]) == MARKER]
    found = next((place for place in places if len(texts[place]) == 1), None)
    return None if found is None else tuple(ids[found : found + len(MARKER)])


def spelled_spaces(tokenizer: Tokenizer, ids: np.ndarray) -> np.ndarray:
    """int64 [n]: places in `ids` where a bare space is three byte pieces."""
    tokens = spelled_space(tokenizer)
    if tokens is None or len(ids) < len(MARKER):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero((ids[:-2] == tokens[0]) & (ids[1:-1] == tokens[1]) & (ids[2:] == tokens[2]))
