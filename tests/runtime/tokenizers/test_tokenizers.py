"""Every kind of tokenizer: what it encodes, which bytes its tokens stand for, and what its file says of itself."""

from __future__ import annotations

import base64
import json
import pickle
import re
import struct
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import tiktoken
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tokenizers import words
from tokenizer_files import (
    CHARACTERS,
    byte_level_json,
    gguf_file,
    llama_model,
    metaspace_json,
    pickled_encoding,
    ranks,
    write_tokenizers,
)

from bytecap.errors import DataError
from bytecap.runtime.tokenizers import find_tokenizer, load_tokenizer
from bytecap.runtime.tokenizers.tokenizer_json import read_tokenizer_json

TEXT = "".join(words(5, 6)) + " " + " ".join(words(6, 40)) + "\n\u4e2d\u00e9. abc"
LOSSLESS = (
    "byte-level",
    "metaspace",
    "vocab and merges",
    "ranks",
    "pickled ranks",
    "gguf llama",
    "gguf gpt2",
    "llama2.c",
    "bytes",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    return write_tokenizers(tmp_path_factory.mktemp("tokenizers"))


@pytest.fixture(scope="module")
def loaded(files):
    return cache(lambda kind: load_tokenizer(files[kind]))


def spelled(tokenizer, ids: list[int], text: str) -> bytes:
    """The bytes of the tokens, without the space that the pipeline put before the text."""
    data = b"".join(tokenizer.pieces.texts[token] for token in ids)
    spaced = bool(ids) and tokenizer.pieces.leading_space[ids[0]] and data != text.encode()
    return data[1:] if spaced else data


EXPECTED = {  # kind, pieces, what the file says of the beginning of a text
    "byte-level": ("tokenizer.json", 400, None),
    "metaspace": ("tokenizer.json", 500, 1),
    "vocab and merges": ("vocab.json and merges.txt", 400, None),
    "ranks": ("tiktoken", 399, None),
    "pickled ranks": ("tiktoken", 401, 399),
    "gguf llama": ("GGUF", 420, 1),
    "gguf gpt2": ("GGUF", 400, -1),
    "llama2.c": ("llama2.c tokenizer", 420, 1),
    "sentencepiece": ("sentencepiece", 420, None),
    "characters": ("characters", len(CHARACTERS), -1),
    "character list": ("characters", len(CHARACTERS), -1),
    "bytes": ("bytes", 256, None),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_what_a_file_says_of_itself(kind, loaded):
    tokenizer = loaded(kind)
    assert (tokenizer.kind, tokenizer.vocabulary_size, tokenizer.beginning) == EXPECTED[kind]
    assert re.fullmatch("[0-9a-f]{64}", tokenizer.digest)
    assert bool(tokenizer.assumed) == (kind == "ranks")  # a number of ranks that no public vocabulary has


def test_the_libraries_encode_alike(loaded):
    """Each kind against the library that made its vocabulary."""
    byte_level = tokenizers.Tokenizer.from_str(byte_level_json()).encode(TEXT).ids
    encoding = tiktoken.Encoding("own", pat_str=r"\w+|\W", mergeable_ranks=ranks(), special_tokens={})
    scored = sentencepiece.SentencePieceProcessor(model_proto=llama_model()).encode(TEXT)
    expected = {
        "byte-level": byte_level,
        "vocab and merges": byte_level,
        "gguf gpt2": byte_level,
        "metaspace": tokenizers.Tokenizer.from_str(metaspace_json()).encode(TEXT, add_special_tokens=False).ids,
        "pickled ranks": encoding.encode_ordinary(TEXT),
        "gguf llama": scored,
        "llama2.c": scored,
        "bytes": list(TEXT.encode()),
    }
    for kind, ids in expected.items():
        assert loaded(kind).encode_document(TEXT) == ids, kind


@pytest.mark.parametrize("kind", LOSSLESS)
@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40))
def test_the_bytes_of_the_tokens_are_those_of_the_text(kind, loaded, text):
    tokenizer = loaded(kind)
    ids, spans = tokenizer.encode_spans(text)
    assert ids == tokenizer.encode_document(text) and len(spans) == len(ids)
    assert spelled(tokenizer, ids, text) == text.encode()
    assert max([0, *(stop for _, stop in spans)]) == len(text.encode())
    table = tokenizer.byte_table()
    counted = int(table.base_bytes[ids].sum() + table.leading_space[ids].sum())
    assert counted - len(text.encode()) in ((0, 1) if ids and table.leading_space[ids[0]] else (0,))
    tokenizer.check_decoding(np.array(ids, dtype=np.int64), "text")


def test_control_pieces_stand_for_no_text(loaded):
    tokenizer = loaded("byte-level")
    assert tokenizer.piece(0) == "<|endoftext|>" and tokenizer.is_boundary(0) and not tokenizer.is_boundary(1)
    assert not tokenizer.is_boundary(-1) and not tokenizer.is_boundary(400)
    ids, spans = tokenizer.encode_spans("ab<|endoftext|>c")
    assert 0 in ids and tokenizer.decode(ids) == "abc" and spans[ids.index(0)] == (2, 15)
    pickled = loaded("pickled ranks")
    assert pickled.piece(399) == "<|bos|>" and pickled.is_boundary(399)
    assert pickled.decode(pickled.encode_document("<|bos|>")) == "<|bos|>"  # text is never a control piece there


def test_unknown_characters(loaded):
    tokenizer = loaded("unigram")
    ids = tokenizer.encode_document("a \u0416 b")
    assert tokenizer.pieces.unknown[ids].any() and "\u0416" not in tokenizer.decode(ids)
    with pytest.raises(DataError, match=r"meta\.pkl has no token for 'Q' \(character 2 of a document\)"):
        loaded("characters").encode_document("abQ")


def test_decoding_that_contradicts_the_pieces_is_refused(loaded):
    tokenizer = loaded("byte-level")
    ids = np.array(tokenizer.encode_document(TEXT))
    tokenizer.check_decoding(ids, "x.bin")
    texts = list(tokenizer.pieces.texts)
    texts[ids[3]] += b"!"
    broken = load_tokenizer(tokenizer.source)
    broken.__dict__["pieces"] = type(tokenizer.pieces)(
        texts, *(getattr(tokenizer.pieces, name) for name in ("boundary", "unknown", "leading_space"))
    )
    with pytest.raises(DataError, match=r"x\.bin: tokens 0 to .* bits per byte would be wrong"):
        broken.check_decoding(ids, "x.bin")


def test_a_table_of_byte_counts_scores_but_does_not_encode(files, tmp_path):
    tokenizer = load_tokenizer(files["characters"].with_name("token_bytes.npy"))
    assert tokenizer.byte_table().base_bytes.tolist() == [0, 1, 2, 3] and tokenizer.is_boundary(0)
    with pytest.raises(DataError, match="give token shards as data"):
        tokenizer.encode_document("abc")
    (tmp_path / "x.json").write_text("[0, 1, 70000]")
    with pytest.raises(DataError, match="no table of bytes by token"):
        load_tokenizer(tmp_path / "x.json")


def test_a_table_that_torch_wrote_is_read_without_it(tmp_path):
    import torch

    torch.save(torch.tensor([0, 1, 5], dtype=torch.int32), tmp_path / "token_bytes.pt")
    assert load_tokenizer(tmp_path / "token_bytes.pt").byte_table().base_bytes.tolist() == [0, 1, 5]
    torch.save({"a": torch.zeros(2)}, tmp_path / "x.pt")
    with pytest.raises(DataError, match="no tensor of bytes by token"):
        load_tokenizer(tmp_path / "x.pt")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_table_in_a_compressed_archive_is_refused_before_it_is_unfolded(tmp_path, method):
    import torch

    torch.save(torch.tensor([0, 1, 5], dtype=torch.int32), tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", method) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    damaged = bytearray((tmp_path / "packed.pt").read_bytes())
    start = damaged.index(b"data.pkl") + len(b"data.pkl")
    damaged[start + 12 : start + 24] = bytes(12)  # within the compressed stream
    for content in (bytes(damaged), (tmp_path / "packed.pt").read_bytes()):
        (tmp_path / "token_bytes.pt").write_bytes(content)
        with pytest.raises(DataError, match="is no tensor of bytes by token"):
            load_tokenizer(tmp_path / "token_bytes.pt")


def test_a_table_in_an_encrypted_archive_is_refused(tmp_path):
    import torch

    path = tmp_path / "token_bytes.pt"
    torch.save(torch.tensor([0, 1, 5], dtype=torch.int32), path)
    content = bytearray(path.read_bytes())
    for entry in re.finditer(rb"PK\x01\x02", bytes(content)):
        content[entry.start() + 8] |= 1  # of the flags in the archive's directory
    path.write_bytes(content)
    with pytest.raises(DataError, match="is no tensor of bytes by token"):
        load_tokenizer(path)


@pytest.mark.parametrize(
    ("configuration", "beginning"),
    [
        ({"add_bos_token": False, "bos_token": "<|endoftext|>"}, -1),
        ({"add_bos_token": True, "bos_token": "<|endoftext|>"}, 0),
        ({"add_bos_token": True, "bos_token": {"content": "<|endoftext|>"}}, 0),
        ({"bos_token": "<|endoftext|>"}, None),
        (["no object"], None),
    ],
)
def test_a_configuration_beside_it_says_what_begins_a_text(configuration, beginning, tmp_path):
    (tmp_path / "tokenizer.json").write_text(byte_level_json(), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(configuration))
    assert load_tokenizer(tmp_path).beginning == beginning


def test_words_that_are_pieces_stay_whole_where_the_family_says_so(tmp_path):
    """Llama 3's rule: no merges lead to the piece, and it is taken nevertheless."""
    merges = [" ".join(json.loads(byte_level_json())["model"]["merges"][0])]
    (tmp_path / "a.gguf").write_bytes(gguf_file("gpt2", merges=merges, pre="llama-bpe"))
    (tmp_path / "b.gguf").write_bytes(gguf_file("gpt2", merges=merges, pre="qwen2"))
    whole, merged = load_tokenizer(tmp_path / "a.gguf"), load_tokenizer(tmp_path / "b.gguf")
    found = [text.decode() for text in merged.pieces.texts if text.isalpha() and text.isascii() and len(text) > 1]
    word = next(text for text in found if text != merges[0].replace(" ", ""))
    assert len(whole.encode_document(word)) == 1 < len(merged.encode_document(word))


def test_the_characters_that_a_checkpoint_holds(tmp_path):
    import torch

    path = tmp_path / "ckpt.pt"
    torch.save({"model_state": {"a.weight": torch.zeros(2)}, "stoi": {"a": 0, "b": 1}, "itos": {0: "a", 1: "b"}}, path)
    assert find_tokenizer(path) == path and load_tokenizer(path).encode_document("abba") == [0, 1, 1, 0]
    torch.save({"model": {"a.weight": torch.zeros(2)}}, tmp_path / "other.pt")
    assert find_tokenizer(tmp_path / "other.pt") is None


class Runs:
    """A pickle of this would run a command."""

    def __reduce__(self):
        return print, ("executed",)


def npy(header: str, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + body


ALL_BYTES = b"".join(base64.b64encode(bytes([value])) + b" %d\n" % value for value in range(256))


class Plain:
    """Pickled as an object with these attributes, as nanochat's encoding is."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


FLAGS = ("single_word", "lstrip", "rstrip", "normalized")
BAD = {
    "twice.json": (json.dumps(["a", "b", "a"]), "no table of characters"),
    "lists.json": (json.dumps([0, [1]]), "no table of characters"),
    "large.json": (json.dumps({"a": 1 << 23}), "no table of characters"),
    "keys.json": ('{"a": 0, "a": 1}', "'a' twice"),
    "ids.json": (
        json.dumps({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1 << 28}, "merges": []}}),
        "gives a piece the id 268,435,456",
    ),
    "added.json": (
        json.dumps(
            {
                "added_tokens": [{"id": 1 << 28, "content": "<s>", **dict.fromkeys(FLAGS, False), "special": True}],
                "model": {"type": "BPE", "vocab": {"a": 0, "<s>": 1 << 28}, "merges": []},
            }
        ),
        "gives a piece the id 268,435,456",
    ),
    "lone.json": (
        json.dumps(
            {
                "added_tokens": [{"id": 1 << 31, "content": "<s>", **dict.fromkeys(FLAGS, False), "special": True}],
                "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
            }
        ),
        "gives a piece the id 2,147,483,648",
    ),
    "same.json": (
        json.dumps({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 1}, "merges": []}}),
        "two of its pieces the same id",
    ),
    "kinds.gguf": (gguf_file("llama", token_type=[-1] * 420), "of no kind that is known"),
    "header.npy": (npy("{'descr': '<i4', 'fortran_order': False, 'shape': (1,"), "no array of numbers"),
    "claims.npy": (
        npy("{'descr': '<i4', 'fortran_order': False, 'shape': (1000000000000,), }\n", bytes(64)),
        "no array of numbers",
    ),
    "objects.npy": (
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", bytes(64)),
        "no array of numbers",
    ),
    "twice.tiktoken": (ALL_BYTES + b"YWI= 7\n", "two of its pieces the same id"),
    "huge.tiktoken": (ALL_BYTES + b"YWI= 99999999999\n", "an id below 1,048,576"),
    "fields.pkl": (
        pickle.dumps(Plain(pat_str="x", mergeable_ranks={b"a": 0}, special_tokens=[1])),
        "fields are of other types",
    ),
    "ids.pkl": (pickle.dumps(Plain(pat_str="x", mergeable_ranks={b"a": "0"})), "no vocabulary of byte strings"),
    "types.gguf": (gguf_file("gpt2", token_type=3), "token_type is of another type"),
    "lengths.gguf": (gguf_file("gpt2", token_type=[1, 1]), "token_type has 2 entries"),
    "merges.gguf": (gguf_file("gpt2", merges=["a b c"]), "merges do not fit"),
    "tokens.gguf": (gguf_file("gpt2", tokens=[1, 2]), "tokens is of another type"),
    "wordpiece.json": (json.dumps({"model": {"type": "WordPiece", "vocab": {}}}), "drops the white space of a text"),
    "suffix.json": (
        json.dumps({"model": {"type": "BPE", "vocab": {}, "merges": [], "end_of_word_suffix": "</w>"}}),
        "marks words with '</w>'",
    ),
    "broken.json": ("{", "is not JSON"),
    "unreadable.json": (json.dumps({"model": {"type": "BPE", "vocab": 3}}), "the tokenizers library cannot read it"),
    "tekken.json": ("{}", "give the tokenizer.json of the same model"),
    "numbers.json": (json.dumps({"a": "b"}), "no table of characters"),
    "pieces.json": (json.dumps({"ab": 0, "c": 1}), "it holds 'ab'"),
    "cut.tiktoken": ("YQ== 0\nYg==\n", "line 2 is not base64 and a number"),
    "gap.tiktoken": ("YWI= 0\n", "lacks 256 of the 256 single bytes"),
    "runs.pkl": (pickle.dumps(Runs()), "no pickled tiktoken encoding"),
    "named.pkl": (pickle.dumps({"a": Runs()}), "no table of characters"),
    "cut.pkl": (pickled_encoding()[:500], "is not a pickle|ends before"),
    "cut.gguf": (gguf_file()[:900], "cut or damaged"),
    "version.gguf": (b"GGUF" + bytes([9, 0, 0, 0]) + bytes(16), "version 9"),
    "none.gguf": (b"GGUF" + bytes([3, 0, 0, 0]) + bytes(16), "holds no tokenizer"),
    "pre.gguf": (gguf_file("gpt2", pre="martian"), "the rule 'martian'"),
    "kind.gguf": (gguf_file("bert"), "the kind 'bert'"),
    "scores.gguf": (gguf_file("llama", scores=None), "without a score and a type for each piece"),
    "cut.bin": (b"\1\0\0\0" + b"\0" * 5, "ends inside piece 0"),
    "short.bin": (b"\1\0\0\0" + b"\0" * 80, "fewer than 260"),
    "deep.json": ("[" * 200_000, "nested too deeply|is not JSON"),
    "deep.gguf": (
        b"GGUF"
        + struct.pack("<IQQ", 3, 0, 1)
        + struct.pack("<Q", 1)
        + b"a"
        + struct.pack("<I", 9)
        + struct.pack("<IQ", 9, 1) * 5000,
        "nested too deeply",
    ),
    "x.model": (b"hello, this is no model", "is not a sentencepiece model"),
    "m.model": (b"minbpe v1\n\n0\n101 32\n", "is a tokenizer of minbpe, which is not read"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_tokenizer_is_named(name, tmp_path, capsys):
    data, message = BAD[name]
    (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(DataError, match=message) as error:
        load_tokenizer(tmp_path / name)
    assert name in str(error.value) and capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"[]", b"3", b'{"version": "1.0"}', b'{"model": "BPE"}'])
def test_json_without_a_model_is_no_tokenizer(content):
    with pytest.raises(DataError, match=r"a\.json is no tokenizer\.json: it has no model"):
        read_tokenizer_json(content, "a.json")


def test_the_tokenizer_of_a_folder_or_beside_a_model(files, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert find_tokenizer(tmp_path) is None and find_tokenizer(tmp_path / "model.safetensors") is None
    with pytest.raises(DataError, match="holds no tokenizer"):
        load_tokenizer(tmp_path)
    for name in ("meta.pkl", "tokenizer.model", "tokenizer.json"):  # the later one goes before
        (tmp_path / name).write_bytes(b"")
        assert find_tokenizer(tmp_path) == find_tokenizer(tmp_path / "model.safetensors") == tmp_path / name
    assert find_tokenizer(files["gguf llama"]) == files["gguf llama"]
    key = b"tokenizer.ggml.bos_token_id"
    fields = struct.pack("<IQQQ", 3, 0, 1, len(key)) + key + struct.pack("<II", 4, 1)
    (tmp_path / "weights.gguf").write_bytes(b"GGUF" + fields)
    assert find_tokenizer(tmp_path / "weights.gguf") == tmp_path / "tokenizer.json"
    with pytest.raises(DataError, match="cannot read"):
        load_tokenizer(tmp_path / "missing.json")


def test_the_libraries_are_loaded_when_a_file_needs_them():
    """So that `import bytecap.runtime` stays quick."""
    code = "import sys, bytecap.runtime.evaluation; print({'tokenizers', 'tiktoken', 'gguf'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
