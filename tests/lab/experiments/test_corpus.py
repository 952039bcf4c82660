"""The text of experiments that train: how it is read, dealt out and kept, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import zstandard
from tiny_tokenizers import model_bytes, tiny_tokenizer, words

from bytecap.errors import DataError, OutputError
from bytecap.lab.experiments.corpus import CorpusFiles, deal_out, read_documents
from bytecap.runtime.shards import read_shard, write_shard
from bytecap.runtime.tokens import read_tokens

DOCUMENTS = [" ".join(words(seed, 30)) for seed in range(12)]
TEXT = "\0".join(DOCUMENTS)


@pytest.fixture
def tokenizer(tmp_path):
    path = tmp_path / "tokenizer.model"
    path.write_bytes(model_bytes())
    return path


def test_text_plain_compressed_and_in_tokens(tmp_path, tokenizer):
    (tmp_path / "a.txt").write_text(TEXT + "\0 \0", encoding="utf-8")
    (tmp_path / "a.txt.zst").write_bytes(zstandard.compress(TEXT.encode()))
    write_shard(tmp_path / "a.bin", read_tokens(tmp_path / "a.txt", tiny_tokenizer(), 420, 1).ids)
    for name in ("a.txt", "a.txt.zst", "a.bin"):
        assert read_documents(tmp_path / name, tokenizer) == DOCUMENTS, name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no text"),
        (b"\0 \0\n", "holds no text"),
        (b"a\xffb", "neither UTF-8 text nor a token shard: invalid start byte at byte 1"),
        (zstandard.compress(TEXT.encode())[:-5], "ends inside a zstandard frame"),
        (b"\x28\xb5\x2f\xfd" + bytes(20), "is damaged|ends inside"),
    ],
)
def test_files_that_are_no_text(tmp_path, content, message):
    (tmp_path / "text").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_documents(tmp_path / "text")


def test_a_shard_needs_the_tokenizer_that_made_it(tmp_path, tokenizer):
    write_shard(tmp_path / "a.bin", np.array([1, 500]))
    with pytest.raises(DataError, match="give the tokenizer that made it"):
        read_documents(tmp_path / "a.bin")
    with pytest.raises(DataError, match="420 pieces, fewer than the shard's tokens"):
        read_documents(tmp_path / "a.bin", tokenizer)
    with pytest.raises(DataError, match="cannot read"):
        read_documents(tmp_path / "missing")


def test_documents_are_dealt_out_whole_and_once():
    size = len(DOCUMENTS[0].encode())
    corpus = deal_out(DOCUMENTS, ["other"], training_bytes=4 * size, calibration_bytes=2 * size)
    used = corpus.training + corpus.calibration
    assert set(used) <= set(DOCUMENTS) and len(set(used)) == len(used) and corpus.evaluation == ("other",)
    for part, wanted in ((corpus.training, 4 * size), (corpus.calibration, 2 * size)):
        sizes = [len(document.encode()) for document in part]
        assert sum(sizes) >= wanted > sum(sizes[:-1])
    assert corpus.training != tuple(
        DOCUMENTS[: len(corpus.training)]
    )  # not the first ones: files are often in an order
    assert set(deal_out(DOCUMENTS, [], training_bytes=10**9, calibration_bytes=0).training) == set(DOCUMENTS)


def test_text_that_is_evaluated_is_not_trained_on():
    with pytest.raises(DataError, match="holds a document that is evaluated"):
        deal_out(DOCUMENTS, DOCUMENTS[3:4], training_bytes=10**9, calibration_bytes=10)
    with pytest.raises(DataError, match="12 training documents are too few"):
        deal_out(DOCUMENTS, [], training_bytes=10, calibration_bytes=10**9)


def test_tokenizers_and_tokens_are_made_once(tmp_path, tokenizer, monkeypatch):
    files = CorpusFiles(
        deal_out(DOCUMENTS, ["the end"], training_bytes=10**9, calibration_bytes=10), tmp_path / "parts"
    )
    trained = files.tokenizer(330, 4000)
    tokens = files.tokens("training", trained)
    ids = read_shard(tokens)
    assert (ids == 1).sum() == len(files.corpus.training) and ids.max() < 330
    assert tokens != files.tokens("training", tokenizer) != files.tokens("evaluation", tokenizer)
    assert not list((tmp_path / "parts").glob("*.txt"))
    monkeypatch.setattr("bytecap.lab.experiments.corpus.train_tokenizer", None)
    monkeypatch.setattr("bytecap.lab.experiments.corpus.write_shard", None)
    assert files.tokenizer(330, 4000) == trained and files.tokens("training", trained) == tokens


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot make the folder"):
        CorpusFiles(deal_out(DOCUMENTS, [], training_bytes=10, calibration_bytes=0), tmp_path / "file" / "parts")
