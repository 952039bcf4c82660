"""How far a calibration text is read: to a bound that no effort needs, and for a dry run no further than a glance."""

from __future__ import annotations

import gzip
import io
import json
import sys
from types import SimpleNamespace

import pytest
import zstandard
from tiny_tokenizers import model_bytes, tiny_tokenizer, words

from bytecap.compiler import inputs
from bytecap.compiler.inputs import read_calibration
from bytecap.errors import DataError
from bytecap.runtime.shards import write_shard
from bytecap.runtime.tokenizers import load_tokenizer
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
    return read_calibration(files / name, [], load_tokenizer(files / "tokenizer.model"), MODEL, **options)


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


@pytest.fixture
def shapes(files):
    """The text in every shape that is glanced at; the fields beside it in JSON lines are no text."""
    documents = TEXT.split("\0")
    more = [{"id": n, "text": text, "from": "x" * 3 * len(text)} for n, text in enumerate(documents)]
    lines = "".join(json.dumps(each) + "\n\n" for each in [{"text": ""}, *more]).encode()
    one = (json.dumps({"text": " ".join(documents), "from": "x"}) + "\n").encode()
    text = TEXT.encode()
    for name, content in (("more.jsonl", lines), ("one.jsonl", one), ("one.txt", text.replace(b"\0", b" "))):
        (files / name).write_bytes(content)
        (files / f"{name}.gz").write_bytes(gzip.compress(content))
    (files / "two.txt.gz").write_bytes(gzip.compress(text[:2000]) + gzip.compress(text[2000:]))
    (files / "x.txt.zst").write_bytes(zstandard.compress(text))
    stream = zstandard.ZstdCompressor().compressobj()  # its frame does not say how much it holds
    (files / "stream.zst").write_bytes(stream.compress(text) + stream.flush())
    return files


SHAPES = ["x.txt", "x.txt.gz", "x.jsonl", "more.jsonl", "more.jsonl.gz", "one.jsonl", "one.jsonl.gz", "one.txt"]
SHAPES += ["one.txt.gz", "two.txt.gz", "x.txt.zst", "stream.zst"]


@pytest.mark.parametrize("name", SHAPES)
def test_a_glance_reads_the_beginning_and_says_how_much_there_is_about(name, shapes, bounds, monkeypatch):
    found, whole = read(shapes, name, glance=True), read(shapes, name)
    assert [*found.tokens, *found.held_out.ravel()] == [*whole.tokens, *whole.held_out.ravel()][:300]
    assert found.total + found.held_out.size == 1000  # a compile reads no more either
    assert found.notes == (
        f"{shapes / name} has about 1,000 tokens or more, by its first 300; a compile reads no further, as no effort "
        "learns from more",
    )
    monkeypatch.setattr(inputs, "MOST_TEXT_TOKENS", 10**6)
    found, whole = read(shapes, name, glance=True), read(shapes, name)
    there = whole.tokens.size + whole.held_out.size
    assert found.total + found.held_out.size == pytest.approx(there, rel=0.1)
    assert found.notes == (f"{shapes / name} has about {found.total + found.held_out.size:,} tokens, by its first 300",)


@pytest.mark.parametrize("name", ["x.txt.gz", "x.jsonl"])
def test_a_glance_encodes_no_more_than_it_needs(name, shapes, bounds, monkeypatch):
    told = []
    real = inputs.read_tokens
    monkeypatch.setattr(
        inputs, "read_tokens", lambda *given, **how: told.append(how["max_tokens"]) or real(*given, **how)
    )
    read(shapes, name, glance=True)
    assert told == [300]


def test_what_is_damaged_behind_a_glance_is_found(shapes, bounds, monkeypatch):
    monkeypatch.setattr(inputs, "MOST_TEXT_TOKENS", 10**6)
    with open(shapes / "x.jsonl", "ab") as file:
        file.write(b"{\n")
    with pytest.raises(DataError, match="line 21 is not JSON"):
        read(shapes, "x.jsonl", glance=True)


def test_standard_input_which_is_read_once_is_read_as_for_a_compile(shapes, bounds, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(TEXT.encode()))))
    found = read_calibration("-", [], load_tokenizer(shapes / "tokenizer.model"), MODEL, glance=True)
    assert found.total + found.held_out.size == 1000 and "only the first 1,000 tokens of -" in found.notes[0]
