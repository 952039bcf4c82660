"""The byte table against its twin and against decoded text, with tokenizers of every kind that matters."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_scoring import naive_target_bytes
from tiny_tokenizers import KINDS, model_bytes, tiny_tokenizer, words

from bytecap.errors import DataError
from bytecap.runtime.tokenizers import ByteTable, SentencepieceTokenizer
from bytecap.runtime.tokenizers.sentencepiece_model import SPACE, check_byte_table

BOS = 1
ALPHABET = st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"])
DOCUMENTS = st.lists(
    st.one_of(st.text(ALPHABET, max_size=20), st.lists(st.sampled_from(words(1, 40)), max_size=12).map(" ".join)),
    min_size=1,
    max_size=6,
)


def ids_of(tokenizer: SentencepieceTokenizer, documents: list[str]) -> np.ndarray:
    return np.array(
        [token for document in documents for token in (BOS, *tokenizer.encode_document(document))], dtype=np.int32
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_agrees_with_its_twin(kind):
    tokenizer = tiny_tokenizer(kind)
    table = tokenizer.byte_table()
    everything = np.arange(tokenizer.vocabulary_size)
    assert table.base_bytes.dtype == np.int16 and len(table.base_bytes) == tokenizer.vocabulary_size
    for previous in (BOS, 3, everything[-1]):
        pairs = np.stack([np.full_like(everything, previous), everything], axis=1)
        assert [int(table.target_bytes(pair)[0]) for pair in pairs] == [
            naive_target_bytes(tokenizer, int(p), int(t)) for p, t in pairs
        ]


def test_the_table_of_known_pieces():
    tokenizer = tiny_tokenizer("symbols")
    table = tokenizer.byte_table()
    known = {
        "<unk>": (0, False, True, True),
        "<s>": (0, False, True, False),
        "<cut>": (0, False, True, False),
        "<0xE2>": (1, False, False, False),
    }
    known |= {
        "<doc>": (5, False, False, False),
        "of the": (6, False, False, False),
        "\u2581": (0, True, False, False),
        "a": (1, False, False, False),
    }
    for piece, expected in known.items():
        token = tokenizer.token(piece)
        assert token is not None, piece
        columns = (table.base_bytes, table.leading_space, table.boundary, table.unknown)
        assert tuple(column[token] for column in columns) == expected, piece


def test_the_space_of_a_first_word_is_not_counted():
    tokenizer = tiny_tokenizer("prefixed")
    table = tokenizer.byte_table()
    ids = ids_of(tokenizer, ["ab ab", "ab"])
    assert tokenizer.piece(int(ids[1])).startswith("\u2581")
    assert table.target_bytes(ids).sum() == len("ab ab") + len("ab")


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"spaceless"}))
@settings(max_examples=60, deadline=None)
@given(documents=DOCUMENTS)
def test_the_table_counts_the_bytes_of_decoded_text(kind, documents):
    """Σ table == UTF-8 length of what sentencepiece decodes, whatever the text, for every kind of tokenizer."""
    tokenizer = tiny_tokenizer(kind)
    table = tokenizer.byte_table()
    ids = ids_of(tokenizer, documents)
    check_byte_table(tokenizer, table, ids, "documents")
    if not table.unknown[ids].any() and kind != "spaces":
        text = [tokenizer.decode(tokenizer.encode_document(document)) for document in documents]
        assert table.target_bytes(ids).sum() == sum(len(part.encode()) for part in text)


@settings(max_examples=100, deadline=None)
@given(documents=DOCUMENTS, ends=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_cut_through_a_character_is_no_disagreement(documents, ends):
    tokenizer = tiny_tokenizer("bytes")
    ids = ids_of(tokenizer, documents)
    start, stop = sorted(int(end * len(ids)) for end in ends)
    check_byte_table(tokenizer, tokenizer.byte_table(), ids[start:stop], "cut")


def test_every_cut_of_long_characters():
    tokenizer = tiny_tokenizer("bytes")
    ids = ids_of(tokenizer, ["a\u00e9\u4e2d\U0001f600 \U0001f600b"])
    for start in range(len(ids)):
        for stop in range(start, len(ids) + 1):
            check_byte_table(tokenizer, tokenizer.byte_table(), ids[start:stop], "cut")


def changed(table: ByteTable, name: str, token: int, value: int) -> ByteTable:
    columns = {column: getattr(table, column).copy() for column in ByteTable.__slots__}
    columns[name][token] = value
    return ByteTable(**columns)


@pytest.mark.parametrize(
    ("name", "piece", "value"),
    [
        ("base_bytes", "<0xE4>", 3),
        ("leading_space", "a", True),
        ("base_bytes", "a", 2),
        ("base_bytes", "\u2581", 1),
        ("leading_space", "\u2581", False),
    ],
)
def test_a_wrong_table_is_refused(name, piece, value):
    """The mistakes of published results: byte pieces counted as U+FFFD, the space counted twice or never."""
    tokenizer = tiny_tokenizer("bytes")
    table = changed(tokenizer.byte_table(), name, tokenizer.token(piece), value)
    ids = ids_of(tokenizer, ["no harm"] * 5000 + ["za \u4e2d"])  # in the second block of runs
    check_byte_table(tokenizer, tokenizer.byte_table(), ids, "text")
    with pytest.raises(DataError, match="bits per byte would be wrong"):
        check_byte_table(tokenizer, table, ids, "text")


def test_bytes_that_are_no_character_are_refused_inside():
    tokenizer = tiny_tokenizer("bytes")
    lone = tokenizer.token("<0xE2>")
    a = tokenizer.token("a")
    with pytest.raises(DataError, match=re.escape("x.bin: tokens 1 to 3 decode to 5 bytes")):
        check_byte_table(tokenizer, tokenizer.byte_table(), np.array([BOS, a, lone, a, BOS, a]), "x.bin")


def test_spaces_spelled_as_bytes_are_refused():
    tokenizer = tiny_tokenizer("spaceless")
    table = tokenizer.byte_table()
    assert tokenizer.token("\u2581") is None
    check_byte_table(tokenizer, table, ids_of(tokenizer, ["abc", "\u4e2d"]), "text")
    with pytest.raises(DataError, match=r"token 2 begins a space spelled as three bytes \(2 in all\)"):
        check_byte_table(tokenizer, table, ids_of(tokenizer, ["a b c"]), "text")


def test_unknown_pieces_count_nothing_and_are_known():
    tokenizer = tiny_tokenizer("unknowns")
    table = tokenizer.byte_table()
    ids = ids_of(tokenizer, ["a \u4e2d b"])
    check_byte_table(tokenizer, table, ids, "text")
    assert table.unknown[ids].sum() == 1 and table.target_bytes(ids).sum() == len("a  b") - 0 - int(
        table.leading_space[ids[-1]]
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "is empty"), (b"hello, this is no model", "not a sentencepiece model"), (b"\0" * 64, "not a sentencepiece")],
)
def test_a_file_that_is_no_tokenizer(data, message, tmp_path):
    path = tmp_path / "x.model"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as error:
        SentencepieceTokenizer.load(path)
    assert str(path) in str(error.value)


def test_loading(tmp_path):
    path = tmp_path / "x.model"
    path.write_bytes(model_bytes())
    tokenizer = SentencepieceTokenizer.load(path)
    assert (tokenizer.vocabulary_size, tokenizer.source) == (420, str(path))
    assert tokenizer.decode(tokenizer.encode_document("abc de")) == "abc de"
    with pytest.raises(DataError, match="cannot read"):
        SentencepieceTokenizer.load(tmp_path / "missing.model")


def test_a_piece_too_long_for_the_table_is_refused():
    class Processor:
        """A vocabulary of one endless piece, which sentencepiece's trainer would not make."""

        vocab_size = staticmethod(lambda: 1)
        is_unknown = is_control = is_unused = is_byte = staticmethod(lambda token: False)
        id_to_piece = staticmethod(lambda token: "a" * 40000)

    with pytest.raises(DataError, match="40,000 bytes long"):
        SentencepieceTokenizer(Processor(), "x.model").byte_table()


@pytest.mark.parametrize("wrong", [b"\xff", b"\xed\xa0\x80", b"\xc3"], ids=["byte", "surrogate", "cut"])
def test_a_piece_that_is_no_text_is_refused_by_number(wrong):
    data = model_bytes()
    space = b"\n\x03" + SPACE.encode()
    bad = data.replace(space, b"\n\x03" + wrong.ljust(3, b"a"))
    assert bad != data
    with pytest.raises(DataError, match=r"x\.model: piece \d+ is not UTF-8"):
        SentencepieceTokenizer.of_bytes(bad, "x.model")
