"""Tokenizers of every kind, token shards, and texts."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import zstandard
from byte_mutations import changed_bytes, mutated
from fixtures import fixtures
from fuzz_frame import Answer, Mutator, Seed, Target
from gguf_mutations import changed_gguf
from json_mutations import changed_json, odd_json_value
from protobuf_mutations import changed_protobuf
from text_mutations import another_encoding, changed_json_line, changed_lines, compressed, odd_characters
from tiny_artifacts import tiny_artifact
from tiny_tokenizers import KINDS, model_bytes
from tokenizer_files import write_tokenizers
from weights_mutations import changed_header, changed_pickle, changed_tokens, changed_zip
from weights_seeds import saved
from weights_targets import raise_unnamed

from bytecap.errors import DataError
from bytecap.runtime.data_content import DataContent
from bytecap.runtime.shards import encode_shard
from bytecap.runtime.tokenizers import load_tokenizer
from bytecap.runtime.tokens import read_tokens

SAMPLE = "ab  cde, \u00e9\u4e2d\n<s>mno \U0001f600p"
VOCABULARY, BOUNDARY = 420, 1
JSON: tuple[Mutator, ...] = (odd_json_value, odd_json_value, changed_json, changed_json, odd_characters, changed_bytes)
TEXT: tuple[Mutator, ...] = (changed_lines, odd_characters, another_encoding, changed_bytes)
MUTATORS: dict[str, tuple[Mutator, ...]] = {
    ".json": JSON,
    ".txt": TEXT,
    ".tiktoken": (changed_lines, changed_lines, odd_characters, changed_bytes),
    ".pkl": (changed_pickle, changed_pickle, changed_bytes),
    ".gguf": (changed_gguf, changed_gguf, changed_bytes),
    ".bin": (changed_header, changed_bytes),
    ".model": (changed_protobuf, changed_protobuf, changed_protobuf, changed_bytes),
    ".npy": (changed_bytes,),
    ".pt": (changed_zip, changed_zip, changed_bytes),
}


def _load_tokenizer(path: Path) -> Answer:
    """Loaded, and used as a score uses it: text to ids, ids to bytes, the table and the identity."""
    try:
        tokenizer = load_tokenizer(path)
        size, identity = tokenizer.vocabulary_size, tokenizer.identity
        ids, spans = tokenizer.encode_spans(SAMPLE)
        table = tokenizer.byte_table()
        if ids and not 0 <= min(ids) <= max(ids) < size:
            raise AssertionError(f"ids {ids} outside of {size} pieces")
        if len(spans) != len(ids):
            raise AssertionError(f"{len(spans)} spans of {len(ids)} ids")
        tokenizer.check_decoding(np.array(ids, np.int64), "the sample")
        pieces = [tokenizer.piece(token) for token in range(min(size, 50))]
    except DataError as error:
        if str(path.parent) not in str(error) and "the sample" not in str(error):
            raise_unnamed(error)
        raise
    return Answer(f"{size} pieces, {identity}, {ids}, {int(table.base_bytes.sum())}, {pieces}, {tokenizer.assumed}")


def _tokenizer_seeds() -> list[Seed]:
    with tempfile.TemporaryDirectory() as name:
        paths = [path for path in write_tokenizers(Path(name)).values() if path.is_file()]
        contents = [(path.name, path.read_bytes()) for path in [*paths, Path(name) / "token_bytes.npy"]]
        merges = (Path(name) / "split" / "merges.txt").read_bytes()
    contents += [(f"{kind}.model", model_bytes(kind)) for kind in KINDS if kind != "prefixed"]
    contents.append(("token_bytes.json", json.dumps([0, 1, 2, 3]).encode()))
    contents.append(("token_bytes.pt", saved(_token_bytes())))
    contents.append(("characters.pt", saved({"stoi": {"a": 0, "b": 1}, "itos": {0: "a", 1: "b"}, "model": {}})))
    contents.append(("unigram.model", _unigram_model()))
    seeds = []
    for file, data in contents:
        beside = {"merges.txt": merges} if file == "vocab.json" else {}
        if file in ("bpe.json", "own.model"):  # under the name by which a folder's settings are looked for
            renamed = "tokenizer" + Path(file).suffix
            beside = {"tokenizer_config.json": json.dumps({"add_bos_token": True, "bos_token": "<s>"}).encode()}
            seeds.append(_seed(renamed, data, beside))
        seeds.append(_seed(file, data, beside if file == "vocab.json" else {}))
    return seeds


def _seed(file: str, data: bytes, beside: dict[str, bytes]) -> Seed:
    files = {file: data, **beside}
    return Seed(files, {name: MUTATORS[Path(name).suffix] for name in files})


def _token_bytes() -> object:
    import torch

    return torch.tensor([0, 1, 2, 3], dtype=torch.int32)


def _unigram_model() -> bytes:
    """A sentencepiece model of the other kind, with the normalization that most have."""
    import io

    import sentencepiece
    from tokenizer_files import lines

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines()), model_writer=model, vocab_size=60, hard_vocab_limit=False, minloglevel=2
    )
    return model.getvalue()


def _tokenizer_commands(path: Path, output: Path) -> Sequence[Sequence[object]]:
    text = ("--data", fixtures() / "text.txt", "--max-tokens", 50, "--tokenizer", path)
    return (("eval", _artifact(), *text), ("eval", _artifact(), "--other-tokenizer", "--json", *text))


# ---- shards and texts ----------------------------------------------------------------------------


def _read_data(path: Path, tokenizer: str | None) -> Answer:
    """As far as a few tokens, and whole; what the file is as a whole."""
    loaded = None if tokenizer is None else load_tokenizer(tokenizer)
    try:
        few = read_tokens(path, loaded, VOCABULARY, BOUNDARY, max_tokens=30)
        tokens = read_tokens(path, loaded, VOCABULARY, BOUNDARY)
        content = DataContent(str(path), VOCABULARY)
        content.take_digest()
        for ids in (few.ids, tokens.ids):
            if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < VOCABULARY:
                raise AssertionError("ids outside of the vocabulary were accepted")
        if list(few.ids[:31]) != list(tokens.ids[: len(few.ids)][:31]):
            raise AssertionError("the first tokens are others when all are read")
    except DataError as error:
        if str(path.parent) not in str(error):
            raise_unnamed(error)
        raise
    documents = None if tokens.documents is None else tokens.documents.tolist()
    return Answer(f"{len(tokens.ids)} tokens, {documents}, {content.describe()}, {tokens.notes}")


def _shard_seeds() -> list[Seed]:
    ids = np.random.default_rng(0).integers(0, VOCABULARY, 400).astype(np.uint16)
    ids[::37] = BOUNDARY
    shard = encode_shard(ids)
    files = {
        "val.bin": shard,
        "train_000001.bin": ids.tobytes(),
        "wide.bin": ids.astype("<u4").tobytes(),
        "val.bin.gz": gzip.compress(shard, mtime=0),
        "val.bin.zst": zstandard.compress(shard),
    }
    modern = bytearray(shard)
    modern[:8] = (20240801).to_bytes(4, "little") + (7).to_bytes(4, "little")
    files["modern.bin"] = bytes(modern)
    mutators: tuple[Mutator, ...] = (changed_header, changed_header, changed_tokens, changed_bytes, compressed)
    seeds = [Seed({name: data}, {name: mutators}) for name, data in files.items() if name.endswith(".bin")]
    return seeds + [
        Seed({name: data}, {name: (changed_bytes, compressed)}) for name, data in files.items() if ".bin." in name
    ]


def _text_seeds() -> list[Seed]:
    text = "".join(f"Document {number}: caf\u00e9 \u4e2d\u6587, a b  c.\n" for number in range(30)).encode()
    lines = b"\n".join(json.dumps({"text": f"line {number}\n\u00e9", "id": number}).encode() for number in range(20))
    mutators = (*TEXT, compressed)
    files: dict[str, tuple[bytes, tuple[Mutator, ...]]] = {
        "plain.txt": (text, mutators),
        "windows.txt": (text.replace(b"\n", b"\r\n"), mutators),
        "separated.txt": (text.replace(b"\n", b"\0"), mutators),
        "lines.jsonl": (lines, (changed_json_line, changed_json_line, *mutators)),
        "text.txt.gz": (gzip.compress(text, mtime=0), (changed_bytes,)),
        "lines.jsonl.zst": (zstandard.compress(lines), (changed_bytes,)),
        "short.txt": (b"a", mutators),
    }
    return [Seed({name: data}, {name: mutators}) for name, (data, mutators) in files.items()]


@cache
def _artifact() -> Path:
    path = fixtures() / "tiny.bcap"
    path.write_bytes(tiny_artifact())
    return path


def _data_commands(path: Path, output: Path) -> Sequence[Sequence[object]]:
    tokenizer = ("--tokenizer", fixtures() / "characters.json", "--other-tokenizer")
    return (
        ("eval", _artifact(), "--data", path, *tokenizer),
        ("eval", _artifact(), "--data", path, "--tokenizer", "bytes", "--other-tokenizer", "--json"),
        ("verify", _artifact(), "--data", path, *tokenizer, "--json"),
    )


TOKENIZER = Target("tokenizer", _tokenizer_seeds, _load_tokenizer, mutated, _tokenizer_commands, (DataError,))
SHARD = Target("shard", _shard_seeds, partial(_read_data, tokenizer=None), mutated, _data_commands, (DataError,))
TEXTS = Target("text", _text_seeds, partial(_read_data, tokenizer="bytes"), mutated, _data_commands, (DataError,))
