"""Tokenizers for the tests of text: exact ones, ones that rewrite text, and ones that lack characters."""

from __future__ import annotations

import json

from tiny_tokenizers import KINDS, tiny_tokenizer
from tokenizer_files import byte_level_json, metaspace_json

from bytecap.runtime.tokenizers import Tokenizer
from bytecap.runtime.tokenizers.tables import ByteTokenizer
from bytecap.runtime.tokenizers.tokenizer_json import read_tokenizer_json


def normalizing(kind: str) -> Tokenizer:
    """A tokenizer.json that rewrites text before it cuts it."""
    described = json.loads(byte_level_json())
    described["normalizer"] = {"type": kind}
    return read_tokenizer_json(json.dumps(described).encode(), f"{kind}.json")


TOKENIZERS = {kind: tiny_tokenizer(kind) for kind in KINDS} | {
    "raw": ByteTokenizer(),
    "json": read_tokenizer_json(byte_level_json().encode(), "a.json"),
    "metaspace": read_tokenizer_json(metaspace_json().encode(), "b.json"),
    "unigram": read_tokenizer_json(metaspace_json("Unigram").encode(), "c.json"),
    "NFKC": normalizing("NFKC"),
    "Lowercase": normalizing("Lowercase"),
}
