"""Which tokenizer a file holds, and which of a folder's files is the tokenizer.

Strategy: content before names. Each kind says by a file's first bytes and its name whether it is its own, in one
ordered table; a folder's own file is the first of the usual names.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import tokenize
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...files.nested_text import parse_json
from ...files.pipes import pipe_refused
from ...format.registry import keyed
from ..shards import is_shard
from .gguf_tokenizer import MAGIC, lacks_tokenizer, read_gguf_tokenizer
from .pickled_values import Made, read_pickle
from .rank_files import read_pickled_encoding, read_ranks
from .scored_pieces import read_llama2c_tokenizer
from .sentencepiece_model import SentencepieceTokenizer
from .tables import BYTES, ByteTokenizer, character_table, read_byte_counts, read_characters
from .tokenizer import Tokenizer
from .tokenizer_json import read_tokenizer_json, read_vocabulary_and_merges
from .word_patterns import GPT2

NPY, ZIP, PICKLE = b"\x93NUMPY", b"PK\x03\x04", b"\x80"
HEAD_BYTES = 64
CONFIGURATION = "tokenizer_config.json"
BESIDE = {"vocab.json": "merges.txt", "tokenizer.json": CONFIGURATION, "tokenizer.model": CONFIGURATION}
# What reading a value of another shape than expected raises.
SHAPE_ERRORS = (KeyError, StopIteration, AttributeError, IndexError, TypeError, ValueError, OverflowError)
# In the order in which they are looked for beside a model.
USUAL_NAMES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.pkl",
    "tokenizer.bin",
    "vocab.json",
    "qwen.tiktoken",
    "meta.pkl",
    "chars.json",
    "token_bytes.npy",
    "token_bytes.json",
    "token_bytes.pt",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of tokenizer file.

    recognize : of the first HEAD_BYTES and the file's name      whether a file is of this kind
    read : of a path                                             the tokenizer
    """

    name: str
    recognize: Callable[[bytes, str], bool]
    read: Callable[[Path], Tokenizer]


def _of_content(read: Callable[[bytes, str], Tokenizer]) -> Callable[[Path], Tokenizer]:
    return lambda path: read(path.read_bytes(), str(path))


def _read_json(path: Path) -> Tokenizer:
    """A JSON file: tokenizer.json, vocab.json, characters, or a table of byte counts."""
    data = path.read_bytes()
    try:
        value = parse_json(data.decode("utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); copy it again") from error
    if isinstance(value, list) and value and all(type(entry) is int for entry in value):
        return read_byte_counts(value, str(path), hashlib.sha256(data).hexdigest())
    if isinstance(value, dict) and "model" in value:
        return read_tokenizer_json(data, str(path))
    merges = path.with_name(BESIDE["vocab.json"])
    if path.name == "vocab.json" and merges.is_file():
        return read_vocabulary_and_merges(data, merges.read_bytes(), str(path), GPT2)
    return read_characters(data, str(path))


def _read_pickled(path: Path) -> Tokenizer:
    """A pickle: nanochat's encoding, or nanoGPT's characters."""
    data = path.read_bytes()
    value = read_pickle(data, str(path))
    return read_pickled_encoding(data, str(path)) if isinstance(value, Made) else read_characters(data, str(path))


def _read_npy(path: Path) -> Tokenizer:
    data = path.read_bytes()
    return read_byte_counts(_npy_array(data, path), str(path), hashlib.sha256(data).hexdigest())


def _npy_array(data: bytes, path: Path) -> np.ndarray:
    """The array of a .npy file, of which the header is believed only as far as there are bytes."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
        return np.frombuffer(data, dtype, count=math.prod(shape), offset=stream.tell()).reshape(shape)
    except (tokenize.TokenError, SyntaxError, MemoryError, RecursionError, *SHAPE_ERRORS) as error:
        raise DataError(
            f"{path} is no array of numbers: its header and its bytes do not say one; save it again"
        ) from error


def _read_torch_file(path: Path) -> Tokenizer:
    """What torch wrote, without torch: nanochat's token_bytes.pt, one tensor of whole numbers; or the characters that a
    checkpoint holds beside its weights.
    """
    characters = _characters_inside(path)
    if characters is not None:
        return characters
    data = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            record = _pickle_record(archive)
            made = read_pickle(_stored(archive, record), str(path))
            _, kind, key, *_ = made.arguments[0].arguments[0]
            raw = _stored(archive, record.removesuffix("data.pkl") + f"data/{key}")
            types = {"torch.IntStorage": "<i4", "torch.LongStorage": "<i8", "torch.ShortStorage": "<i2"}
            table = np.frombuffer(raw, types[kind.name], count=int(made.arguments[2][0]))
    except (zipfile.BadZipFile, *SHAPE_ERRORS) as error:
        raise DataError(f"{path} is no tensor of bytes by token; save it as .npy, or give the tokenizer") from error
    return read_byte_counts(table, str(path), hashlib.sha256(data).hexdigest())


def _pickle_record(archive: zipfile.ZipFile) -> str:
    return next(name for name in archive.namelist() if name.endswith("/data.pkl"))


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member as it lies in the file: torch compresses none, and what is not unfolded cannot grow."""
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
        raise zipfile.BadZipFile(f"{name} is compressed or encrypted")
    return archive.read(member)


def _characters_inside(path: Path) -> Tokenizer | None:
    """The tokenizer of a checkpoint that holds its characters (`stoi`), or None for any other file."""
    try:
        with zipfile.ZipFile(path) as archive:
            value = read_pickle(_stored(archive, _pickle_record(archive)), str(path))
        found = {name: value[name] for name in ("stoi", "itos", "chars") if name in value}
        digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
        return character_table(found, str(path), digest) if found else None
    except (zipfile.BadZipFile, OSError, DataError, *SHAPE_ERRORS):
        return None


def _refuse_tekken(path: Path) -> Tokenizer:
    raise DataError(f"{path} is a tekken vocabulary; give the tokenizer.json of the same model")


KINDS = keyed(
    (
        Kind("gguf", lambda head, name: head.startswith(MAGIC), read_gguf_tokenizer),
        Kind("tekken", lambda head, name: name == "tekken.json", _refuse_tekken),
        Kind("npy", lambda head, name: head.startswith(NPY), _read_npy),
        Kind("torch", lambda head, name: head.startswith(ZIP), _read_torch_file),
        Kind("json", lambda head, name: head.lstrip()[:1] in (b"{", b"["), _read_json),
        Kind("pickle", lambda head, name: head.startswith(PICKLE) or name.endswith(".pkl"), _read_pickled),
        Kind("llama2.c", lambda head, name: name.endswith(".bin"), _of_content(read_llama2c_tokenizer)),
        Kind("ranks", lambda head, name: _is_rank_line(head), _of_content(read_ranks)),
        Kind("sentencepiece", lambda head, name: True, SentencepieceTokenizer.load),
    ),
    "name",
)


def _is_rank_line(head: bytes) -> bool:
    """Whether a file begins with base64 text, a space and a number."""
    parts = head.split(b"\n")[0].split(b" ")
    return len(parts) == 2 and parts[1].strip().isdigit() and parts[0].isascii() and len(parts[0]) % 4 == 0


def load_tokenizer(path: str | Path) -> Tokenizer:
    """The tokenizer of a file, of a folder that holds one, or "bytes"; DataError when it cannot be read or is none."""
    if str(path) == BYTES and not Path(path).exists():
        return ByteTokenizer()
    path = Path(path)
    if path.is_dir():
        found = find_tokenizer(path)
        if found is None:
            raise DataError(f"{path} holds no tokenizer ({', '.join(USUAL_NAMES[:3])}, ...); give its file")
        path = found
    if path.is_char_device():
        raise DataError(f"{path} is a device, which may never end; give the tokenizer's file")
    if refused := pipe_refused(path):
        raise DataError(refused)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if is_shard(head):
            raise DataError(f"{path} is a token shard, no tokenizer; give the tokenizer's file, and the shard as data")
        tokenizer = next(kind for kind in KINDS.values() if kind.recognize(head, path.name)).read(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except RecursionError as error:
        raise DataError(f"{path} is no tokenizer: its values are nested too deeply; copy it again") from error
    if tokenizer.beginning is None and BESIDE.get(path.name) == CONFIGURATION:
        tokenizer.beginning = _beginning_beside(path, tokenizer)
    return tokenizer


def _beginning_beside(path: Path, tokenizer: Tokenizer) -> int | None:
    """What Hugging Face's tokenizer_config.json says: the token before a text, -1 for none, None for nothing."""
    try:
        found = parse_json(path.with_name(CONFIGURATION).read_text(encoding="utf-8"))
        adds, piece = found["add_bos_token"], found.get("bos_token")
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if not adds:
        return -1
    piece = piece.get("content") if isinstance(piece, dict) else piece
    same = (token for token in range(tokenizer.vocabulary_size) if tokenizer.piece(token) == piece)
    return next((token for token in same if tokenizer.is_boundary(token)), None)


def tokenizer_files(path: str | Path) -> list[Path]:
    """The files that `load_tokenizer` reads for a path; none for "bytes", nor for a folder that holds none."""
    path = Path(path)
    if str(path) == BYTES and not path.exists():
        return []
    found = find_tokenizer(path) if path.is_dir() else path
    if found is None:
        return []
    beside = found.with_name(BESIDE.get(found.name, found.name))
    return [found, beside] if beside != found and beside.is_file() else [found]


def _has_gguf_tokenizer(model: Path) -> bool:
    return model.suffix == ".gguf" and not lacks_tokenizer(model)


def find_tokenizer(model: Path) -> Path | None:
    """The tokenizer that belongs to a model's file or folder: in it, beside it, or None."""
    if model.is_file() and (_has_gguf_tokenizer(model) or _characters_inside(model) is not None):
        return model
    folder = model if model.is_dir() else model.parent
    usual = next((folder / name for name in USUAL_NAMES if (folder / name).is_file()), None)
    if usual is not None or not model.is_dir():
        return usual
    others = [entry for suffix in ("*.tiktoken", "*.gguf") for entry in sorted(folder.glob(suffix))]
    return others[0] if len(others) == 1 else None
