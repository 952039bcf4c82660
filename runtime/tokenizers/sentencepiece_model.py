"""Sentencepiece models, and the same algorithm for the vocabularies of others that say their scores.

Strategy: a thin adapter over sentencepiece. What its pieces stand for follows from their spelling, so
`check_byte_table` holds that against what sentencepiece itself decodes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import sentencepiece

from ...errors import DataError
from .byte_table import ByteTable, runs_between_boundaries
from .stretches import Span, cuts_of, first_fault
from .tokenizer import Pieces, Tokenizer

SPACE = "\u2581"  # how sentencepiece writes a space inside a piece
SPACE_AS_BYTES = tuple(f"<0x{byte:02X}>" for byte in SPACE.encode())
FIRST_PIECE = re.compile(rb"\n.{1,3}\n[\x01-\x20].{1,32}\x15", re.DOTALL)  # of the list that a model begins with
MINBPE = b"minbpe v"  # how that library's files of the same name begin


class SentencepieceTokenizer(Tokenizer):
    """A sentencepiece model; `source` names it in errors."""

    kind = "sentencepiece"

    def __init__(self, processor: sentencepiece.SentencePieceProcessor, source: str, digest: str = "") -> None:
        super().__init__(source, digest)
        self._processor = processor

    @classmethod
    def of_bytes(cls, data: bytes, source: str) -> SentencepieceTokenizer:
        """From the bytes of a .model file; DataError when they are something else."""
        if not data:  # sentencepiece would take it for a model and complain at each use
            raise DataError(f"{source} is empty; give a sentencepiece .model file")
        if data.startswith(MINBPE):
            raise DataError(
                f"{source} is a tokenizer of minbpe, which is not read; encode the text with it, and give the ids as a "
                "token shard, with token_bytes.json for a score"
            )
        try:
            processor = sentencepiece.SentencePieceProcessor(model_proto=data)
        except (RuntimeError, ValueError) as error:  # a message of the library may quote bytes that are no text
            raise DataError(
                f"{source} is not a sentencepiece model; give the .model file that the tokens were made with"
            ) from error
        _refuse_pieces_without_text(processor, source)
        return cls(processor, source, hashlib.sha256(data).hexdigest())

    @classmethod
    def load(cls, path: str | Path) -> SentencepieceTokenizer:
        """Load a sentencepiece .model file; DataError when it cannot be read or is something else."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}") from error
        return cls.of_bytes(data, str(path))

    @cached_property
    def pieces(self) -> Pieces:
        """The vocabulary by the rules of the public challenge.

        A space inside a piece counts the one byte it decodes to, where the challenge's script would
        count the three of U+2581; its own vocabularies have no such piece.
        """
        processor, tokens = self._processor, range(int(self._processor.vocab_size()))
        unknown = np.array([processor.is_unknown(token) for token in tokens], dtype=bool)
        boundary = unknown | [processor.is_control(token) or processor.is_unused(token) for token in tokens]
        texts = [
            b""
            if boundary[token]
            else bytes([int(processor.id_to_piece(token)[3:5], 16)])
            if processor.is_byte(token)
            else processor.id_to_piece(token).replace(SPACE, " ").encode()
            for token in tokens
        ]
        spaced = [processor.id_to_piece(token).startswith(SPACE) for token in tokens]
        return Pieces(texts, boundary, unknown, np.array(spaced, dtype=bool) & ~boundary)

    def encode_document(self, text: str) -> list[int]:
        return self._processor.encode(text)

    def encode_spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        found = self._processor.encode(text, return_type="offset_mapping", return_bytes=True)
        return list(found["ids"]), list(found["offsets"])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids as sentencepiece writes it: no leading space, " \u2047 " for the unknown piece."""
        return self._processor.decode([int(token) for token in ids])

    def decode_runs(self, runs: list[list[int]]) -> list[str]:
        return self._processor.decode(runs)

    def check_decoding(self, ids: np.ndarray, source: str) -> None:
        check_byte_table(self, self.byte_table(), ids, source)

    def piece(self, token: int) -> str:
        """The piece of a token id, with U+2581 for spaces."""
        return self._processor.id_to_piece(token)

    def is_byte(self, token: int) -> bool:
        """Whether a token stands for one raw byte ("<0xE2>")."""
        return self._processor.is_byte(token)

    def token(self, piece: str) -> int | None:
        """The id of a piece, or None when the vocabulary lacks it."""
        token = self._processor.piece_to_id(piece)
        return token if self._processor.id_to_piece(token) == piece else None


def _refuse_pieces_without_text(processor: sentencepiece.SentencePieceProcessor, source: str) -> None:
    """Refuse pieces, or a text for the unknown piece, that are no UTF-8: sentencepiece itself trains none."""
    for token in range(int(processor.vocab_size())):
        try:
            processor.id_to_piece(token)
            if processor.is_unknown(token):
                processor.decode([token])
        except UnicodeDecodeError as error:
            raise DataError(
                f"{source}: piece {token:,} is not UTF-8 ({error.reason}); the model is damaged, copy it again"
            ) from error


def check_byte_table(tokenizer: SentencepieceTokenizer, table: ByteTable, ids: np.ndarray, source: str) -> None:
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

    def judged(spans: Sequence[Span]) -> list[str | None]:
        runs = [ids[start:stop].tolist() for start, stop in spans]
        decoded = tokenizer.decode_runs([[anchor, *run] for run in runs])
        found: list[str | None] = []
        for (start, stop), text in zip(spans, decoded, strict=True):
            leading = stop > start and bool(table.leading_space[ids[start]])
            expected, counted = len(text.encode()) - anchor_bytes - leading, _run_bytes(table, ids[start:stop])
            same = counted == expected
            found.append(None if same else _disagreement(tokenizer, source, start, stop, counted, expected))
        return found

    starts, stops = runs_between_boundaries(table.boundary, ids)
    ends = zip(starts, stops, strict=True)
    runs = (_without_cut_characters(tokenizer, ids, int(start), int(stop)) for start, stop in ends)
    fault = first_fault(runs, ids, cuts_of(tokenizer.pieces.texts, table.leading_space), judged)
    if fault is not None:
        raise DataError(fault)


def _disagreement(
    tokenizer: SentencepieceTokenizer, source: str, start: int, stop: int, counted: int, expected: int
) -> str:
    return (
        f"{source}: tokens {start:,} to {stop - 1:,} decode to {expected:,} bytes of text but the byte table of "
        f"{tokenizer.source} counts {counted:,}; bits per byte would be wrong. "
        "Score with the tokenizer that made the tokens"
    )


def _run_bytes(table: ByteTable, run: np.ndarray) -> int:
    """Bytes of a run whose first token follows a boundary."""
    spaces = np.count_nonzero(table.leading_space[run[1:]])
    return int(table.base_bytes[run].sum(dtype=np.int64) + spaces)


def _plain_token(tokenizer: SentencepieceTokenizer, table: ByteTable) -> int:
    """A token of ordinary text without spaces."""
    for token in np.flatnonzero(~table.boundary & ~table.leading_space).tolist():
        if not tokenizer.is_byte(token) and SPACE not in tokenizer.piece(token):
            return token
    raise DataError(f"{tokenizer.source} has no piece without a space; give a tokenizer of whole or part words")


def _refuse_spelled_spaces(tokenizer: SentencepieceTokenizer, ids: np.ndarray, source: str) -> None:
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


def _without_cut_characters(
    tokenizer: SentencepieceTokenizer, ids: np.ndarray, start: int, stop: int
) -> tuple[int, int]:
    """The span without byte pieces of a character that the ends of `ids` cut; other spans come back unchanged."""
    if start == 0:
        start += _stray_continuation_bytes(list(_byte_values(tokenizer, ids[start : min(stop, start + 3)].tolist())))
    if stop == len(ids):
        tail = list(_byte_values(tokenizer, ids[max(start, stop - 3) : stop][::-1].tolist()))
        stop -= _bytes_of_unfinished_character(tail[::-1])
    return start, max(start, stop)


def _byte_values(tokenizer: SentencepieceTokenizer, tokens: list[int]) -> Iterator[int]:
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
