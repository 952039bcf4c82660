"""Good files beside the mutated ones: data, tokenizers and weights that commands and settings are tried with."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from bytecap.runtime.shards import write_shard

CHARACTERS = "abcdefghijklmnopqrst"  # of a tokenizer with fewer pieces than any vocabulary here
TOKENS = 600


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="bytecap-fuzz-fixtures-")


@cache
def fixtures() -> Path:
    """A folder with `shard.bin`, `text.txt` and `characters.json`, which lives as long as the process."""
    folder = Path(_kept().name)
    ids = np.random.default_rng(0).integers(0, len(CHARACTERS), TOKENS)
    write_shard(folder / "shard.bin", ids.astype(np.uint16))
    (folder / "text.txt").write_text("".join(CHARACTERS[token] for token in ids))
    (folder / "characters.json").write_text(json.dumps(list(CHARACTERS)))
    return folder


def remove_fixtures() -> None:
    """For a process that ends without Python's own end, as those of pytest-xdist do."""
    _kept().cleanup()


OTHER_TOKENIZER = ("--tokenizer", fixtures() / "characters.json", "--other-tokenizer")
