"""The demo's data: this Python's own documentation, the same every time, disjoint parts, a sound tokenizer."""

from __future__ import annotations

import numpy as np
import pytest
import sentencepiece

from bytecap.errors import DataError, OutputError
from bytecap.lab.demo import demo_text
from bytecap.lab.demo.demo_text import python_documentation, split_documents, train_tokenizer, write_demo_data
from bytecap.runtime.checked_pieces import checked_byte_table
from bytecap.runtime.shards import read_shard
from bytecap.runtime.tokenizers import SentencepieceTokenizer
from bytecap.runtime.tokens import read_tokens


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_demo_data(tmp_path_factory.mktemp("demo"), 1024)


@pytest.fixture(scope="module")
def documents(data):
    return data.text.read_text(encoding="utf-8").split("\0")


def test_the_text_is_this_pythons_documentation(documents):
    assert sum(len(text.encode()) for text in documents) > 1_000_000
    joined = "\0".join(documents)
    assert "Dictionaries preserve insertion order" in joined  # a topic of the language reference
    assert "JSON (JavaScript Object Notation) <https://json.org>" in joined  # the docstring of a module
    assert len(set(documents)) == len(documents) and min(map(len, documents)) >= demo_text.LEAST_DOCUMENT


def test_shards_hold_the_parts_in_order_and_decode_to_their_text(data, documents):
    tokenizer = SentencepieceTokenizer.load(data.tokenizer)
    parts = split_documents(documents)
    normalizer = sentencepiece.SentencePieceNormalizer(model_file=str(data.tokenizer))
    for part in ("validation", "calibration", "train"):
        ids = read_shard(getattr(data, part))
        starts = np.flatnonzero(ids == demo_text.BOUNDARY_TOKEN)
        assert starts[0] == 0 and len(starts) == len(parts[part])
        for document, run in list(zip(parts[part], np.split(ids, starts[1:]), strict=True))[:20]:
            assert tokenizer.decode(run[1:]) == normalizer.normalize(document).replace("\u2581", " ")


def test_parts_are_disjoint_and_of_their_sizes(data, documents):
    parts = split_documents(documents)
    assert sorted(text for part in parts.values() for text in part) == sorted(documents)
    sizes = {part: len(read_shard(getattr(data, part))) for part in parts}
    assert min(sizes["validation"], sizes["calibration"]) > 0.08 * sum(sizes.values())
    assert sizes["train"] > 0.6 * sum(sizes.values())


def test_the_byte_table_agrees_with_the_text(data):
    tokenizer = SentencepieceTokenizer.load(data.tokenizer)
    tokens = read_tokens(data.validation, tokenizer, 1024, demo_text.BOUNDARY_TOKEN)
    checked_byte_table(tokenizer, tokens, 256)
    assert not (tokens.ids == 3).any()  # bytes stand in for what has no piece


def test_the_tokenizer_has_the_challenges_settings(data):
    tokenizer = SentencepieceTokenizer.load(data.tokenizer)
    assert tokenizer.vocabulary_size == 1024
    assert [tokenizer.piece(i) for i in range(4)] == ["<pad>", "<s>", "</s>", "<unk>"]
    assert tokenizer.token("\u2581") is not None
    assert all(tokenizer.token(f"<0x{byte:02X}>") is not None for byte in range(256))
    assert tokenizer.decode(tokenizer.encode_document("x 2024\u00e9\u4e2d")) == "x 2024\u00e9\u4e2d"
    assert [tokenizer.piece(i) for i in tokenizer.encode_document("1234")] == [
        "1",
        "2",
        "3",
        "4",
    ]  # no dummy prefix, digits apart


def test_training_a_tokenizer_repeats_itself(data, tmp_path):
    again = train_tokenizer(data.text, 1024, tmp_path / "again")
    assert again == tmp_path / "again.model" and again.read_bytes() == data.tokenizer.read_bytes()


def test_existing_files_are_kept_without_force(data):
    before = {path.name: path.stat().st_mtime_ns for path in data.text.parent.iterdir()}
    assert sorted(before) == ["calibration.bin", "text.txt", "tokenizer.model", "train.bin", "validation.bin"]
    with pytest.raises(OutputError, match=r"text\.txt exists"):
        write_demo_data(data.text.parent)
    with pytest.raises(OutputError, match=r"tokenizer\.model exists"):
        train_tokenizer(data.text, 512, data.tokenizer.with_suffix(""))
    assert {path.name: path.stat().st_mtime_ns for path in data.text.parent.iterdir()} == before


def test_modules_are_read_as_source_and_never_run(tmp_path, monkeypatch, documents):
    """Broken files are passed over, repeated texts kept once, separators and lone surrogates dropped."""
    (tmp_path / "test").mkdir()
    sentence = ("A sentence that is long enough to count as documentation when it is repeated. " * 4).strip()
    files = {
        "a.py": f'"""{sentence}"""\nraise SystemExit("was run")\nclass C:\n    """Of C: {sentence}"""\n',
        "b.py": f'"""{sentence}"""\ndef f():\n    "Of f: null \\0 and surrogate \\ud800. {sentence}"\n',
        "broken.py": "def (:\n",
        "escape.py": '"""Odd \\escape"""\n',
        "test/c.py": f'"""Of a test. {sentence}"""\n',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "null.py").write_bytes(b"\0\0")
    monkeypatch.setattr(demo_text.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(demo_text, "_topics", lambda: iter(documents[:100]))
    found = [text for text in python_documentation() if text not in documents[:100]]
    assert sorted(found) == sorted([f"{sentence}\n\nOf C: {sentence}", f"Of f: null  and surrogate . {sentence}"])


def test_a_python_without_documentation(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_text.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(demo_text, "_topics", lambda: iter(()))
    with pytest.raises(DataError, match="only 0 documents"):
        python_documentation()


def test_a_text_too_small_for_its_vocabulary(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("a few words only")
    with pytest.raises(DataError, match=r"text\.txt does not give a vocabulary of 1024"):
        train_tokenizer(text, 1024, tmp_path / "tokenizer")
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]
