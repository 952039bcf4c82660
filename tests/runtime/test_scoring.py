"""Scoring against a model and a byte count computed one target at a time."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_scoring import BigramModel, PositionModel, naive_target_bytes, naive_window_of_target
from threadpoolctl import threadpool_info
from tiny_tokenizers import tiny_tokenizer, words

from bytecap.errors import DataError, VerificationError
from bytecap.runtime.score import Gap
from bytecap.runtime.scoring import Score, paired_gap, score, target_count
from bytecap.runtime.token_text import text_of_ids
from bytecap.runtime.tokens import Tokens
from bytecap.runtime.windows import windows, windows_by_document

VOCABULARY = 420
TABLE = tiny_tokenizer().byte_table()


def some_tokens(count: int) -> Tokens:
    tokenizer = tiny_tokenizer()
    ids: list[int] = []
    for seed in range(count):
        ids += [1, *tokenizer.encode_document(" ".join(words(seed, 20)) + " \u4e2d")]
        if len(ids) >= count:
            break
    return Tokens(np.array(ids[:count], dtype=np.uint16), "some tokens")


def scored(model, tokens: Tokens, **options) -> Score:
    """The score with the bytes that the pieces of the tiny tokenizer have."""
    text = text_of_ids(tiny_tokenizer(), TABLE, tokens.ids)
    return score(model, tokens, text=text, **options)


def make_score(losses, sizes, **changes) -> Score:
    values = {
        "tokens": 10,
        "bytes": int(np.sum(sizes)),
        "unknown_tokens": 0,
        "sequence_length": 5,
        "stride": 5,
        "seconds": 1.0,
    }
    arrays = {"sequence_losses": np.array(losses, dtype=np.float64), "sequence_bytes": np.array(sizes, dtype=np.int64)}
    return Score(**{**values, **arrays, **changes})


def test_bits_per_byte_of_a_bigram_model():
    tokens, model, tokenizer = some_tokens(1000), BigramModel(VOCABULARY), tiny_tokenizer()
    result = scored(model, tokens, sequence_length=64)
    pairs = [(int(tokens.ids[i]), int(tokens.ids[i + 1])) for i in range(15 * 64)]
    nats = math.fsum(model.loss(*pair) for pair in pairs)
    size = sum(naive_target_bytes(tokenizer, *pair) for pair in pairs)
    assert (result.tokens, result.bytes, len(result.sequence_losses)) == (960, size, 15)
    assert result.bits_per_byte == pytest.approx(nats / (math.log(2) * size), rel=1e-12)
    assert result.bits_per_token == pytest.approx(nats / (math.log(2) * 960), rel=1e-12)
    assert result.tokens_per_second == 960 / result.seconds > 0
    assert (result.sequence_length, result.stride, result.unknown_tokens) == (64, 64, 0)


def test_unknown_targets_are_counted():
    ids = np.array([1, 3, 3, tiny_tokenizer().token("a"), 3])
    assert scored(BigramModel(VOCABULARY), Tokens(ids, "x"), sequence_length=3).unknown_tokens == 2


@settings(max_examples=300)
@given(st.integers(1, 12), st.integers(1, 400), st.data())
def test_every_target_is_scored_exactly_once(sequence_length, targets, data):
    stride = data.draw(st.integers(1, sequence_length))
    plan = list(windows(targets, sequence_length, stride))
    scored = [(target, window.start) for window in plan for target in range(window.start + window.skip, window.stop)]
    assert scored == [(target, naive_window_of_target(target, sequence_length, stride)) for target in range(targets)]
    assert all(window.stop - window.start <= sequence_length for window in plan)
    assert all(window.stop - window.start == sequence_length for window in plan[:-1])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(10, 200), st.integers(1, 7), st.data())
def test_sliding_windows_score_the_right_positions(sequence_length, count, batch, data):
    """Each target's loss as the model sees it: its position in the one window that scores it."""
    stride = data.draw(st.integers(1, sequence_length))
    ids = np.arange(4, 4 + count)
    result = scored(
        PositionModel(),
        Tokens(ids, "x"),
        sequence_length=sequence_length,
        stride=stride,
        batch_sequences=batch,
        threads=1,
    )
    targets = (count - 1) // sequence_length * sequence_length
    expected = sum(ids[t + 1] + 1000 * (t - naive_window_of_target(t, sequence_length, stride)) for t in range(targets))
    assert (result.tokens, result.nats) == (targets, expected)


def test_a_model_that_can_is_told_which_losses_are_needed():
    told = []

    class Sparing(BigramModel):
        def token_losses(self, tokens, *, needed_from=0):
            told.append((needed_from, tokens.shape[1] - 1))
            losses = super().token_losses(tokens)
            losses[:, :needed_from] = np.nan
            return losses

    for batch in (1, 4):
        options = {"sequence_length": 32, "stride": 5, "batch_sequences": batch, "threads": 1}
        whole = scored(BigramModel(VOCABULARY), some_tokens(200), **options)
        assert np.array_equal(
            scored(Sparing(VOCABULARY), some_tokens(200), **options).sequence_losses, whole.sequence_losses
        )
    assert told.count((0, 32)) == 2 and (27, 32) in told


def test_strides_score_the_same_targets_and_bytes():
    tokens, model = some_tokens(700), BigramModel(VOCABULARY)
    whole = scored(model, tokens, sequence_length=32)
    for stride in (1, 5, 31, 32):
        sliding = scored(model, tokens, sequence_length=32, stride=stride)
        assert (sliding.tokens, sliding.bytes) == (whole.tokens, whole.bytes)
        assert sliding.bits_per_byte == pytest.approx(
            whole.bits_per_byte, abs=1e-12
        )  # a bigram model needs no more context


@pytest.mark.parametrize("stride", [None, 7])
def test_threads_and_batches_change_nothing(stride):
    tokens, model = some_tokens(2000), BigramModel(VOCABULARY)
    results = [
        scored(model, tokens, sequence_length=32, stride=stride, threads=threads, batch_sequences=batch)
        for threads, batch in [(1, None), (2, None), (4, None), (3, 1), (2, 5), (1, 10_000)]
    ]
    assert len({result.bits_per_byte for result in results[:3]}) == 1
    for result in results:
        np.testing.assert_allclose(result.sequence_losses, results[0].sequence_losses, rtol=1e-12)
        assert result.bits_per_byte == pytest.approx(results[0].bits_per_byte, abs=1e-9)
        assert result.sequence_bytes.tolist() == results[0].sequence_bytes.tolist()


def test_batches_are_rectangular_and_small():
    model = BigramModel(VOCABULARY)
    scored(model, some_tokens(1000), sequence_length=64, stride=24, batch_sequences=4, threads=1)
    lengths = [shape[1] - 1 for shape in model.calls]
    assert all(shape[0] <= 4 for shape in model.calls) and set(lengths[:-1]) == {64} and lengths[-1] < 64


@pytest.mark.parametrize(
    ("count", "max_tokens", "expected"),
    [(1000, None, 960), (961, None, 960), (960, None, 896), (1000, 130, 128), (1000, 64, 64), (1000, 5000, 960)],
)
def test_how_many_targets_are_scored(count, max_tokens, expected):
    tokens = some_tokens(count)
    assert target_count(tokens, 64, max_tokens) == expected
    assert scored(BigramModel(VOCABULARY), tokens, sequence_length=64, max_tokens=max_tokens).tokens == expected


BAD_OPTIONS = {
    "too few tokens": ({"sequence_length": 1000}, "the tokens give 499"),
    "too small a limit": ({"sequence_length": 64, "max_tokens": 63}, "max_tokens allow 63"),
    "no length": ({"sequence_length": 0}, "sequence_length is 0"),
    "no limit": ({"sequence_length": 8, "max_tokens": 0}, "max_tokens is 0"),
    "no stride": ({"sequence_length": 8, "stride": 0}, "stride is 0"),
    "long stride": ({"sequence_length": 8, "stride": 9}, "never be scored"),
    "no threads": ({"sequence_length": 8, "threads": 0}, "threads is 0"),
    "no batch": ({"sequence_length": 8, "batch_sequences": 0}, "batch_sequences is 0"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_bad_options(name):
    options, message = BAD_OPTIONS[name]
    with pytest.raises(DataError, match=message):
        scored(BigramModel(VOCABULARY), some_tokens(500), **options)


def test_tokens_without_text_are_refused():
    with pytest.raises(DataError, match="no text at all"):
        scored(BigramModel(VOCABULARY), Tokens(np.full(50, 1), "x.bin"), sequence_length=8)


def test_a_loss_that_is_not_finite_is_named():
    model = BigramModel(VOCABULARY)
    tokens = some_tokens(300)
    model.logits[tokens.ids[20], :] = np.nan
    with pytest.raises(VerificationError, match=r"loss is nan in sequence 1 \(targets 16 to 31\)"):
        scored(model, tokens, sequence_length=16)


def test_progress_and_one_blas_thread():
    seen, blas = [], []

    class Watching(BigramModel):
        def token_losses(self, tokens):
            blas.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
            return super().token_losses(tokens)

    before = [pool["num_threads"] for pool in threadpool_info()]
    main = threading.get_ident()
    scored(
        Watching(VOCABULARY),
        some_tokens(400),
        sequence_length=16,
        batch_sequences=3,
        threads=2,
        progress=lambda done, total: seen.append((done, total, threading.get_ident())),
    )
    assert [pool["num_threads"] for pool in threadpool_info()] == before and set(blas) == {1}
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen) and seen[-1] == (24, 24, main)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_ends_it_soon(threads):
    model = BigramModel(VOCABULARY)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scored(model, some_tokens(4000), sequence_length=8, batch_sequences=1, threads=threads, progress=interrupt)
    assert len(model.calls) <= 6 * threads < 499
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("score")]


def test_a_failing_model_is_not_hidden():
    class Failing:
        def token_losses(self, tokens):
            raise DataError("as the model says")

    with pytest.raises(DataError, match="as the model says"):
        scored(Failing(), some_tokens(400), sequence_length=8)


def test_paired_gap_by_hand():
    """Two sequences of equal bytes: the mean difference, and the textbook standard error of a mean of two."""
    a = make_score([10.0, 20.0], [8, 8])
    b = make_score([10.0 + math.log(2), 20.0 + 3 * math.log(2)], [8, 8])
    gap = paired_gap(a, b)
    assert gap.mbpb == pytest.approx(1000 * 4 / 16)
    assert gap.standard_error_mbpb == pytest.approx(1000 * np.std([1 / 8, 3 / 8], ddof=1) / math.sqrt(2))
    back = paired_gap(b, a)
    assert back.mbpb == pytest.approx(-gap.mbpb) and back.standard_error_mbpb == pytest.approx(gap.standard_error_mbpb)
    assert gap.mbpb == pytest.approx(1000 * (b.bits_per_byte - a.bits_per_byte))


def test_the_standard_error_of_a_score_is_that_of_its_gap_to_nothing():
    """Over windows, or over documents where these are read one by one; None of a single one."""
    losses, sizes = [7.0, 3.0, 4.5, 6.0], [5, 3, 4, 8]
    nothing = make_score([0.0] * 4, sizes)
    found = make_score(losses, sizes)
    gap = paired_gap(nothing, found)
    assert found.standard_error == pytest.approx(gap.standard_error_mbpb / 1000, rel=1e-12)
    within = np.array([0, 0, 2, 3])
    by_document = make_score(losses, sizes, sequence_documents=within)
    joined = make_score([10.0, 4.5, 6.0], [8, 4, 8])
    assert by_document.standard_error == pytest.approx(joined.standard_error, rel=1e-12)
    nothing = make_score([0.0] * 4, sizes, sequence_documents=within)
    assert paired_gap(nothing, by_document).standard_error_mbpb == pytest.approx(
        1000 * joined.standard_error, rel=1e-12
    )
    alone = make_score(losses, sizes, sequence_documents=np.zeros(4, dtype=int))
    assert alone.standard_error == found.standard_error
    assert make_score([1.0], [2]).standard_error is None and make_score(losses, [0] * 4).standard_error is None


def test_standard_errors_of_documents_are_over_documents():
    tokens = some_tokens(600)
    starts = np.flatnonzero(tokens.ids == 1)
    result = scored(BigramModel(VOCABULARY), tokens, sequence_length=16, stride=4, documents=starts)
    assert set(result.sequence_documents.tolist()) == set(range(len(starts)))
    assert len(result.sequence_documents) == len(result.sequence_losses)
    assert scored(BigramModel(VOCABULARY), tokens, sequence_length=16).sequence_documents is None


def test_paired_gap_of_a_model_with_itself_and_of_a_constant_rate():
    a = make_score([10.0, 20.0, 5.0], [8, 4, 2])
    assert paired_gap(a, a) == Gap(0.0, 0.0, 3)
    b = make_score(np.array([10.0, 20.0, 5.0]) + 0.01 * np.array([8, 4, 2]), [8, 4, 2])
    gap = paired_gap(a, b)
    assert gap.mbpb == pytest.approx(10 / math.log(2)) and gap.standard_error_mbpb == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("documents", "targets", "expected"),
    [
        ([0, 6, 7], 12, [(0, 4, 0), (2, 5, 2), (7, 11, 0), (9, 12, 2)]),  # token 6 is context and nothing else
        ([0, 6], 3, [(0, 3, 0)]),  # the targets end before the first document
        ([0, 6], 6, [(0, 4, 0), (2, 5, 2)]),  # they end where the second begins
        ([0, 6], 7, [(0, 4, 0), (2, 5, 2), (6, 7, 0)]),
    ],
)
def test_windows_of_documents(documents, targets, expected):
    found = windows_by_document(np.array(documents), targets, sequence_length=4, stride=2)
    assert [(window.start, window.stop, window.skip) for window in found] == expected


def test_what_a_score_says_of_itself():
    score = make_score([10.0, 20.0], [8, 4])
    assert score.shown_facts()["bits per byte"] == f"{score.bits_per_byte:.5f} ± {score.standard_error:.5f}"
    assert score.shown_facts()["bytes"] == "12"
    one = make_score([10.0], [8])
    assert one.shown_facts()["bits per byte"] == f"{one.bits_per_byte:.5f}"
    assert make_score([10.0], [0]).shown_facts()["bytes"] == "not known"


def test_the_defaults_of_a_score_are_nothing():
    score = make_score([10.0], [8])
    assert (score.hidden_bytes, score.unscored_tokens, score.kept_tokens) == (0, 0, 0)
    assert (score.rows_without_piece, score.probability_without_piece, score.words) == (0, 0.0, None)
    assert score.word_perplexity is None and not score.worse_than_guessing
    assert make_score([10.0], [8], vocabulary_size=2).worse_than_guessing  # 1 nat a token, guessing costs 0.69
    assert not make_score([10.0], [8], vocabulary_size=3).worse_than_guessing
    assert make_score([6999.0], [8]).perplexity == pytest.approx(math.exp(699.9))
    assert make_score([7000.0], [8]).perplexity is None


def test_the_interval_of_few_sequences_is_students():
    a, b = make_score([0.0, 0.0, 0.0], [8, 4, 2]), make_score([0.1, 0.3, 0.2], [8, 4, 2])
    gap = paired_gap(a, b)
    low, high = gap.interval_mbpb
    assert high - gap.mbpb == pytest.approx(gap.mbpb - low) == pytest.approx(4.303 * gap.standard_error_mbpb)
    documents = np.array([0, 0, 4])
    pair = paired_gap(replace(a, sequence_documents=documents), replace(b, sequence_documents=documents))
    assert pair.interval_mbpb[1] - pair.mbpb == pytest.approx(12.706 * pair.standard_error_mbpb)


def test_the_standard_error_is_the_spread_over_samples():
    """Over many draws of sequences the gap scatters as its standard error says."""
    rng = np.random.default_rng(5)
    gaps = []
    for _ in range(400):
        sizes = rng.integers(400, 800, size=60)
        difference = rng.normal(0.01, 0.02, size=60) * sizes
        gaps.append(paired_gap(make_score(np.zeros(60), sizes), make_score(difference, sizes)))
    spread = np.std([gap.mbpb for gap in gaps])
    assert np.mean([gap.standard_error_mbpb for gap in gaps]) == pytest.approx(spread, rel=0.12)


@pytest.mark.parametrize(
    "changes", [{"sequence_bytes": np.array([8, 9])}, {"tokens": 11}, {"stride": 2}, {"sequence_length": 6}]
)
def test_scores_of_different_tokens_have_no_gap(changes):
    with pytest.raises(DataError, match="not of the same tokens"):
        paired_gap(make_score([1.0, 2.0], [8, 8]), make_score([1.0, 2.0], [8, 8], **changes))


def test_one_sequence_has_no_standard_error():
    with pytest.raises(DataError, match="at least two sequences"):
        paired_gap(make_score([1.0], [8]), make_score([2.0], [8]))
