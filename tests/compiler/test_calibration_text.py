"""How far a calibration text is read: to a bound that no effort needs, and for a dry run no further than a glance."""

from __future__ import annotations

import gzip
import json
from types import SimpleNamespace

import pytest
from tiny_tokenizers import model_bytes, tiny_tokenizer, words

from bytecap.compiler import inputs
from bytecap.compiler.inputs import read_calibration
from bytecap.runtime.shards import write_shard
from bytecap.runtime.tokens import read_tokens

LENGTH = 16
MODEL = SimpleNamespace(program=SimpleNamespace(vocabulary_size=420, sequence_length=LENGTH, boundary_token=1))
TEXT = "\0".join(" ".join(words(seed, 60)) for seed in range(20))


@pytest.fixture
def files(tmp_path):
    """One text in all its forms, and its tokenizer."""
    (tmp_path / "tokenizer.model").write_bytes(model_bytes())
    (tmp_path / "x.txt").write_text(TEXT)
    (tmp_path / "x.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "x.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXT.split("\0")))
    write_shard(tmp_path / "x.bin", read_tokens(tmp_path / "x.txt", tiny_tokenizer(), 420, 1).ids)
    return tmp_path


@pytest.fixture
def bounds(monkeypatch):
    monkeypatch.setattr(inputs, "MOST_TEXT_TOKENS", 1000)
    monkeypatch.setattr(inputs, "GLANCE_TOKENS", 300)


def read(files, name, **options):
    return read_calibration(files / name, [], files / "tokenizer.model", MODEL, **options)


def test_a_text_within_the_bound_is_read_whole(files):
    whole = read(files, "x.bin")
    for name in ("x.txt", "x.txt.gz", "x.jsonl"):
        for glance in (False, True):
            found = read(files, name, glance=glance)
            assert found.tokens.tolist() == whole.tokens.tolist() and found.held_out.tolist() == whole.held_out.tolist()
            assert found.total == len(found.tokens) and found.notes == ()


@pytest.mark.parametrize("name", ["x.txt", "x.txt.gz", "x.jsonl"])
def test_no_more_is_read_than_any_effort_learns_from(name, files, bounds):
    whole, found = read(files, "x.bin"), read(files, name)
    assert [*found.tokens, *found.held_out.ravel()] == whole.tokens[:1000].tolist()
    assert found.total == len(found.tokens)
    assert found.notes == (
        f"only the first 1,000 tokens of {files / name} were read, more than any effort learns from",
    )


def test_a_shard_is_mapped_however_long(files, bounds):
    assert len(read(files, "x.bin", glance=True).tokens) > 1000 and read(files, "x.bin").notes == ()


def test_a_glance_reads_the_beginning_and_says_how_much_there_is_about(files, bounds, monkeypatch):
    whole = read(files, "x.bin")
    found = read(files, "x.txt", glance=True)
    assert [*found.tokens, *found.held_out.ravel()] == whole.tokens[:300].tolist()
    assert found.total + found.held_out.size == 1000  # a compile reads no more either
    monkeypatch.setattr(inputs, "MOST_TEXT_TOKENS", 10**6)
    found = read(files, "x.txt", glance=True)
    there = whole.tokens.size + whole.held_out.size
    assert found.total + found.held_out.size == pytest.approx(there, rel=0.1)
    assert found.notes == (
        f"{files / 'x.txt'} has about {found.total + found.held_out.size:,} tokens, by its first 300",
    )


@pytest.mark.parametrize("name", ["x.txt.gz", "x.jsonl"])
def test_where_its_size_tells_nothing_of_its_tokens_a_text_is_read_as_for_a_compile(name, files, bounds):
    assert read(files, name, glance=True).tokens.tolist() == read(files, name).tokens.tolist()
