"""The tokenizer inside a GGUF file.

Strategy: the fields are read up to the tensors and no further. BPE vocabularies become a pipeline of the `tokenizers`
library with the word pattern that the file names; SPM and unigram vocabularies become the sentencepiece models that
they were. What is named and not known is refused by name. Source: gguf.md of ggml.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import DataError
from .scored_pieces import BPE, CONTROL, UNIGRAM, UNUSED, USER_DEFINED, model_of_pieces, tokenizer_of_pieces
from .tokenizer import Tokenizer
from .tokenizer_json import LibraryTokenizer, byte_level_pipeline
from .word_patterns import GGUF_PATTERNS, WHOLE_WORD_NAMES

MAGIC = b"GGUF"
FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
MOST_VALUES = 1 << 24
PREFIX = "tokenizer.ggml."
KIND = "GGUF"
PIECE_TYPES = range(7)  # of ggml: undefined, normal, unknown, control, user-defined, unused, byte
LIST_FIELDS: dict[str, type | tuple[type, ...]] = {
    "tokens": str,
    "merges": str,
    "token_type": int,
    "scores": (float, int),
    "precompiled_charsmap": int,
}
SINGLE_FIELDS: dict[str, type | tuple[type, ...]] = {"model": str, "pre": str, "bos_token_id": int}


def read_gguf_fields(file: BinaryIO, source: str) -> Iterator[tuple[str, Any]]:
    """The keys and values of a GGUF file, in order; DataError when it is none or ends inside them."""
    try:
        if file.read(4) != MAGIC:
            raise DataError(f"{source} is no GGUF file")
        version, _, count = struct.unpack("<IQQ", _exactly(file, 20))
        if version not in (2, 3):
            raise DataError(
                f"{source} is a GGUF file of version {version}; versions 2 and 3 are known, convert it again"
            )
        for _ in range(count):
            yield _string(file), _value(file, struct.unpack("<I", _exactly(file, 4))[0])
    except (EOFError, KeyError, UnicodeDecodeError, MemoryError) as error:
        raise DataError(f"{source} is cut or damaged inside its fields; copy it again") from error


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError
    return data


def _string(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", _exactly(file, 8))
    if length > MOST_VALUES:
        raise EOFError
    return _exactly(file, length).decode("utf-8")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return _string(file)
    if kind != ARRAY:
        return struct.unpack("<" + FORMATS[kind], _exactly(file, struct.calcsize("<" + FORMATS[kind])))[0]
    inner, count = struct.unpack("<IQ", _exactly(file, 12))
    if count > MOST_VALUES:
        raise EOFError
    if inner in (STRING, ARRAY):
        return [_value(file, inner) for _ in range(count)]
    form = f"<{count}{FORMATS[inner]}"
    return list(struct.unpack(form, _exactly(file, struct.calcsize(form))))


def lacks_tokenizer(path: Path) -> bool:
    """Whether a whole GGUF file has a model without a tokenizer; what is wrong with another is told who reads it."""
    try:
        with path.open("rb") as file:
            return not any(key == f"{PREFIX}tokens" for key, _ in read_gguf_fields(file, str(path)))
    except (DataError, OSError):
        return False


def read_gguf_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a GGUF file; DataError when it has none, or one that is not known here."""
    with path.open("rb") as file:
        fields = dict(read_gguf_fields(file, str(path)))
    found = {key.removeprefix(PREFIX): value for key, value in fields.items() if key.startswith(PREFIX)}
    if not found.get("tokens"):
        raise DataError(f"{path} holds no tokenizer (no {PREFIX}tokens); give --tokenizer with the model's own")
    _check_types(found, str(path))
    tokenizer = _tokenizer_of_fields(found, str(path), hashlib.sha256(_canonical(found)).hexdigest())
    adds = found.get("add_bos_token")
    if adds is not None:
        tokenizer.beginning = found.get("bos_token_id", 1) if adds else -1
    return tokenizer


def _check_types(found: Mapping[str, Any], source: str) -> None:
    """DataError for a field of another type than its readers rely on."""
    for name, kind in (*LIST_FIELDS.items(), *SINGLE_FIELDS.items()):
        value = found.get(name)
        values = value if name in LIST_FIELDS and isinstance(value, list) else [value]
        good = all(isinstance(each, kind) for each in values) and (name in LIST_FIELDS) == isinstance(value, list)
        if value is not None and not good:
            raise DataError(f"{source}: {PREFIX}{name} is of another type than a tokenizer has; convert it again")


def _canonical(found: Mapping[str, Any]) -> bytes:
    """The fields in one spelling, so that the same tokenizer has one digest in files of other weights."""
    return json.dumps(found, sort_keys=True, ensure_ascii=True).encode()


def _tokenizer_of_fields(found: Mapping[str, Any], source: str, digest: str) -> Tokenizer:
    model, tokens = found.get("model"), found["tokens"]
    types = found.get("token_type") or [1] * len(tokens)
    if model == "gpt2":
        return LibraryTokenizer(_byte_level(found, tokens, types, source), source, digest, KIND)
    scores = found.get("scores")
    if model in ("llama", "t5") and scores is not None and len(scores) == len(types) == len(tokens):
        if not set(types) <= set(PIECE_TYPES) or not all(map(math.isfinite, scores)):
            raise DataError(f"{source} has pieces of no kind that is known, or scores that are none; convert it again")
        data = model_of_pieces(
            zip(tokens, scores, types, strict=True),
            model_type=BPE if model == "llama" else UNIGRAM,
            add_space=bool(found.get("add_space_prefix", True)),
            remove_extra_spaces=bool(found.get("remove_extra_whitespaces", False)),
            precompiled=bytes(value & 0xFF for value in found.get("precompiled_charsmap", ())),
        )
        return tokenizer_of_pieces(data, source, digest, KIND)
    known = model in ("llama", "t5")
    why = "without a score and a type for each piece" if known else "which is not known here (known: gpt2, llama, t5)"
    raise DataError(
        f"{source} has a tokenizer of the kind {model!r}, {why}; give --tokenizer with the model's own tokenizer"
    )


def _byte_level(found: Mapping[str, Any], tokens: Sequence[str], types: Sequence[int], source: str):
    """The pipeline of a byte-level BPE; the pattern is the one that the file names."""
    name = found.get("pre", "gpt-2")
    if name not in GGUF_PATTERNS:
        raise DataError(
            f"{source} cuts words by the rule {name!r} ({PREFIX}pre), which is not known here; "
            "give --tokenizer with the model's tokenizer.json"
        )
    if len(types) != len(tokens):
        raise DataError(f"{source}: {PREFIX}token_type has {len(types):,} entries for {len(tokens):,} pieces")
    special = {
        piece: kind == CONTROL for piece, kind in zip(tokens, types, strict=True) if kind in (CONTROL, USER_DEFINED)
    }
    used = ((token, piece) for token, (piece, kind) in enumerate(zip(tokens, types, strict=True)) if kind != UNUSED)
    vocabulary = {piece: token for token, piece in used}  # what pads a vocabulary stands for no text
    try:
        merges = [(left, right) for left, right in (merge.split(" ") for merge in found.get("merges", ()))]
        whole = name in WHOLE_WORD_NAMES
        return byte_level_pipeline(vocabulary, merges, GGUF_PATTERNS[name], special, whole_words=whole)
    except Exception as error:  # the tokenizers library raises Exception itself
        raise DataError(f"{source}: its merges do not fit its pieces ({error}); give the tokenizer.json") from error
