"""Tokenizers, and how many bytes of text each token stands for.

Strategy: a thin adapter over sentencepiece and a byte table derived from its pieces. The table is
the denominator of bits per byte, where published results have gone wrong by up to 44 %, so
`check_byte_table` holds it against what sentencepiece itself decodes, run by run, before any score
is printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sentencepiece

from ..errors import DataError

SPACE = "\u2581"  # how sentencepiece writes a space inside a piece
SPACE_AS_BYTES = tuple(f"<0x{byte:02X}>" for byte in SPACE.encode())
RUNS_PER_DECODE = 4096  # bounds the Python lists alive at once


@dataclass(frozen=True, slots=True, eq=False)
class ByteTable:
    """Bytes of text by token id, V entries each.

    base_bytes : int16 [V]    UTF-8 length of the piece's text without one leading space;
                              1 for byte pieces, 0 at a boundary
    leading_space : bool [V]  the piece starts with a space, one byte more unless the token before it is a boundary
    boundary : bool [V]       control, unknown and unused pieces: no bytes, though their loss counts
    unknown : bool [V]        of these the unknown piece, whose text is lost
    """

    base_bytes: np.ndarray
    leading_space: np.ndarray
    boundary: np.ndarray
    unknown: np.ndarray

    def target_bytes(self, ids: np.ndarray) -> np.ndarray:
        """Bytes of each target ids[1:] given the token before it: integers [tokens] -> int16 [tokens - 1].

        base[target] + (leading_space[target] and not boundary[previous]), the rule of the public
        challenge.
        """
        previous, target = ids[:-1], ids[1:]
        return self.base_bytes[target] + (self.leading_space[target] & ~self.boundary[previous])


class Tokenizer:
    """A sentencepiece model; `source` names it in errors."""

    def __init__(self, processor: sentencepiece.SentencePieceProcessor, source: str) -> None:
        self._processor = processor
        self.source = source
        self.vocabulary_size = int(processor.vocab_size())

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Load a sentencepiece .model file; DataError when it cannot be read or is something else."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}") from error
        if not data:  # sentencepiece would take it for a model and complain at each use
            raise DataError(f"{path} is empty; give a sentencepiece .model file")
        try:
            processor = sentencepiece.SentencePieceProcessor(model_proto=data)
        except RuntimeError as error:
            raise DataError(
                f"{path} is not a sentencepiece model; give the .model file that the tokens were made with"
            ) from error
        return cls(processor, str(path))

    def encode_document(self, text: str) -> list[int]:
        """Token ids of one document, without a boundary token before it."""
        return self._processor.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids as sentencepiece writes it: no leading space, " \u2047 " for the unknown piece."""
        return self._processor.decode([int(token) for token in ids])

    def decode_runs(self, runs: list[list[int]]) -> list[str]:
        """`decode` of several lists of ids in one call."""
        return self._processor.decode(runs)

    def piece(self, token: int) -> str:
        """The piece of a token id, with U+2581 for spaces."""
        return self._processor.id_to_piece(token)

    def is_byte(self, token: int) -> bool:
        """Whether a token stands for one raw byte ("<0xE2>")."""
        return self._processor.is_byte(token)

    def is_boundary(self, token: int) -> bool:
        """Whether a token stands for no text: a control, unknown or unused piece."""
        processor = self._processor
        return processor.is_control(token) or processor.is_unknown(token) or processor.is_unused(token)

    def token(self, piece: str) -> int | None:
        """The id of a piece, or None when the vocabulary lacks it."""
        token = self._processor.piece_to_id(piece)
        return token if self._processor.id_to_piece(token) == piece else None

    def byte_table(self) -> ByteTable:
        """The byte table of all pieces, by the rules of the public challenge.

        A space inside a piece counts the one byte it decodes to, where the challenge's script would
        count the three of U+2581; its own vocabularies have no such piece. Raises DataError for a
        piece too long for the table.
        """
        processor, tokens = self._processor, range(self.vocabulary_size)
        unknown = np.array([processor.is_unknown(token) for token in tokens])
        boundary = np.array([self.is_boundary(token) for token in tokens])
        pieces = [processor.id_to_piece(token) for token in tokens]
        leading_space = np.array([piece.startswith(SPACE) for piece in pieces]) & ~boundary
        texts = [piece.removeprefix(SPACE).replace(SPACE, " ").encode() for piece in pieces]
        lengths = [1 if processor.is_byte(token) else len(texts[token]) for token in tokens]
        if max(lengths) > np.iinfo(np.int16).max:
            longest = int(np.argmax(lengths))
            raise DataError(
                f"{self.source}: piece {longest} is {lengths[longest]:,} bytes long; the byte table ends at 32,767"
            )
        base_bytes = np.where(boundary, 0, lengths).astype(np.int16)
        return ByteTable(base_bytes, leading_space, boundary, unknown)


def check_byte_table(tokenizer: Tokenizer, table: ByteTable, ids: np.ndarray, source: str) -> None:
    """Hold the table against the text that sentencepiece decodes, for integers `ids` [tokens] of whole documents.

    The ids fall into runs between boundary tokens. Of each run the table's sum, with no space
    counted before its first word, must equal the UTF-8 length of its decoded text without that
    space. Runs are decoded behind a plain piece, so that the answer does not hang on how much white
    space the tokenizer strips at the start of a text. Where `ids` was cut out of a longer file, the
    bytes of a character that lost others at the cut are left out at both ends.

    Raises DataError that names the first run that disagrees, or spaces spelled as bytes where a
    vocabulary without a piece for the bare space makes each count three times.
    """
    _refuse_spelled_spaces(tokenizer, ids, source)
    anchor = _plain_token(tokenizer, table)
    anchor_bytes = len(tokenizer.decode([anchor]).encode())
    starts, stops = _runs(table, ids)
    for first in range(0, len(starts), RUNS_PER_DECODE):
        spans = list(
            zip(
                starts[first : first + RUNS_PER_DECODE].tolist(),
                stops[first : first + RUNS_PER_DECODE].tolist(),
                strict=True,
            )
        )
        spans = [_without_cut_characters(tokenizer, ids, start, stop) for start, stop in spans]
        runs = [ids[start:stop].tolist() for start, stop in spans]
        decoded = tokenizer.decode_runs([[anchor, *run] for run in runs])
        for (start, stop), run, text in zip(spans, runs, decoded, strict=True):
            expected = len(text.encode()) - anchor_bytes - int(bool(run) and table.leading_space[run[0]])
            counted = int(_run_bytes(table, ids[start:stop]))
            if counted != expected:
                raise DataError(_disagreement(tokenizer, source, start, stop, counted, expected))


def _disagreement(tokenizer: Tokenizer, source: str, start: int, stop: int, counted: int, expected: int) -> str:
    return (
        f"{source}: tokens {start:,} to {stop - 1:,} decode to {expected:,} bytes of text but the byte table of "
        f"{tokenizer.source} counts {counted:,}; bits per byte would be wrong. "
        "Score with the tokenizer that made the tokens"
    )


def _run_bytes(table: ByteTable, run: np.ndarray) -> int:
    """Bytes of a run whose first token follows a boundary."""
    spaces = np.count_nonzero(table.leading_space[run[1:]])
    return int(table.base_bytes[run].sum(dtype=np.int64) + spaces)


def _runs(table: ByteTable, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and stops of the longest stretches without a boundary token."""
    inside = np.concatenate(([False], ~table.boundary[ids], [False]))
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    return edges[::2], edges[1::2]


def _plain_token(tokenizer: Tokenizer, table: ByteTable) -> int:
    """A token of ordinary text without spaces."""
    for token in np.flatnonzero(~table.boundary & ~table.leading_space).tolist():
        if not tokenizer.is_byte(token) and SPACE not in tokenizer.piece(token):
            return token
    raise DataError(f"{tokenizer.source} has no piece without a space; give a tokenizer of whole or part words")


def _refuse_spelled_spaces(tokenizer: Tokenizer, ids: np.ndarray, source: str) -> None:
    """Refuse lone spaces that became three byte pieces, for want of a bare U+2581 piece.

    The text would count as longer than it is.
    """
    spelled = [tokenizer.token(piece) for piece in SPACE_AS_BYTES]
    if tokenizer.token(SPACE) is not None or None in spelled:
        return
    places = np.flatnonzero((ids[:-2] == spelled[0]) & (ids[1:-1] == spelled[1]) & (ids[2:] == spelled[2]))
    if places.size:
        raise DataError(
            f"{source}: token {int(places[0]):,} begins a space spelled as three bytes ({places.size:,} in all), "
            f"because {tokenizer.source} has no piece for a bare space; bits per byte would come out too low. "
            "Train the tokenizer with U+2581 as a piece of its own"
        )


def _without_cut_characters(tokenizer: Tokenizer, ids: np.ndarray, start: int, stop: int) -> tuple[int, int]:
    """The span without byte pieces of a character that the ends of `ids` cut; other spans come back unchanged."""
    if start == 0:
        start += _stray_continuation_bytes(list(_byte_values(tokenizer, ids[start : min(stop, start + 3)].tolist())))
    if stop == len(ids):
        tail = list(_byte_values(tokenizer, ids[max(start, stop - 3) : stop][::-1].tolist()))
        stop -= _bytes_of_unfinished_character(tail[::-1])
    return start, max(start, stop)


def _byte_values(tokenizer: Tokenizer, tokens: list[int]) -> Iterator[int]:
    """Values of the byte pieces that `tokens` begins with."""
    for token in tokens:
        if not tokenizer.is_byte(token):
            return
        yield int(tokenizer.piece(token)[3:5], 16)


def _stray_continuation_bytes(values: list[int]) -> int:
    """How many UTF-8 continuation bytes stand at the beginning, at most 3."""
    return next((index for index, value in enumerate(values) if value & 0xC0 != 0x80), len(values))


def _bytes_of_unfinished_character(values: list[int]) -> int:
    """How many of the last bytes, at most 3, begin a UTF-8 character that does not end."""
    for back in range(1, len(values) + 1):
        value = values[-back]
        if value & 0xC0 != 0x80:
            length = 4 if value >= 0xF0 else 3 if value >= 0xE0 else 2 if value >= 0xC0 else 1
            return back if length > back else 0
    return 0
