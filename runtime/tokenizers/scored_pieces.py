"""Vocabularies that say their pieces with scores: SPM inside GGUF files, and llama2.c's tokenizer.bin.

Strategy: they are sentencepiece models that lost their file, so the file is written again and sentencepiece itself
encodes. Source of the fields: sentencepiece_model.proto.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence

from ...errors import DataError
from .sentencepiece_model import SPACE, SentencepieceTokenizer

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6  # SentencePiece.Type; GGUF has the same
UNIGRAM, BPE = 1, 2  # TrainerSpec.ModelType
VARINT, LENGTH, WORD = 0, 2, 5  # wire types of a protocol buffer
MOST_PIECES = 1 << 20


def model_of_pieces(
    pieces: Iterable[tuple[str, float, int]],
    *,
    model_type: int = BPE,
    add_space: bool = True,
    remove_extra_spaces: bool = False,
    precompiled: bytes = b"",
) -> bytes:
    """The bytes of a sentencepiece model of (piece, score, type) in the order of their ids."""
    pieces = list(pieces)
    fallback = any(kind == BYTE for _, _, kind in pieces)
    entries = b"".join(
        _field(
            1, _field(1, text.encode("utf-8", "surrogatepass")) + _number(2, struct.pack("<f", score)) + _whole(3, kind)
        )
        for text, score, kind in pieces
    )
    trainer = _whole(3, model_type) + _whole(35, int(fallback)) + _special_ids(pieces)
    normalizer = (
        _field(1, b"identity" if not precompiled else b"nmt_nfkc")
        + (_field(2, precompiled) if precompiled else b"")
        + _whole(3, int(add_space))
        + _whole(4, int(remove_extra_spaces))
        + _whole(5, 1)
    )
    return entries + _field(2, trainer) + _field(3, normalizer)


def _special_ids(pieces: Sequence[tuple[str, float, int]]) -> bytes:
    """unk_id, bos_id and eos_id of the trainer's record, which name the pieces that the model needs."""
    unknown = next((token for token, (_, _, kind) in enumerate(pieces) if kind == UNKNOWN), 0)
    return _whole(40, unknown) + _field(45, pieces[unknown][0].encode())


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _whole(number: int, value: int) -> bytes:
    return _varint(number << 3 | VARINT) + _varint(value)


def _number(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | WORD) + data


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | LENGTH) + _varint(len(data)) + data


def tokenizer_of_pieces(model: bytes, source: str, digest: str, kind: str) -> SentencepieceTokenizer:
    """The tokenizer of a model that `model_of_pieces` wrote, under the name of the file that it came from."""
    tokenizer = SentencepieceTokenizer.of_bytes(model, source)
    tokenizer.kind, tokenizer.digest = kind, digest
    return tokenizer


def read_llama2c_tokenizer(data: bytes, source: str) -> SentencepieceTokenizer:
    """A tokenizer.bin of llama2.c: the longest piece's length, then score, length and text of each; DataError if not.

    Source: tokenizer.py of llama2.c. There ids 0, 1 and 2 are unknown, begin and end, and 3 to 258 the bytes.
    """
    pieces: list[tuple[str, float, int]] = []
    place = 4
    while place < len(data):
        if place + 8 > len(data):
            raise DataError(f"{source} ends inside piece {len(pieces):,}; copy it again")
        score, length = struct.unpack_from("<fi", data, place)
        text = data[place + 8 : place + 8 + length]
        if length < 0 or len(text) != length or len(pieces) >= MOST_PIECES:
            raise DataError(f"{source} is no tokenizer.bin of llama2.c: piece {len(pieces):,} does not fit the file")
        pieces.append(_llama2c_piece(len(pieces), text, score, source))
        place += 8 + length
    if len(pieces) <= 259:
        raise DataError(f"{source} is no tokenizer.bin of llama2.c: it has {len(pieces):,} pieces, fewer than 260")
    tokenizer = tokenizer_of_pieces(
        model_of_pieces(pieces), source, hashlib.sha256(data).hexdigest(), "llama2.c tokenizer"
    )
    tokenizer.beginning = 1
    return tokenizer


def _llama2c_piece(token: int, text: bytes, score: float, source: str) -> tuple[str, float, int]:
    if token <= 2:
        return ("<unk>", "<s>", "</s>")[token], score, UNKNOWN if token == 0 else CONTROL
    if token <= 258:
        return f"<0x{token - 3:02X}>", score, BYTE
    try:
        return text.decode("utf-8").replace(" ", SPACE), score, NORMAL
    except UnicodeDecodeError as error:
        raise DataError(f"{source} is no tokenizer.bin of llama2.c: piece {token:,} is not UTF-8") from error
