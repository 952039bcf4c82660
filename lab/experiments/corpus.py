"""The text that experiments train on: documents dealt out to training, calibration and evaluation, and their tokens.

Strategy: everything starts from documents, not tokens, so that vocabularies of any size see the same text.
Training documents are drawn from the whole file in an order that a seed fixes; tokens are kept as shards,
named by what they were made of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard

from ...errors import DataError, OutputError
from ...files.output import write_output
from ...runtime.data_files import DOCUMENT_SEPARATOR
from ...runtime.shards import decode_shard, is_shard, read_shard, write_shard
from ...runtime.tokenizers import SentencepieceTokenizer
from ..demo.demo_text import BOUNDARY_TOKEN, encode_documents, train_tokenizer

ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Documents by use; no evaluation document is among the others."""

    training: tuple[str, ...]
    calibration: tuple[str, ...]
    evaluation: tuple[str, ...]


def read_documents(path: Path, tokenizer: Path | None = None) -> list[str]:
    """The documents of a file: of a UTF-8 text that NUL separates, or of a token shard by its tokenizer.

    The text may be compressed with zstandard.

    Raises DataError for a file that is none of these, holds no text, or is a shard without its tokenizer.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if is_shard(data):
        if tokenizer is None:
            raise DataError(f"{path} is a token shard; give the tokenizer that made it, or the text itself")
        return _decoded(decode_shard(data, str(path)), SentencepieceTokenizer.load(tokenizer))
    if data.startswith(ZSTD):
        data = _decompressed(data, path)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is neither UTF-8 text nor a token shard: {error.reason} at byte {error.start:,}"
        ) from error
    documents = [document for document in text.split(DOCUMENT_SEPARATOR) if document.strip()]
    if not documents:
        raise DataError(f"{path} holds no text")
    return documents


def _decompressed(data: bytes, path: Path) -> bytes:
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    try:
        text = decompressor.decompress(data)
    except zstandard.ZstdError as error:
        raise DataError(f"{path} is damaged: {error}; copy it again") from error
    if not decompressor.eof:
        raise DataError(f"{path} ends inside a zstandard frame; copy it again")
    return text


def _decoded(ids: np.ndarray, tokenizer: SentencepieceTokenizer) -> list[str]:
    """The documents of a shard as text."""
    if int(ids.max()) >= tokenizer.vocabulary_size:
        raise DataError(
            f"{tokenizer.source} has {tokenizer.vocabulary_size:,} pieces, fewer than the shard's tokens; give the one "
            "that made it"
        )
    starts = np.flatnonzero(ids == BOUNDARY_TOKEN)
    parts = np.split(ids, starts) if len(starts) else [ids]
    texts = tokenizer.decode_runs([part[part != BOUNDARY_TOKEN].tolist() for part in parts])
    return [text for text in texts if text.strip()]


def deal_out(
    training: Sequence[str], evaluation: Sequence[str], *, training_bytes: int, calibration_bytes: int
) -> Corpus:
    """So many bytes of training and of calibration documents, in an order that is drawn once for all.

    The last document of a part may go beyond its bytes.

    Raises DataError when the training text holds an evaluation document, or too little for both parts.
    """
    known = set(evaluation)
    order = np.random.default_rng(0).permutation(len(training))
    parts: dict[str, list[str]] = {"calibration": [], "training": []}
    wanted = {"calibration": calibration_bytes, "training": training_bytes}
    for number in order.tolist():
        part = next((name for name, left in wanted.items() if left > 0), None)
        if part is None:
            break
        if training[number] in known:
            raise DataError(
                f"the training text holds a document that is evaluated ({training[number][:40]!r} ...); train on other "
                "text"
            )
        parts[part].append(training[number])
        wanted[part] -= len(training[number].encode())
    if not parts["training"]:
        raise DataError(
            f"{len(training):,} training documents are too few to set {calibration_bytes:,} bytes apart for "
            "calibration; give more text"
        )
    return Corpus(tuple(parts["training"]), tuple(parts["calibration"]), tuple(evaluation))


class CorpusFiles:
    """A corpus with its tokenizers and tokens as files of one folder, each made once."""

    def __init__(self, corpus: Corpus, folder: Path) -> None:
        self.corpus, self.folder = corpus, folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error

    def tokenizer(self, vocabulary: int, text_bytes: int) -> Path:
        """A byte-pair tokenizer trained on the first documents of the training text, so many bytes of it."""
        documents = _first(self.corpus.training, text_bytes)
        path = self.folder / f"tokenizer-{vocabulary}-{_digest(documents)}.model"
        if not path.is_file():
            text = path.with_suffix(".txt")
            write_output(text, DOCUMENT_SEPARATOR.join(documents).encode(), force=True)
            train_tokenizer(text, vocabulary, path.with_suffix(""), force=True)
            text.unlink()
        return path

    def tokens(self, part: str, tokenizer: Path, documents: Sequence[str] | None = None) -> Path:
        """A shard of one part of the corpus, or of other documents; the boundary token before each document."""
        documents = getattr(self.corpus, part) if documents is None else documents
        path = self.folder / f"{part}-{_digest([tokenizer.read_bytes().hex(), *documents])}.bin"
        if not path.is_file():
            write_shard(path, encode_documents(SentencepieceTokenizer.load(tokenizer), documents), force=True)
        return path

    def token_ids(self, part: str, tokenizer: Path) -> np.ndarray:
        """The same as uint16 [n]."""
        return read_shard(self.tokens(part, tokenizer))


def _first(documents: Iterable[str], size: int) -> list[str]:
    """The first documents, so many bytes of them; the last is cut."""
    chosen = []
    for document in documents:
        if size <= 0:
            break
        chosen.append(document[:size])
        size -= len(document.encode())
    return chosen


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:16]
