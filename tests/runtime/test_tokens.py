"""Reading data: shards and text give the same tokens, and what does not fit the model is named."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
from tiny_tokenizers import tiny_tokenizer, words

from bytecap.errors import DataError
from bytecap.runtime.shards import write_shard
from bytecap.runtime.tokens import read_tokens

BOS = 1
DOCUMENTS = [" ".join(words(seed, 30)) for seed in range(3)]


def read(path, kind="bytes", vocabulary_size=None):
    tokenizer = tiny_tokenizer(kind)
    return read_tokens(path, tokenizer, vocabulary_size or tokenizer.vocabulary_size, BOS)


@pytest.mark.parametrize(
    "text", ["\0".join(DOCUMENTS), "\0" + "\0\0".join(DOCUMENTS) + "\0", "\ufeff" + "\0".join(DOCUMENTS)]
)
def test_text_and_shard_are_the_same_tokens(text, tmp_path):
    (tmp_path / "x.txt").write_bytes(text.encode())
    tokens = read(tmp_path / "x.txt")
    expected = [token for document in DOCUMENTS for token in (BOS, *tiny_tokenizer().encode_document(document))]
    assert tokens.ids.tolist() == expected and tokens.ids.dtype == np.int32
    for name in ("x.bin", "x.shard"):
        write_shard(tmp_path / name, tokens.ids)
        shard = read(tmp_path / name)
        assert shard.ids.tolist() == expected and shard.ids.dtype == np.uint16 and shard.source == str(tmp_path / name)


def test_text_without_separators_is_one_document(tmp_path):
    (tmp_path / "x.txt").write_text("abc\nabc\n")
    assert (read(tmp_path / "x.txt").ids == BOS).sum() == 1


BAD = {
    "empty.txt": (b"", "is empty"),
    "nothing.txt": (b"\0\0", "holds no text"),
    "damaged.bin": (b"\0" * 2048, "not a token shard"),
    "latin.txt": (b"caf\xe9 au lait", "byte 0xe9 at offset 3"),
    "marked.txt": (b"\xef\xbb\xbfab\xff", "byte 0xff at offset 5"),
    "text.gz": (gzip.compress(b"abc"), "looks like a gzip file, decompress it first"),
    "text.zst": (b"\x28\xb5\x2f\xfd\x04\x00", "looks like a zstd file"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_named(name, tmp_path):
    data, message = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path / name)
    assert name in str(error.value)


def test_missing_data_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*none\.txt"):
        read(tmp_path / "none.txt")


def test_ids_beyond_the_vocabulary_are_named(tmp_path):
    write_shard(tmp_path / "x.bin", np.array([1, 299, 300, 301]))
    assert read(tmp_path / "x.bin", vocabulary_size=302).ids[-1] == 301
    with pytest.raises(DataError, match=re.escape("token 2 has the id 300, but the model's vocabulary ends at 299")):
        read(tmp_path / "x.bin", vocabulary_size=300)


def test_a_tokenizer_smaller_than_the_model_is_refused(tmp_path):
    write_shard(tmp_path / "x.bin", np.array([1, 2]))
    with pytest.raises(DataError, match="420 pieces but the model has 421 tokens"):
        read(tmp_path / "x.bin", vocabulary_size=421)


def test_a_tokenizer_to_which_the_boundary_is_text_is_refused(tmp_path):
    write_shard(tmp_path / "x.bin", np.array([1, 2]))
    tokenizer = tiny_tokenizer()
    with pytest.raises(DataError, match="is the text 'a' here"):
        read_tokens(tmp_path / "x.bin", tokenizer, 420, tokenizer.token("a"))


def test_a_shard_needs_no_tokenizer_but_text_does(tmp_path):
    write_shard(tmp_path / "x.bin", np.array([1, 2]))
    assert read_tokens(tmp_path / "x.bin", None, 3, BOS).ids.tolist() == [1, 2]
    (tmp_path / "x.txt").write_text("abc")
    with pytest.raises(DataError, match="tokenizer is needed"):
        read_tokens(tmp_path / "x.txt", None, 3, BOS)
