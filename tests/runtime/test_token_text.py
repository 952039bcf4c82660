"""What each token stands for: the bytes of a text add up whatever the tokenizer does to it, and words are counted."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_tokenizers import TOKENIZERS
from tiny_tokenizers import tiny_tokenizer, words

from bytecap.runtime import token_text
from bytecap.runtime.token_text import encode_with_text, text_of_ids, words_by_token

TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30),
    st.lists(st.sampled_from([*words(1, 20), " ", "\n", "\uff41\ufb01", "\u00bd", "A"]), max_size=12).map(" ".join),
)


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=80, deadline=None)
@given(text=TEXTS)
def test_the_bytes_of_a_text_are_its_own(kind, text):
    tokenizer = TOKENIZERS[kind]
    ids, found = encode_with_text(tokenizer, text)
    assert ids == tokenizer.encode_document(text)
    if ids:
        assert found.bytes.sum() == len(text.encode()) and found.bytes.min() >= 0
        assert found.words.sum() == len(text.split())
        assert (found.hidden <= found.bytes).all()
        assert found.unknown.tolist() == tokenizer.pieces.unknown[ids].tolist()
    spelled = b"".join(tokenizer.pieces.texts[token] for token in ids)
    if text.encode() in (spelled, spelled[1:]):
        assert not found.hidden.any()
    elif ids and len(spelled) <= len(text.encode()):
        assert found.hidden.any()


def test_hidden_bytes_are_those_of_the_rewritten_characters():
    assert encode_with_text(TOKENIZERS["Lowercase"], "ab AB ab")[1].hidden.sum() == 2
    _, found = encode_with_text(TOKENIZERS["NFKC"], "ab \ufb01 ab")
    assert (found.hidden.sum(), found.bytes.sum()) == (3, 9)
    assert encode_with_text(TOKENIZERS["json"], "ab \ufb01 AB")[1].hidden.sum() == 0


def test_tokens_that_spell_their_stretch_have_their_own_bytes_beside_rewritten_ones():
    """A character in two tokens has one byte and two, as where nothing is rewritten."""
    alone = encode_with_text(TOKENIZERS["Lowercase"], "ab \u4e2d")[1].bytes.tolist()
    beside = encode_with_text(TOKENIZERS["Lowercase"], "ab \u4e2d AB")[1]
    assert alone == [1, 1, 1, 1, 2] == beside.bytes.tolist()[:5] and beside.hidden.sum() == 2


def test_unknown_characters_hide_their_bytes():
    _, found = encode_with_text(TOKENIZERS["unknowns"], "a \u4e2d b")
    assert (found.bytes.sum(), found.hidden.sum(), found.unknown.sum()) == (7, 3, 1)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=40), st.data())
def test_words_begin_under_the_token_that_holds_their_first_byte(text, data):
    size = len(text.encode())
    cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=6)))
    own = np.diff([0, *cuts, size])
    ends = np.cumsum(own)
    expected = np.zeros(len(own), dtype=int)
    for match in re.finditer(r"\S+", text):
        if not match[0].strip():  # re and str.split() differ in U+001C to U+001F
            continue
        expected[int(np.searchsorted(ends, len(text[: match.start()].encode()), side="right"))] += 1
    found = words_by_token(text, own)
    assert found.sum() == len(text.split())
    if not re.search("[\x1c-\x1f\x85]", text):
        assert found.tolist() == expected.tolist()


def test_a_shard_has_the_bytes_and_words_of_its_pieces():
    tokenizer = tiny_tokenizer()
    documents = ["abc de\u4e2d", "fg  abc"]
    ids = np.array([token for text in documents for token in (1, *tokenizer.encode_document(text))])
    found = text_of_ids(tokenizer, tokenizer.byte_table(), ids)
    assert found.bytes[1:].sum() == len("abc de\u4e2d".encode()) + len("fg abc")  # its normalization drops one space
    assert found.words.sum() == 4 - 1  # what one document ends with, another goes on with


@pytest.mark.parametrize("block", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", ["bytes", "raw", "json"])
def test_words_of_a_shard_do_not_depend_on_the_blocks(kind, block, monkeypatch):
    tokenizer = TOKENIZERS[kind]
    text = "abc  de\u3000fg \u4e2d\u00e9\n h ijk" * 3
    ids = np.array(tokenizer.encode_document(text))
    whole = text_of_ids(tokenizer, tokenizer.byte_table(), ids)
    monkeypatch.setattr(token_text, "WORD_BLOCK", block)
    blocks = text_of_ids(tokenizer, tokenizer.byte_table(), ids)
    assert blocks.words.tolist() == whole.words.tolist() and whole.words.sum() == len(text.split())
