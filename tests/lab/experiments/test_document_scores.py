"""Losses by document: the same losses that every score is made of, and the intervals of their differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tiny_models import golf_model
from tiny_tokenizers import tiny_tokenizer, words

from bytecap.errors import DataError, VerificationError
from bytecap.lab.experiments.document_scores import DocumentScores, over_seeds, paired_difference, score_documents
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.scoring import score
from bytecap.runtime.token_text import text_of_ids
from bytecap.runtime.tokens import Tokens

DOCUMENTS = [" ".join(words(seed, 9 + seed)) for seed in range(7)]
IDS = np.concatenate([[1, *tiny_tokenizer().encode_document(text)] for text in DOCUMENTS])
MODEL = golf_model(3, vocab_size=420)
TENSORS = [t.values for t in MODEL.tensors]


def scored(ids=IDS, **options) -> DocumentScores:
    return score_documents(MODEL.program, TENSORS, ids, tiny_tokenizer(), **{"threads": 1, **options})


def test_documents_hold_the_losses_that_a_score_is_made_of():
    length = MODEL.program.sequence_length
    whole = (len(IDS) - 1) // length * length
    text = text_of_ids(tiny_tokenizer(), tiny_tokenizer().byte_table(), IDS)
    expected = score(Interpreter(MODEL.program, TENSORS), Tokens(IDS, "text"), text=text, sequence_length=length)
    found = scored(IDS[: whole + 1])
    assert (
        found.nats.sum() == pytest.approx(expected.nats)
        and found.bytes.sum() == expected.bytes
        and found.tokens.sum() == whole
    )
    assert found.bits_per_byte == pytest.approx(expected.bits_per_byte)


def test_each_document_has_its_own_bytes_and_tokens():
    found = scored()
    assert found.bytes.tolist() == [len(text.encode()) for text in DOCUMENTS]
    counts = [len(tiny_tokenizer().encode_document(text)) + 1 for text in DOCUMENTS]
    assert found.tokens.tolist() == [counts[0] - 1, *counts[1:]]  # nothing predicts the first boundary
    assert found.nats_per_token == pytest.approx(found.nats.sum() / (sum(counts) - 1))
    assert np.array_equal(found.nats, scored(threads=3).nats)


def test_a_text_shorter_than_a_sequence():
    found = scored(IDS[:6])
    assert found.tokens.tolist() == [5]
    expected = Interpreter(MODEL.program, TENSORS).token_losses(IDS[None, :6]).sum()
    assert found.nats.tolist() == pytest.approx([expected])


def test_what_cannot_be_scored():
    with pytest.raises(DataError, match="must begin with the boundary token"):
        scored(IDS[1:])
    broken = [np.full_like(TENSORS[0], np.nan), *TENSORS[1:]]
    with pytest.raises(VerificationError, match="not finite"), np.errstate(all="ignore"):
        score_documents(MODEL.program, broken, IDS, tiny_tokenizer(), threads=1)


def test_a_difference_of_one_seed_is_a_ratio_estimate():
    """Against the published formula, term by term."""
    random = np.random.default_rng(1)
    first, weights = random.random((1, 20)) * 50, random.integers(10, 90, 20)
    second = first + random.normal(0.1, 0.3, (1, 20)) * weights
    found = paired_difference(first, second, weights)
    ratio = sum(second[0] - first[0]) / sum(weights)
    residuals = [(b - a - ratio * w) ** 2 for a, b, w in zip(first[0], second[0], weights, strict=True)]
    assert found.mean == pytest.approx(ratio)
    assert found.standard_error == pytest.approx(math.sqrt(20 / 19 * sum(residuals)) / sum(weights))


def test_seeds_widen_the_interval_as_student_has_it():
    assert over_seeds([5.0]).standard_error == 0
    found = over_seeds([1.0, 2.0, 3.0])
    assert found.mean == 2.0 and found.high - found.mean == pytest.approx(4.303 / math.sqrt(3))
    many = over_seeds(np.arange(40.0))
    assert many.high - many.mean == pytest.approx(2.023 * np.arange(40.0).std(ddof=1) / math.sqrt(40), rel=1e-3)
    weights = np.ones(4)
    apart = paired_difference(np.zeros((3, 4)), np.array([[1.0] * 4, [2.0] * 4, [3.0] * 4]), weights)
    assert (apart.mean, apart.standard_error) == (2.0, pytest.approx(found.standard_error))
