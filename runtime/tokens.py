"""The tokens that a model is scored or calibrated on, read from a shard or from plain text.

Strategy: a shard is known by its first four bytes (or the name *.bin, so that a damaged one is not
mistaken for text); anything else must be UTF-8 text, whose documents a NUL byte separates and whose
tokens the tokenizer makes. Either way each id is checked against the model's vocabulary, and errors
name the file and the place in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from .shards import decode_shard, is_shard
from .tokenizers import Tokenizer

DOCUMENT_SEPARATOR = "\0"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SHARD_SUFFIX = ".bin"
COMPRESSED = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
}


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Token ids, uint16 or int32 [tokens], each below the model's vocabulary; `source` names them in errors."""

    ids: np.ndarray
    source: str


def read_tokens(path: str | Path, tokenizer: Tokenizer | None, vocabulary_size: int, boundary_token: int) -> Tokens:
    """The tokens of a shard or of a UTF-8 text, the boundary token before each document of a text.

    `tokenizer` may be None for a shard that is only read, not scored. Raises DataError for a file
    that is missing, empty, or neither of the two; for text without a tokenizer; for a tokenizer
    with fewer pieces than the model's `vocabulary_size` or one to which `boundary_token` is
    ordinary text; and for an id outside the vocabulary.
    """
    if tokenizer is not None:
        check_tokenizer(tokenizer, vocabulary_size, boundary_token)
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if not data:
        raise DataError(f"{path} is empty; give a token shard or UTF-8 text")
    if is_shard(data) or path.suffix == SHARD_SUFFIX:
        ids = decode_shard(data, str(path))
    else:
        ids = _tokens_of_text(data, str(path), tokenizer, boundary_token)
    _check_ids(ids, vocabulary_size, str(path))
    return Tokens(ids, str(path))


def check_tokenizer(tokenizer: Tokenizer, vocabulary_size: int, boundary_token: int) -> None:
    """Refuse a tokenizer that cannot belong to a model with this vocabulary and boundary token, with a DataError."""
    if tokenizer.vocabulary_size < vocabulary_size:
        raise DataError(
            f"{tokenizer.source} has {tokenizer.vocabulary_size:,} pieces "
            f"but the model has {vocabulary_size:,} tokens; give the tokenizer that the model was trained with"
        )
    if not tokenizer.is_boundary(boundary_token):
        raise DataError(
            f"{tokenizer.source}: token {boundary_token}, which begins each document for this model, is the text "
            f"{tokenizer.piece(boundary_token)!r} here; give the tokenizer that the model was trained with"
        )


def _tokens_of_text(data: bytes, source: str, tokenizer: Tokenizer | None, boundary_token: int) -> np.ndarray:
    text = _decode_text(data, source)
    if tokenizer is None:
        raise DataError(f"{source} is text, not a token shard; a tokenizer is needed to read it")
    documents = [document for document in text.split(DOCUMENT_SEPARATOR) if document]
    if not documents:
        raise DataError(f"{source} holds no text; give a token shard or UTF-8 text")
    encoded = [
        np.array([boundary_token, *tokenizer.encode_document(document)], dtype=np.int32) for document in documents
    ]
    return np.concatenate(encoded)


def _decode_text(data: bytes, source: str) -> str:
    mark = len(BYTE_ORDER_MARK) if data.startswith(BYTE_ORDER_MARK) else 0
    try:
        return data[mark:].decode("utf-8")
    except UnicodeDecodeError as error:
        place = error.start + mark
        kind = next((name for magic, name in COMPRESSED.items() if data.startswith(magic)), None)
        remedy = "convert it to UTF-8, or give a shard"
        if kind is not None:
            remedy = f"it looks like a {kind} file, decompress it first"
        found = f"byte 0x{data[place]:02x} at offset {place:,} ({error.reason})"
        raise DataError(f"{source} is neither a token shard nor UTF-8 text: {found}; {remedy}") from error


def _check_ids(ids: np.ndarray, vocabulary_size: int, source: str) -> None:
    if int(ids.max()) < vocabulary_size:
        return
    place = int(np.argmax(ids >= vocabulary_size))
    raise DataError(
        f"{source}: token {place:,} has the id {int(ids[place])}, "
        f"but the model's vocabulary ends at {vocabulary_size - 1}; give data made with the model's own tokenizer"
    )
