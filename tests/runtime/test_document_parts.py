"""Long documents: the tokens of windows that are joined are those of the document in one piece."""

from __future__ import annotations

import re
from itertools import repeat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_tokenizers import TOKENIZERS
from tiny_tokenizers import words

from bytecap.compiler.inputs import GLANCE_TOKENS
from bytecap.errors import DataError
from bytecap.runtime import document_parts
from bytecap.runtime.document_parts import CUT_TOKENS, DocumentText, encode_parts
from bytecap.runtime.token_text import encode_with_text
from bytecap.runtime.tokenizers.tables import ByteTokenizer
from bytecap.runtime.tokenizers.tokenizer import Pieces

WORDS = [*words(1, 60), "\uff41\ufb01", "\u00bd", "A", "\u4e2d\u6587", "", "\n", "\n\n", "a" * 30]
SEPARATORS = st.sampled_from([" ", "\n", "  ", ", "])


@pytest.fixture
def small_windows(monkeypatch):
    """Windows that short texts are longer than."""
    for name, value in {"WINDOW": 400, "OVERLAP": 160, "AGREEING": 12}.items():
        monkeypatch.setattr(document_parts, name, value)


@st.composite
def long_texts(draw) -> str:
    seed, separator = draw(st.integers(0, 999)), draw(SEPARATORS)
    rng = np.random.default_rng(seed)
    return separator.join(WORDS[i] for i in rng.integers(0, len(WORDS), draw(st.integers(200, 900))))


def cut(text: str, sizes: list[int]) -> list[str]:
    """The text in parts of these sizes, over and over."""
    parts, start, number = [], 0, 0
    while start < len(text):
        parts.append(text[start : start + sizes[number % len(sizes)]])
        start, number = start + sizes[number % len(sizes)], number + 1
    return parts


def assert_same(found, tokenizer, text: str) -> None:
    ids, told = encode_with_text(tokenizer, text)
    assert found[0].tolist() == ids and found[0].dtype == np.int32
    for name in ("bytes", "words", "hidden", "unknown"):
        assert getattr(found[1], name).tolist() == getattr(told, name).tolist(), name


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=15, deadline=None)
@given(text=long_texts(), sizes=st.lists(st.integers(1, 500), min_size=1, max_size=4))
def test_windows_make_the_tokens_of_the_whole(kind, text, sizes):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"WINDOW": 400, "OVERLAP": 160, "AGREEING": 12}.items():
            patch.setattr(document_parts, name, value)
        assert_same(encode_parts(TOKENIZERS[kind], cut(text, sizes)), TOKENIZERS[kind], text)


class Runs(ByteTokenizer):
    """Forty x are one token, counted from the beginning of their run, so that a window must show it."""

    pieces = Pieces.of([bytes([value]) for value in range(256)] + [b"x" * 40])

    def encode_document(self, text: str) -> list[int]:
        found = re.findall("x{40}|(?s:.)", text)
        return [256 if len(piece) > 1 else ord(piece) for piece in found]


@pytest.mark.parametrize("run", [500, 3333, 9001])
def test_windows_grow_where_they_do_not_agree(run, small_windows):
    text = "ab " * 70 + "x" * run + " cd" * 300
    assert_same(encode_parts(Runs(), cut(text, [77])), Runs(), text)


class Counting(Runs):
    """Makes tokens of seven bytes of a text that is longer than a window."""

    pieces = Pieces.of([*Runs.pieces.texts, b"x" * 7])

    def encode_document(self, text: str) -> list[int]:
        return [257] * (len(text) // 7) if len(text) > 600 else super().encode_document(text)


def test_a_tokenizer_that_windows_cannot_follow_is_named(small_windows):
    text = "ab " * 250 + "x" * 499 + "y" * 501
    with pytest.raises(DataError, match=re.escape("bytes makes other tokens of a text of 137 tokens than")):
        encode_parts(Counting(), cut(text, [100]))


def test_no_more_than_a_window_is_encoded_at_once(small_windows, monkeypatch):
    asked = []

    def listening(tokenizer, document):
        asked.append(len(document))
        return encode_with_text(tokenizer, document)

    monkeypatch.setattr(document_parts, "encode_with_text", listening)
    text = " ".join(words(3, 4000))
    assert_same(encode_parts(TOKENIZERS["json"], cut(text, [1000])), TOKENIZERS["json"], text)
    assert max(asked) == 560 and sum(asked) < 1.5 * len(text)


@pytest.mark.parametrize("most", [1, 100, 2000])
def test_no_more_is_read_than_is_wanted(most, small_windows):
    tokenizer, taken = TOKENIZERS["json"], []
    endless = (taken.append(part) or part for part in repeat(" ".join(words(4, 100)) + " "))
    ids, text = encode_parts(tokenizer, endless, most)
    assert len(ids) >= most + CUT_TOKENS and sum(map(len, taken)) < 20 * (most + CUT_TOKENS) + 2000
    whole, _ = encode_with_text(tokenizer, "".join(taken))
    assert ids[:most].tolist() == whole[:most] and len(text.bytes) == len(ids)


def test_what_a_dry_run_looks_at_is_encoded_once(monkeypatch):
    asked = []
    monkeypatch.setattr(
        document_parts, "encode_with_text", lambda *given: asked.append(len(given[1])) or encode_with_text(*given)
    )
    ids, _ = encode_parts(ByteTokenizer(), repeat("abcd " * 1000), GLANCE_TOKENS + 1)
    assert len(ids) > GLANCE_TOKENS and len(asked) == 1


def test_a_document_without_text_is_none():
    assert encode_parts(ByteTokenizer(), []) is None and encode_parts(ByteTokenizer(), ["", ""], 5) is None
    assert encode_parts(ByteTokenizer(), ["", "a"])[0].tolist() == [97]


def test_a_text_is_looked_at_and_dropped():
    text = DocumentText(["ab", "", "cde", "f"])
    assert (text.peek(3), text.peek(2, 1), text.is_longer(5), text.is_longer(6)) == ("abc", "bc", True, False)
    text.drop(4)
    assert (text.peek(9), text.peek(9, 1), text.is_longer(1), text.is_longer(2)) == ("ef", "f", True, False)
