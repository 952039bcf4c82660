"""Checking what decodes in stretches: the verdicts and the words are those of whole documents, in bounded memory."""

from __future__ import annotations

import itertools
import random
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tokenizers import KINDS, tiny_tokenizer, words
from tokenizer_files import write_tokenizers

from bytecap.errors import DataError
from bytecap.runtime.tokenizers import load_tokenizer, stretches
from bytecap.runtime.tokenizers.stretches import CHARACTER, WORD, cuts_of, first_fault

STRETCH, OVERLAP = 96, 16
WHOLE = 1 << 30


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers")
    files = write_tokenizers(folder)
    return cache(lambda kind: tiny_tokenizer(kind[6:]) if kind.startswith("small ") else load_tokenizer(files[kind]))


SMALL = [f"small {kind}" for kind in sorted(KINDS)]
FILES = (
    "byte-level,metaspace,unigram,vocab and merges,ranks,pickled ranks,gguf llama,gguf gpt2,llama2.c,characters,bytes"
)
ALL = [*FILES.split(","), *SMALL]


def documents(seed: int, kind: str) -> list[str]:
    """Two of some hundred tokens: words, long words without a space, and characters of many bytes where they may be."""
    chance = random.Random(seed)
    rare = "" if kind == "characters" else "\u4e2d\u00e9\U0001f600  \n"
    found = []
    for _ in range(2):
        parts = [" ".join(words(chance.randrange(1000), 80)), "".join(words(chance.randrange(1000), 60))]
        parts += ["".join(chance.choices(rare, k=200))] if rare else []
        chance.shuffle(parts)
        found.append(" ".join(parts))
    return found


def verdict(tokenizer, ids) -> str:
    try:
        tokenizer.check_decoding(ids, "x.bin")
    except DataError as error:
        return str(error)
    return ""


def both(monkeypatch, tokenizer, ids) -> tuple[str, str]:
    """What is said of tokens in stretches, and in one piece."""
    found = []
    for stretch in (STRETCH, WHOLE):
        monkeypatch.setattr(stretches, "STRETCH", stretch)
        monkeypatch.setattr(stretches, "OVERLAP", OVERLAP)
        found.append(verdict(tokenizer, ids))
    return found[0], found[1]


def broken(tokenizer, token: int, how: str):
    """The same with pieces that are wrong in one of them."""
    texts, spaced = list(tokenizer.pieces.texts), tokenizer.pieces.leading_space.copy()
    if how == "longer":
        texts[token] += b"!"
    elif how == "shorter":
        texts[token] = texts[token][:-1]
    else:
        spaced[token] ^= True
    given = tokenizer.pieces
    other = type(given)(texts, given.boundary, given.unknown, spaced)
    copy = object.__new__(type(tokenizer))
    copy.__dict__.update({**vars(tokenizer), "pieces": other})
    return copy


@pytest.mark.parametrize("kind", ALL)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1 << 20), how=st.sampled_from(["right", "longer", "shorter", "space"]))
def test_verdicts_and_words_are_those_of_whole_documents(kind, loaded, seed, how):
    tokenizer = loaded(kind)
    ids = [token for text in documents(seed, kind) for token in tokenizer.encode_document(text)]
    ids = np.array(ids, dtype=np.int64)
    wrong = tokenizer if how == "right" else broken(tokenizer, int(ids[seed % len(ids)]), how)
    with pytest.MonkeyPatch.context() as monkeypatch:
        in_stretches, whole = both(monkeypatch, wrong, ids)
    assert in_stretches == whole
    if how == "longer" and kind not in ("characters", "bytes") and not tokenizer.pieces.boundary[ids[seed % len(ids)]]:
        assert "bits per byte would " in whole


@pytest.mark.parametrize("kind", ALL)
def test_no_more_tokens_are_decoded_at_once_than_a_stretch(kind, loaded, monkeypatch):
    tokenizer = loaded(kind)
    texts = documents(3, kind)
    ids = [np.array(tokenizer.encode_document(text), dtype=np.int64) for text in texts]
    most, real = [], type(tokenizer).decode_runs
    monkeypatch.setattr(
        type(tokenizer),
        "decode_runs",
        lambda self, runs: most.append(sum(map(len, runs))) or real(self, runs),
    )
    monkeypatch.setattr(stretches, "STRETCH", STRETCH)
    monkeypatch.setattr(stretches, "OVERLAP", OVERLAP)
    said = verdict(tokenizer, np.concatenate(ids))
    assert said == "" or "spelled as three bytes" in said  # of a vocabulary that lacks the space
    assert max(most, default=0) <= STRETCH + STRETCH  # an anchor before each of at most STRETCH runs


def test_where_text_is_cut():
    texts = [b"", b" ab", b"ab", "\u4e2d".encode(), b"\x80", b"\xe4\xb8"]
    spaced = np.array([False, True, False, False, False, False])
    assert cuts_of(texts, spaced).tolist() == [CHARACTER, WORD, CHARACTER, CHARACTER, 0, CHARACTER]


def test_a_run_without_a_place_to_cut_is_judged_whole(monkeypatch):
    monkeypatch.setattr(stretches, "STRETCH", STRETCH)
    monkeypatch.setattr(stretches, "OVERLAP", OVERLAP)
    asked = []
    ids = np.zeros(1000, dtype=np.int64)
    for cuts, longest in ((np.array([0], np.int8), 1000), (np.array([1], np.int8), STRETCH)):
        asked.clear()
        judge = SimpleNamespace(of=lambda spans: asked.extend(spans) or [None] * len(spans))
        assert first_fault([(0, 1000)], ids, cuts, judge.of) is None
        assert max(stop - start for start, stop in asked) == longest
        assert asked[0][0] == 0 and asked[-1][1] == 1000
        assert all(before[1] - after[0] == OVERLAP for before, after in itertools.pairwise(asked))


def test_what_disagrees_in_a_stretch_alone_is_no_fault(monkeypatch):
    monkeypatch.setattr(stretches, "STRETCH", STRETCH)
    monkeypatch.setattr(stretches, "OVERLAP", OVERLAP)
    runs = [(0, 300), (300, 310), (310, 700)]
    ids, cuts = np.zeros(700, dtype=np.int64), np.array([1], np.int8)
    assert first_fault(runs, ids, cuts, lambda spans: [None if s in runs else "cut" for s in spans]) is None
    said = {(310, 700): "the third", (300, 310): "the second"}
    assert first_fault(runs, ids, cuts, lambda spans: [said.get(s, None) for s in spans]) == "the second"
    del said[300, 310]
    assert first_fault(
        runs, ids, cuts, lambda spans: [said.get(s, "cut" if s not in runs else None) for s in spans]
    ) == ("the third")
