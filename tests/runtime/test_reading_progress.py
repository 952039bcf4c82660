"""How far texts are tokenized: told for every kind of file, in bytes of the files, never beyond the end."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import random
import sys
from types import SimpleNamespace

import pytest
import zstandard

from bytecap.runtime import data_files, document_parts, reading_progress
from bytecap.runtime.shards import write_shard
from bytecap.runtime.tokenizers import load_tokenizer
from bytecap.runtime.tokens import NO_TOKEN, read_tokens

BLOCK = 1000
RANDOM = random.Random(4)
DOCUMENTS = ["".join(RANDOM.choices("abcdefgh ", k=RANDOM.randrange(1, 900))) for _ in range(60)]
LONG = "".join(RANDOM.choices("abcdefgh ", k=40_000))
TEXTS = {
    "documents.txt": "\0".join(DOCUMENTS).encode(),
    "long.txt": LONG.encode(),
    "documents.jsonl": "".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS).encode(),
}
PACKED = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(data_files, "TEXT_BLOCK_BYTES", BLOCK)
    monkeypatch.setattr(reading_progress, "STEP_BYTES", BLOCK)
    monkeypatch.setattr(document_parts, "WINDOW", 4 * BLOCK)
    monkeypatch.setattr(document_parts, "OVERLAP", BLOCK)


def heard(paths, **options):
    """What a reading tells, and its tokens."""
    told = []
    options = {"beginning": NO_TOKEN, "progress": lambda *event: told.append(event), **options}
    return told, read_tokens(paths, load_tokenizer("bytes"), 256, NO_TOKEN, **options)


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("name", TEXTS)
def test_every_text_tells_how_far_it_is_tokenized(name, suffix, tmp_path):
    path = tmp_path / (name + suffix)
    path.write_bytes(PACKED[suffix](TEXTS[name]))
    size = path.stat().st_size
    told, found = heard(path)
    assert len(found.ids) == len(TEXTS[name]) - (59 if name == "documents.txt" else 0) or name.endswith("l")
    assert {stage for stage, _, _ in told} == {f"tokenize {path.name} (bytes)"}
    assert {total for _, _, total in told} == {size}
    places = [done for _, done, _ in told]
    assert places[0] == 0 and places[-1] == size and places == sorted(places)
    if size > 20 * BLOCK:
        steps = [later - before for before, later in itertools.pairwise(places)]
        assert len(places) >= 5 and max(steps) <= 9 * BLOCK  # io.BufferedReader takes 8 KiB of a compressed file


def test_several_files_are_one_stage(tmp_path):
    for number, document in enumerate(DOCUMENTS[:3]):
        (tmp_path / f"{number}.txt").write_text(document)
    told, _ = heard(sorted(tmp_path.glob("*.txt")))
    assert told[-1][1:] == (sum(map(len, DOCUMENTS[:3])),) * 2
    assert {stage for stage, _, _ in told} == {"tokenize 0.txt and 2 more (bytes)"}


@pytest.mark.parametrize("name", TEXTS)
def test_a_reading_that_needs_little_ends_early_and_says_so(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(TEXTS[name])
    told, _ = heard(path, max_tokens=12_000)
    *_, (_, before, total), (_, done, end) = told
    assert before <= done == end < 0.7 * len(TEXTS[name])
    assert before <= total < len(TEXTS[name])  # by then the bound is known to come before the end


def test_the_end_of_standard_input_is_not_known(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(LONG.encode()))))
    told, _ = heard("-")
    assert {stage for stage, _, _ in told} == {"tokenize standard input (bytes)"}
    assert {total for _, _, total in told[:-1]} == {0} and told[-1][1:] == (len(LONG),) * 2


def test_a_name_moves_nothing_on_a_terminal(tmp_path):
    path = tmp_path / "a\x1b[2Jb.txt"
    path.write_text("abc")
    assert heard(path)[0][0][0] == "tokenize a\\x1b[2Jb.txt (bytes)"


def test_a_shard_is_not_tokenized(tmp_path):
    write_shard(tmp_path / "x.bin", heard_ids := [1, 2, 3])
    told, found = heard(tmp_path / "x.bin")
    assert told == [] and found.ids.tolist() == heard_ids
