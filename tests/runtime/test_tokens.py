"""Reading data: shards and text give the same tokens, and what does not fit the model is named."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
import tracemalloc

import numpy as np
import pytest
import zstandard
from tiny_tokenizers import tiny_tokenizer, words

from bytecap.errors import DataError
from bytecap.runtime import tokens as tokens_module
from bytecap.runtime.shards import encode_shard, shard_layout, write_shard
from bytecap.runtime.tokenizers import load_tokenizer
from bytecap.runtime.tokens import NO_TOKEN, read_tokens

BOS = 1
DOCUMENTS = [" ".join(words(seed, 30)) for seed in range(3)]


def read(path, kind="bytes", vocabulary_size=None, **options):
    tokenizer = tiny_tokenizer(kind)
    return read_tokens(path, tokenizer, vocabulary_size or tokenizer.vocabulary_size, BOS, **options)


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


@pytest.mark.parametrize("ids", [np.arange(2, 402), np.arange(2, 402) % 90])
def test_what_was_read_of_a_shard_does_not_change_with_its_file(ids, tmp_path):
    path = tmp_path / "x.bin"
    write_shard(path, ids)
    found = read_tokens(path, None, 420, BOS)
    with path.open("r+b") as file:
        file.seek(1024)
        file.write(bytes(400))
    os.truncate(path, 1100)  # of what is mapped the next look would end the process
    assert found.ids.tolist() == ids.tolist() and not found.ids.flags.writeable


@pytest.mark.parametrize("most", [None, 10])
def test_a_shard_that_is_too_long_to_be_read_is_mapped(most, tmp_path, monkeypatch):
    write_shard(tmp_path / "x.bin", np.arange(400))
    read_whole = read_tokens(tmp_path / "x.bin", None, 420, BOS, max_tokens=most).ids
    monkeypatch.setattr(tokens_module, "READ_BYTES", 19)
    mapped = read_tokens(tmp_path / "x.bin", None, 420, BOS, max_tokens=most).ids
    assert isinstance(mapped, np.memmap) and not isinstance(read_whole, np.memmap)
    assert mapped.tolist() == read_whole.tolist()


def test_a_shard_that_is_cut_while_it_is_read_is_told(tmp_path, monkeypatch):
    path = tmp_path / "x.bin"
    write_shard(path, np.arange(400))
    monkeypatch.setattr(
        tokens_module, "shard_layout", lambda *given: (shard_layout(*given), os.truncate(path, 1100))[0]
    )
    said = f"{path} became shorter while it was read; wait until it is whole, and give it again"
    with pytest.raises(DataError, match=re.escape(said)):
        read_tokens(path, None, 420, BOS)


BAD = {
    "empty.txt": (b"", "is empty"),
    "nothing.txt": (b"\0\0", "holds no text"),
    "damaged.bin": (b"\0" * 2048, "not a token shard"),
    "latin.txt": (b"caf\xe9 au lait", "byte 0xe9 at offset 3"),
    "marked.txt": (b"\xef\xbb\xbfab\xff", "byte 0xff at offset 5"),
    "cut.gz": (gzip.compress(b"abc")[:-9], "is damaged"),
    "cut.zst": (zstandard.compress(b"abcdefgh" * 100)[:-3], "is damaged: it ends inside a frame"),
    "text.xz": (b"\xfd7zXZ\0\0\0", "looks like xz data; decompress it first"),
    "lines.jsonl": (b'{"text": "ab"}\n{"body": "c"}\n', "line 2 has no 'text' of type text \\(it has: body\\)"),
    "half.jsonl": (b'{"text": "ab"}\n{"text": "\\ud800"}\n', "line 2 holds half of a surrogate pair"),
    "deep.jsonl": (b'{"text": "ab"}\n' + b"[" * 200_000, "line 2 is not JSON"),
    "broken.jsonl": (b'{"text": "ab"}\n{"text', "line 2 is not JSON"),
    "spread.jsonl": (b'{\n  "text": "ab"\n}\n', "each line is one document; a document over several lines"),
    "listed.jsonl": (b'[\n{"text": "ab"}\n]\n', "or a list of them, is none"),
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
    assert read_tokens(tmp_path / "x.bin", None, 302, BOS).ids[-1] == 301
    with pytest.raises(DataError, match=re.escape("token 2 has the id 300, but the model's vocabulary ends at 299")):
        read_tokens(tmp_path / "x.bin", None, 300, BOS)
    with pytest.raises(DataError, match="420 pieces but the model has 300 tokens"):
        read(tmp_path / "x.bin", vocabulary_size=300)


def test_a_tokenizer_far_smaller_than_the_model_is_refused_but_padding_is_not(tmp_path):
    write_shard(tmp_path / "x.bin", np.array([1, 2]))
    assert read(tmp_path / "x.bin", vocabulary_size=840).ids.tolist() == [1, 2]
    with pytest.raises(DataError, match="420 pieces but the model has 841 tokens"):
        read(tmp_path / "x.bin", vocabulary_size=841)


def beginnings(path, boundary, **options):
    tokenizer = tiny_tokenizer()
    return read_tokens(path, tokenizer, 420, boundary, **options)


def test_what_begins_a_document(tmp_path):
    """The program's boundary token, unless that is text to the tokenizer; or what the caller says."""
    (tmp_path / "x.txt").write_text("abc\0abc")
    tokenizer = tiny_tokenizer()
    plain = tokenizer.encode_document("abc")
    for options, boundary, first in (
        ({}, BOS, [BOS]),
        ({}, tokenizer.token("a"), []),
        ({"beginning": 2}, BOS, [2]),
        ({"beginning": NO_TOKEN}, BOS, []),
    ):
        tokens = beginnings(tmp_path / "x.txt", boundary, **options)
        assert tokens.ids.tolist() == [*first, *plain, *first, *plain]
        assert tokens.beginning == (first[0] if first else NO_TOKEN)
        assert tokens.documents.tolist() == [0, len(first) + len(plain)]
        assert tokens.text.bytes.sum() == 6 and tokens.text.words.sum() == 2
    with pytest.raises(DataError, match="token 420 cannot begin documents"):
        beginnings(tmp_path / "x.txt", BOS, beginning=420)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("kind", ["text", "lines", "shard"])
def test_compressed_files_are_the_same_tokens(compress, kind, tmp_path):
    expected = [token for document in DOCUMENTS for token in (BOS, *tiny_tokenizer().encode_document(document))]
    data = {
        "text": "\0".join(DOCUMENTS).encode(),
        "lines": "".join(json.dumps({"id": 3, "text": document}) + "\n" for document in DOCUMENTS).encode(),
        "shard": encode_shard(np.array(expected)),
    }[kind]
    (tmp_path / "x").write_bytes(compress(data))
    assert read(tmp_path / "x").ids.tolist() == expected


def test_several_files_and_patterns(tmp_path):
    for name, tokens in (("a_val_1", [1, 5]), ("a_val_0", [1, 4]), ("a_val_bytes_0", [0, 3])):
        write_shard(tmp_path / f"{name}.bin", np.array(tokens))
    assert read(str(tmp_path / "a_*.bin")).ids.tolist() == [1, 4, 1, 5]
    assert read([tmp_path / "a_val_1.bin", tmp_path / "a_val_0.bin"]).ids.tolist() == [1, 5, 1, 4]
    assert read(str(tmp_path / "a_*.bin"), max_tokens=2).ids.tolist() == [1, 4, 1, 5]  # and some more of the document
    (tmp_path / "x.txt").write_text("abc")
    with pytest.raises(DataError, match="are token shards and texts"):
        read([tmp_path / "a_val_1.bin", tmp_path / "x.txt"])
    with pytest.raises(DataError, match="no file matches"):
        read(str(tmp_path / "none*.bin"))


def test_a_file_that_is_named_twice_is_refused(tmp_path, monkeypatch):
    """By a pattern and by its name, by another path or by a link."""
    write_shard(tmp_path / "a.bin", np.array([1, 4]))
    (tmp_path / "b.bin").symlink_to("a.bin")
    monkeypatch.chdir(tmp_path)
    for given in (["a*.bin", "a.bin"], ["a.bin", tmp_path / "a.bin"], "*.bin", ["-", "-"]):
        with pytest.raises(DataError, match=r"^(\S*[ab]\.bin|-) is given twice, which would count it twice; give each"):
            read(given)


def test_standard_input_is_text(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"abc\0abc"))))
    assert (read("-").ids == BOS).sum() == 2


@pytest.mark.parametrize("dtype", ["<u2", "<u4"])
def test_bare_numbers_are_read_and_told(dtype, tmp_path):
    (tmp_path / "x.bin").write_bytes(np.array([1, 5, 7, 9, 2, 3], dtype).tobytes())
    tokens = read(tmp_path / "x.bin")
    assert tokens.ids.tolist() == [1, 5, 7, 9, 2, 3]
    assert tokens.notes == (f"{tmp_path}/x.bin has no header; it was read as bare {np.dtype(dtype).name} token ids",)


@pytest.mark.parametrize(
    ("content", "size", "kind"),
    [
        (np.arange(2, 102, dtype=np.uint16).tobytes()[:-1], "199", "uint16 token ids of 2 bytes"),
        (np.arange(2, 102, dtype=np.uint32).tobytes()[:-2], "398", "uint32 token ids of 4 bytes"),
    ],
)
def test_bare_numbers_that_were_cut_are_told_by_their_length(content, size, kind, tmp_path):
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.bin has no .* and {size} bytes are no whole number of bare {kind} each"):
        read_tokens(tmp_path / "x.bin", None, 420, 1)


def test_a_large_vocabulary_makes_bare_numbers_wide(tmp_path):
    (tmp_path / "x.bin").write_bytes(np.array([1, 70_000], "<u4").tobytes())
    assert read_tokens(tmp_path / "x.bin", None, 100_000, 1).ids.tolist() == [1, 70_000]
    (tmp_path / "y.bin").write_bytes(np.array([1, 65_535], "<u2").tobytes())
    assert read_tokens(tmp_path / "y.bin", None, 65_536, 1).ids.tolist() == [1, 65_535]


@pytest.mark.parametrize("vocabulary_size", [420, 100_000])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_bare_numbers_of_64_bits_are_not_read_as_ids_and_zeros(vocabulary_size, ending, tmp_path):
    content = np.arange(3, 103, dtype="<i8").tobytes()
    (tmp_path / f"x.bin{ending}").write_bytes(gzip.compress(content) if ending else content)
    with pytest.raises(
        DataError, match=r"x\.bin.* every second number of 32 bits is 0, as in token ids of 64 bits each; "
    ):
        read_tokens(tmp_path / f"x.bin{ending}", None, vocabulary_size, 1)


def test_only_what_is_needed_is_read(tmp_path):
    (tmp_path / "x.txt").write_text("\0".join(["abc " * 30_000] * 4))
    few, all_tokens = read(tmp_path / "x.txt", max_tokens=10), read(tmp_path / "x.txt")
    assert (few.ids == BOS).sum() == 1 and 10 < len(few.ids) < 1000
    assert few.ids[:11].tolist() == all_tokens.ids[:11].tolist()
    (tmp_path / "y.txt").write_text(" " * 5000 + "abc " * 30)  # few tokens at its beginning
    whole = read(tmp_path / "y.txt").ids
    assert read(tmp_path / "y.txt", max_tokens=20).ids[:21].tolist() == whole[:21].tolist() and len(whole) > 21


def test_a_shard_needs_no_tokenizer_but_text_does(tmp_path):
    write_shard(tmp_path / "x.bin", np.array([1, 2]))
    assert read_tokens(tmp_path / "x.bin", None, 3, BOS).ids.tolist() == [1, 2]
    (tmp_path / "x.txt").write_text("abc")
    with pytest.raises(DataError, match="tokenizer is needed"):
        read_tokens(tmp_path / "x.txt", None, 3, BOS)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_compressed_file_is_unfolded_as_far_as_it_is_needed(tmp_path, compress):
    """A shard of 2**23 tokens, bare numbers and a text, of which a few are scored; and one that says too much."""
    ids = np.ones(1 << 23, np.uint16)
    shard = encode_shard(ids)
    for name, content in (("a.bin", shard), ("bare.bin", ids.tobytes()), ("a.txt", b"a b " * (2 << 20))):
        path = tmp_path / f"{name}.gz"  # the first bytes tell the compression, whatever the name says
        path.write_bytes(compress(content))
        tracemalloc.start()
        found = read_tokens(path, tiny_tokenizer(), 420, 1, max_tokens=1000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert 1001 <= len(found.ids) < 1 << 18
        assert peak < 10 << 20 if name != "a.txt" else peak < 40 << 20
    path = tmp_path / "cut.bin.gz"
    for damaged in (shard[:-2], shard + b"x"):
        path.write_bytes(compress(damaged))
        with pytest.raises(DataError, match=r"says 8,388,608 tokens .* but holds"):
            read_tokens(path, tiny_tokenizer(), 420, 1)


def test_devices_that_never_end_are_neither_data_nor_tokenizers():
    with pytest.raises(DataError, match="/dev/zero is a device, which may never end"):
        read("/dev/zero", max_tokens=10)
    with pytest.raises(DataError, match="/dev/zero is a device, which may never end"):
        load_tokenizer("/dev/zero")
