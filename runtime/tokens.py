"""The tokens that a model is scored or calibrated on, read from shards, plain text or JSON lines.

Strategy: a shard is read, or mapped where it is longer than memory should hold, a text is encoded document by document,
and neither further than is needed. What was read does not change while it is scored, whatever becomes of the file; what
is mapped does, and a file that is cut ends the process. Which token begins a document is the tokenizer's to say, then
the program's; each id is checked against the model's vocabulary, and errors name the file and the place in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..progress import Progress
from .data_files import SIDECAR_MARK, Content, DataFile, documents_of, expand_data, inspect_data, notes_of_file
from .document_parts import encode_parts
from .opened_data import opened
from .reading_progress import ReadingProgress
from .shards import HEADER_BYTES, MAX_TOKEN_ID, WIDE, ShardLayout, shard_layout, size_by_header
from .token_text import TokenText
from .tokenizers import Tokenizer

NO_TOKEN = -1
LEAST_SHARE_OF_PIECES = 0.5  # a model has at most so many more rows than its tokenizer has pieces
READ_BYTES = 1 << 28  # of a shard; a longer one is mapped
SLACK_TOKENS = 1 << 16  # read of a shard beyond what is scored, so that the last document is whole


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Token ids, integers [tokens], each below the model's vocabulary; `source` names them in errors.

    text : TokenText or None     what each token stands for, where the text itself was read
    documents : int64 [d]        where documents begin, as far as that is known
    beginning : int              the token that was put before each document of a text, NO_TOKEN for none
    notes : tuple of str         what was assumed of the files, in sentences
    """

    ids: np.ndarray
    source: str
    text: TokenText | None = None
    documents: np.ndarray | None = None
    beginning: int | None = None
    notes: tuple[str, ...] = ()


def read_tokens(
    data: str | Path | Sequence[str | Path],
    tokenizer: Tokenizer | None,
    vocabulary_size: int,
    boundary_token: int,
    *,
    beginning: int | None = None,
    max_tokens: int | None = None,
    other_tokenizer: bool = False,
    progress: Progress | None = None,
) -> Tokens:
    """The tokens of shards, or of UTF-8 texts with a token before each document.

    data : a path, a pattern such as "val_*.bin", "-" for text from standard input, or several of these
    tokenizer : may be None for a shard that is only read, not scored
    beginning : the token before each document, NO_TOKEN for none; by default what `beginning_token` says
    other_tokenizer : whether a tokenizer is taken that cannot be the model's
    max_tokens : read no further than so many targets need, and the rest of their last document
    progress : hears of how far a text is tokenized, in bytes of the files

    Raises DataError for a file that is missing, empty, or neither of the two; for text without a tokenizer; for a
    tokenizer that cannot be the model's; and for an id outside the vocabulary.
    """
    if tokenizer is not None and not other_tokenizer:
        check_tokenizer(tokenizer, vocabulary_size)
    paths = expand_data(data)
    files = [inspect_data(path) for path in paths]
    source = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    if {file.content is Content.SHARD for file in files} == {True, False}:
        raise DataError(f"{source} are token shards and texts; give files of one kind")
    most = None if max_tokens is None else max_tokens + 1
    if files[0].content is Content.SHARD:
        return _shards(files, source, vocabulary_size, most)
    if tokenizer is None:
        raise needs_tokenizer(source)
    first = beginning_token(tokenizer, boundary_token) if beginning is None else beginning
    if first >= vocabulary_size:
        raise DataError(f"token {first} cannot begin documents: the model's vocabulary ends at {vocabulary_size - 1}")
    reading = ReadingProgress(progress, paths, source, most)
    return _texts(files, source, tokenizer, vocabulary_size, first, most, reading)


def needs_tokenizer(source: str | Path) -> DataError:
    """The error of a text that comes without a tokenizer."""
    return DataError(f"{source} is text, not a token shard; a tokenizer is needed to read it", argument="tokenizer")


def check_tokenizer(tokenizer: Tokenizer, vocabulary_size: int) -> None:
    """Refuse a tokenizer whose size cannot belong to a model with this vocabulary, with a DataError."""
    reason = size_mismatch(tokenizer, vocabulary_size)
    if reason is not None:
        raise DataError(reason)


def size_mismatch(tokenizer: Tokenizer, vocabulary_size: int) -> str | None:
    """Why a tokenizer's size cannot belong to a model with this vocabulary, in a sentence; None where it can.

    A model may have more rows than there are pieces, since vocabularies are padded for speed, and lack those of
    control pieces; but no piece of text may be without a row.
    """
    if tokenizer.kind == "bytes":
        return None
    pieces, with_text = tokenizer.vocabulary_size, tokenizer.identity.pieces or 0
    if pieces >= LEAST_SHARE_OF_PIECES * vocabulary_size and with_text <= vocabulary_size:
        return None
    return (
        f"{tokenizer.source} has {pieces:,} pieces but the model has {vocabulary_size:,} tokens; "
        "give the tokenizer that the model was trained with"
    )


def beginning_token(tokenizer: Tokenizer, boundary_token: int) -> int:
    """The token before each document of a text: what the tokenizer's file says, else the program's boundary token,
    unless that is ordinary text to the tokenizer; NO_TOKEN for none.
    """
    if tokenizer.beginning is not None:
        return tokenizer.beginning
    stands_for_text = boundary_token < tokenizer.vocabulary_size and not tokenizer.is_boundary(boundary_token)
    return NO_TOKEN if stands_for_text else boundary_token


def _shards(files: Sequence[DataFile], source: str, vocabulary_size: int, most: int | None) -> Tokens:
    parts: list[np.ndarray] = []
    notes: list[str] = []
    most = None if most is None else most + SLACK_TOKENS
    for file in files:
        left = None if most is None else most - sum(map(len, parts))
        if left is not None and left <= 0:
            break
        ids, bare = _ids_of_shard(file, vocabulary_size, left)
        parts.append(ids[:left])
        _check_ids(parts[-1], vocabulary_size, file.path)
        if bare:
            notes.append(f"{file.path} has no header; it was read as bare {ids.dtype.name} token ids")
    return Tokens(parts[0] if len(parts) == 1 else np.concatenate(parts), source, notes=tuple(notes))


def _ids_of_shard(file: DataFile, vocabulary_size: int | None, most: int | None = None) -> tuple[np.ndarray, bool]:
    """The ids of a shard, at least `most` of them where it has so many, and whether it has no header.

    most : so many are enough; of a compressed shard no more are unfolded, and its header is believed
    """
    if file.plain:
        layout = shard_layout(file.head, Path(file.path).stat().st_size, file.path, vocabulary_size)
        return _plain_ids(file.path, layout, most), layout.bare
    told = size_by_header(file.head)  # None for bare numbers, which only their end ends
    asked = -1 if told is None else max(told, 0) + 1
    if most is not None:
        asked = HEADER_BYTES + WIDE.itemsize * most
    with opened(file.path) as stream:
        content = stream.read(asked)
    size = len(content) if told is None or len(content) < asked else max(told, len(content))
    layout = shard_layout(content, size, file.path, vocabulary_size)
    count = min(layout.count, (len(content) - layout.offset) // layout.dtype.itemsize)
    return np.frombuffer(content, layout.dtype, count, layout.offset), layout.bare


def _plain_ids(path: str, layout: ShardLayout, most: int | None) -> np.ndarray:
    """The first ids of a shard that is not compressed: `most`, or all. DataError where it is cut meanwhile."""
    count = layout.count if most is None else min(most, layout.count)
    if count * layout.dtype.itemsize > READ_BYTES:
        return np.memmap(path, layout.dtype, "r", layout.offset, (count,))
    ids = np.fromfile(path, layout.dtype, count, offset=layout.offset)
    if len(ids) < count:
        raise DataError(f"{path} became shorter while it was read; wait until it is whole, and give it again")
    ids.flags.writeable = False
    return ids


def _texts(
    files: Sequence[DataFile],
    source: str,
    tokenizer: Tokenizer,
    vocabulary_size: int,
    first: int,
    most: int | None,
    reading: ReadingProgress,
) -> Tokens:
    parts: list[np.ndarray] = []
    texts: list[TokenText] = []
    starts, total = [], 0
    head = np.array([] if first == NO_TOKEN else [first], dtype=np.int32)
    none = np.zeros(len(head), dtype=np.int32)
    before = TokenText(none, none, none, none.astype(bool))
    for document in _documents(files, reading):
        found = encode_parts(tokenizer, document, None if most is None else most - total, reading.encoded)
        if found is None:
            continue
        starts.append(total)
        parts.append(np.concatenate((head, found[0])))
        texts.append(TokenText.joined([before, found[1]]))
        total += len(parts[-1])
        if most is not None and total >= most:
            break  # before the next document is asked for, which would read what is left of this one
    reading.end()
    if not parts:
        raise DataError(f"{source} holds no text; give a token shard or UTF-8 text")
    if total == len(head) * len(parts):
        raise DataError(
            f"{source} holds white space alone, or characters that {tokenizer.source} drops: no token of it is text; "
            "give a token shard or UTF-8 text with words"
        )
    joined = np.concatenate(parts)
    _check_ids(joined, vocabulary_size, source)
    documents = np.array(starts, dtype=np.int64)
    notes = (*tokenizer.assumed, *(note for file in files for note in notes_of_file(file)))
    return Tokens(joined, source, TokenText.joined(texts), documents, first, notes)


def _documents(files: Sequence[DataFile], reading: ReadingProgress) -> Iterator[Iterator[str]]:
    for file in files:
        yield from documents_of(file, reading.read)


def read_byte_counts(paths: Sequence[str | Path], data: Sequence[str], tokens: Tokens) -> np.ndarray:
    """int32 [tokens]: bytes of text by token, from files beside the shards `data` that the tokens came from.

    Raises DataError when a file has not as many counts as its shard has tokens, and when all are 0.
    """
    files = [inspect_data(path) for path in expand_data(list(paths))]
    counts = [_ids_of_shard(file, None)[0] for file in files]
    sizes = [len(_ids_of_shard(inspect_data(path), MAX_TOKEN_ID)[0]) for path in data]
    wrong = next((n for n, (count, size) in enumerate(zip(counts, sizes, strict=False)) if len(count) != size), None)
    if wrong is None and len(counts) != len(sizes):
        wrong = 0
    found = np.concatenate(counts)[: len(tokens.ids)].astype(np.int32)
    if wrong is not None or not found.any():
        raise DataError(
            f"{files[wrong or 0].path} has {len(counts[wrong or 0]):,} counts of bytes, {int(found.sum()):,} bytes in "
            f"all, for the {sizes[wrong or 0]:,} tokens of {data[wrong or 0]}; give the counts that were written with "
            "these tokens"
        )
    return found


def sidecar_of(path: str) -> Path | None:
    """The counts of bytes beside a shard: "X_val_000000.bin" has "X_val_bytes_000000.bin"; None where there are none.

    The name is that of the public challenge's CaseOps records.
    """
    name = Path(path).name
    beside = Path(path).with_name(name.replace("_val_", f"_val{SIDECAR_MARK}", 1))
    return beside if "_val_" in name and SIDECAR_MARK not in name and beside.is_file() else None


def _check_ids(ids: np.ndarray, vocabulary_size: int, source: str) -> None:
    if not ids.size or int(ids.max()) < vocabulary_size:
        return
    place = int(np.argmax(ids >= vocabulary_size))
    raise DataError(
        f"{source}: token {place:,} has the id {int(ids[place])}, "
        f"but the model's vocabulary ends at {vocabulary_size - 1}; give data made with the model's own tokenizer"
    )
