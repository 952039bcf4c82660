"""Evaluation from files: a real program on a shard and on text, against a computation one target at a time."""

from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from naive_program import naive_logits, naive_losses
from naive_scoring import naive_target_bytes
from tiny_tokenizers import model_bytes, tiny_tokenizer, words

from bytecap.errors import DataError, VerificationError
from bytecap.format.program.operations import Embed, Linear, Shift
from bytecap.format.program.program import Program
from bytecap.runtime.checked_pieces import checked_byte_table, refuse_untransformed_text
from bytecap.runtime.evaluation import (
    ScoringOptions,
    choose_documents,
    evaluate_program,
    read_scoring_data,
)
from bytecap.runtime.shards import write_shard
from bytecap.runtime.tokens import read_tokens

VOCABULARY, LENGTH = 420, 16
PROGRAM = Program((Embed(0), Shift(0, 1, False), Linear(1, 1, None)), VOCABULARY, LENGTH, 1)
DOCUMENTS = [" ".join(words(seed, 25)) + " \u4e2d\u00e9" for seed in range(4)]


@pytest.fixture
def tensors():
    rng = np.random.default_rng(3)
    return [rng.normal(size=(VOCABULARY, 8)).astype(np.float32) for _ in range(2)]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "x.model").write_bytes(model_bytes())
    (tmp_path / "x.txt").write_text("\0".join(DOCUMENTS), encoding="utf-8")
    write_shard(tmp_path / "x.bin", read_tokens(tmp_path / "x.txt", tiny_tokenizer(), VOCABULARY, 1).ids)
    return tmp_path


def naive_bits_per_byte(tensors, ids, length, count):
    nats, size = [], 0
    for start in range(0, count, length):
        window = [int(token) for token in ids[start : min(start + length, count) + 1]]
        nats += naive_losses(naive_logits(PROGRAM, tensors, window[:-1]), window[1:])
        size += sum(naive_target_bytes(tiny_tokenizer(), *pair) for pair in pairwise(window))
    return math.fsum(nats) / (math.log(2) * size), size


@pytest.mark.parametrize(
    ("data", "options", "length", "count"),
    [
        ("x.bin", {}, 16, 96),  # a shard is scored in whole windows
        ("x.bin", {"sequence_length": 10, "max_tokens": 45, "threads": 2}, 10, 40),
        ("x.txt", {}, 16, 100),  # of a text every token counts
        ("x.txt", {"sequence_length": 10, "max_tokens": 45, "threads": 2}, 10, 45),
    ],
)
def test_bits_per_byte_of_a_program(data, options, length, count, files, tensors):
    result = evaluate_program(PROGRAM, tensors, files / data, files / "x.model", **{"max_tokens": 100, **options})
    ids = read_tokens(files / "x.bin", tiny_tokenizer(), VOCABULARY, 1).ids
    expected, size = naive_bits_per_byte(tensors, ids, length, count)
    assert (result.tokens, result.bytes) == (count, size)
    assert result.bits_per_byte == pytest.approx(expected, rel=1e-6)
    assert result.unscored_tokens == options.get("max_tokens", 100) - count


def test_bytes_of_a_whole_text_are_its_length(files, tensors):
    ids = read_tokens(files / "x.bin", tiny_tokenizer(), VOCABULARY, 1).ids
    result = evaluate_program(PROGRAM, tensors, files / "x.txt", files / "x.model", sequence_length=len(ids) - 1)
    assert result.bytes == sum(len(document.encode()) for document in DOCUMENTS)


def test_threads_and_sliding_windows(files, tensors):
    one = evaluate_program(PROGRAM, tensors, files / "x.bin", files / "x.model", stride=3, threads=1)
    two = evaluate_program(PROGRAM, tensors, files / "x.bin", files / "x.model", stride=3, threads=2)
    assert one.bits_per_byte == two.bits_per_byte and one.stride == 3


def test_a_contradicted_table_stops_the_evaluation(files, tensors):
    """Bytes that are no character, beyond the scored targets but in a document that they touch."""
    tokenizer = tiny_tokenizer()
    a, lone = tokenizer.token("a"), tokenizer.token("<0xE2>")
    good, bad = [1, *[a] * 40], [1, *[a] * 30, lone, *[a] * 9]
    write_shard(files / "y.bin", np.array(good + bad))
    assert evaluate_program(PROGRAM, tensors, files / "y.bin", files / "x.model", max_tokens=32).tokens == 32
    with pytest.raises(DataError, match="bits per byte would be wrong"):
        evaluate_program(PROGRAM, tensors, files / "y.bin", files / "x.model", max_tokens=48)


def test_the_checked_table_is_the_tokenizers(files):
    tokenizer = tiny_tokenizer()
    tokens = read_tokens(files / "x.bin", tokenizer, VOCABULARY, 1)
    for max_tokens in (16, 17, 50, None):
        assert np.array_equal(
            checked_byte_table(tokenizer, tokens, LENGTH, max_tokens).base_bytes, tokenizer.byte_table().base_bytes
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence_length": 0}, "sequence_length is 0"),
        ({"sequence_length": 10_000}, "one sequence needs"),
        ({"max_tokens": 0}, "max_tokens is 0"),
    ],
)
def test_bad_options(options, message, files, tensors):
    with pytest.raises(DataError, match=message):
        evaluate_program(PROGRAM, tensors, files / "x.bin", files / "x.model", **options)


def test_damaged_weights_are_named(files, tensors):
    tensors[1][7, 3] = np.nan
    with pytest.raises(VerificationError, match="its weights are damaged"):
        evaluate_program(PROGRAM, tensors, files / "x.bin", files / "x.model")


class LosesBehind:
    """Not a model of text: behind a boundary token in mid-sequence each loss is higher by `loss`."""

    def __init__(self, loss: float) -> None:
        self.program, self.loss = PROGRAM, loss

    def token_losses(self, tokens: np.ndarray) -> np.ndarray:
        inside = (tokens[:, :-1] == 1) & (np.arange(tokens.shape[1] - 1) > 0)
        return 1.0 + self.loss * (np.cumsum(inside, axis=1) > 0)


@pytest.mark.parametrize("data", ["x.bin", "x.txt"])
def test_documents_are_read_separately_where_a_model_cannot_read_on(data, files):
    for loss, documents, separate in (
        (2.0, "auto", True),
        (0.3, "auto", False),
        (2.0, "joined", False),
        (0.3, "separate", True),
    ):
        options = ScoringOptions(documents=documents)
        read = read_scoring_data(PROGRAM, files / data, files / "x.model", options)
        chosen = choose_documents(LosesBehind(loss), read, options)
        assert (chosen.documents is not None) == separate
        if separate:
            starts = np.flatnonzero(chosen.tokens.ids == 1)
            assert chosen.documents.tolist() == starts.tolist() and len(starts) == len(DOCUMENTS)
        assert [note for note in chosen.notes if "loses 2.00 nats a token more" in note] == list(chosen.notes)


def test_separate_documents_are_scored_one_by_one(files, tensors):
    """Each document's targets as if it were the only one; the boundary tokens between them are no targets."""
    found = evaluate_program(PROGRAM, tensors, files / "x.txt", files / "x.model", documents="separate")
    alone = []
    for number, document in enumerate(DOCUMENTS):
        (files / f"{number}.txt").write_text(document, encoding="utf-8")
        alone.append(evaluate_program(PROGRAM, tensors, files / f"{number}.txt", files / "x.model"))
    assert found.nats == pytest.approx(sum(score.nats for score in alone), rel=1e-12)
    assert (found.tokens, found.bytes) == (sum(s.tokens for s in alone), sum(s.bytes for s in alone))
    assert found.unscored_tokens == len(DOCUMENTS) - 1
    assert found.words == sum(len(document.split()) for document in DOCUMENTS)
    assert found.word_perplexity == pytest.approx(math.exp(found.nats / found.words))
    assert found.perplexity == pytest.approx(2**found.bits_per_token)


def test_a_model_that_is_worse_than_guessing_is_known(files, tensors):
    assert evaluate_program(PROGRAM, tensors, files / "x.txt", files / "x.model").worse_than_guessing
    uniform = [tensors[0], np.zeros_like(tensors[1])]
    found = evaluate_program(PROGRAM, uniform, files / "x.txt", files / "x.model")
    assert found.bits_per_token == pytest.approx(math.log2(VOCABULARY)) and found.perplexity == pytest.approx(
        VOCABULARY
    )


def test_only_a_vocabulary_without_capitals_is_one_of_case_operators():
    """A large vocabulary, such as Gemma's, has the same characters as pieces of their own."""
    tokens = SimpleNamespace(text=b"Hello", source="t.txt")
    small = [b"", b"A", "\ue001".encode(), "\ue002".encode(), b"hello"]  # A is a byte of the fallback
    for texts, refused in ((small, True), ([*small, b"Hello"], False), (small[:2], False)):
        tokenizer = SimpleNamespace(source="x.model", pieces=SimpleNamespace(texts=texts))
        if refused:
            with pytest.raises(DataError, match="has pieces for case operators"):
                refuse_untransformed_text(tokenizer, tokens)
        else:
            refuse_untransformed_text(tokenizer, tokens)
