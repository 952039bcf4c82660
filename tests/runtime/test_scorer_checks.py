"""Other people's scorers: a good one passes everything, and each fault fails the check that names it."""

from __future__ import annotations

import math

import naive_scorers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_scorers import VOCABULARY, GoodScorer, OnlyLogits, OnlyLogProbabilities
from tiny_artifacts import BOUNDARY, PROGRAM, tiny_artifact
from tiny_tokenizers import tiny_tokenizer, words

from bytecap.errors import DataError
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime import scorer_questions
from bytecap.runtime.check import Outcome
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.scorer_checks import check_interpreter, check_scorer
from bytecap.runtime.shards import write_shard
from bytecap.runtime.target_coverage import check_each_target_once, check_target_count, repeating_windows
from bytecap.runtime.windows import windows, windows_by_document

EVALUATION = ["each target once", "total", "evaluated distribution", "later tokens"]
IDS = np.random.default_rng(1).integers(0, VOCABULARY, 203)


def checked(scorer, ids=IDS, **options):
    return {
        check.name: check
        for check in check_scorer(scorer, ids, **{"sequence_length": 16, "stride": 4, "positions": 4, **options})
    }


def failed(checks) -> list[str]:
    return [name for name, check in checks.items() if check.outcome is Outcome.FAILED]


def test_a_good_scorer_passes_everything():
    checks = checked(GoodScorer())
    assert {name: check.outcome for name, check in checks.items()} == dict.fromkeys(
        ["distribution", "causality", "batches", "state", *EVALUATION],
        Outcome.PASSED,
    )
    assert checks["distribution"].values["sum_farthest_from_one"] == pytest.approx(1)
    assert checks["evaluated distribution"].values["sum"] == pytest.approx(1)
    assert checks["total"].values["ours"] == pytest.approx(checks["total"].values["nats"])


@pytest.mark.parametrize("scorer", [OnlyLogits(), OnlyLogProbabilities()])
def test_what_a_scorer_lacks_is_skipped(scorer):
    checks = checked(scorer)
    assert failed(checks) == []
    skipped = [name for name, check in checks.items() if check.outcome is Outcome.SKIPPED]
    assert skipped == EVALUATION


@pytest.mark.parametrize(
    "name, faults, said",
    [
        ("CacheScorer", ["distribution"], "sum to 18.5 at one of 4 places, not to 1"),
        ("OtherLogits", ["distribution"], "its losses are not those of its logits"),
        ("PeekingScorer", ["causality"], "numbers at or before it change by up to "),
        ("LengthScorer", ["causality"], "are cut off"),
        ("BatchScorer", ["distribution", "batches"], "sum to "),
        ("LearningScorer", ["state"], "so it keeps state between calls"),
        ("LastWindowsAgain", ["each target once", "total"], "more than once (198 to 201)"),
        ("LastWindowsCounted", ["each target once", "total"], "each shorter one scores its last 4 again"),
        ("CachingEvaluation", ["evaluated distribution"], "tokens sum to "),
        ("FittingEvaluation", ["evaluated distribution", "later tokens"], ""),
    ],
)
def test_a_fault_is_told_by_its_check(name, faults, said):
    checks = checked(getattr(naive_scorers, name)())
    assert set(faults) <= set(failed(checks))
    assert said in checks[faults[0]].detail
    if name in ("OtherLogits", "BatchScorer", "LastWindowsAgain", "LastWindowsCounted"):
        assert failed(checks) == faults


def test_probabilities_beyond_one_are_told_without_losses():
    scorer = OnlyLogProbabilities()
    scorer.excess = math.log(277)
    checks = checked(scorer)
    assert failed(checks) == ["distribution"]
    assert checks["distribution"].detail.endswith("sum to 277 at one of 4 places, not to 1")


def test_what_a_scorer_learns_is_no_fault_if_it_can_forget():
    checks = checked(naive_scorers.ForgettingScorer())
    assert checks["state"].passed and "reset makes it forget" in checks["state"].detail
    assert checks["state"].values["largest_change_without_reset"] > 0.1
    assert not checked(naive_scorers.LearningScorer())["state"].passed


def test_whole_windows_are_the_convention_of_shards():
    checks = checked(naive_scorers.WholeWindows(16, 16), stride=16)
    assert failed(checks) == []
    assert checks["each target once"].detail == "192 of 202 targets were scored, whole windows of 16 only"


def test_the_same_answers_come_from_the_same_seed():
    details = [[check.detail for check in checked(GoodScorer(), seed=seed).values()] for seed in (0, 0)]
    assert details[0] == details[1]


def test_tokens_come_from_files_too(tmp_path):
    write_shard(tmp_path / "x.bin", IDS)
    assert failed(checked(GoodScorer(), tmp_path / "x.bin")) == []
    with pytest.raises(DataError, match="at least 4 tokens from 0 to 39"):
        checked(GoodScorer(), np.array([1, 2, 3]))
    with pytest.raises(DataError, match="at least 4 tokens"):
        checked(GoodScorer(), np.array([1, 2, 3, 40]))


class Nothing:
    vocabulary_size = 5


class WrongShape(OnlyLogits):
    def logits(self, tokens):
        return OnlyLogits.logits(self, tokens)[..., :-1]


def test_what_is_no_scorer_is_refused():
    for scorer, said in (
        (object(), "has no vocabulary_size"),
        (Nothing(), "has none of token_losses, log_probabilities, logits"),
        (WrongShape(), "WrongShape.logits gave"),
    ):
        with pytest.raises(DataError, match=said):
            checked(scorer)


@settings(max_examples=100)
@given(st.integers(1, 12), st.integers(1, 200), st.data())
def test_our_windows_score_each_target_once(sequence_length, targets, data):
    """Any stride and any documents; those without a target in them are context only."""
    stride = data.draw(st.integers(1, sequence_length))
    plan = list(windows(targets, sequence_length, stride))
    places = [place for window in plan for place in range(window.start + window.skip, window.stop)]
    assert check_each_target_once(places, targets).passed
    starts = np.array(sorted({0, *data.draw(st.lists(st.integers(1, targets), max_size=5))}))
    plan = list(windows_by_document(starts, targets, sequence_length, stride))
    places = [place for window in plan for place in range(window.start + window.skip, window.stop)]
    between = [start - 1 for start in starts.tolist() if 0 < start <= targets]
    assert check_each_target_once(sorted(places + between), targets).passed


@settings(max_examples=100)
@given(st.integers(2, 12), st.integers(2, 100), st.data())
def test_a_missed_and_a_repeated_target_are_told(sequence_length, targets, data):
    places = list(range(targets))
    missed = data.draw(st.integers(0, targets - 1))
    repeated = data.draw(st.integers(0, targets - 1))
    check = check_each_target_once([*places[:missed], *places[missed + 1 :], repeated], targets)
    assert check.passed == (missed == repeated)
    check = check_each_target_once([*places, targets], targets)
    assert check.values["outside"] == 1 and not check.passed


def test_targets_that_are_missed_or_repeated_are_named_as_ranges():
    scored = [place for place in range(20) if place not in (3, 5, 6, 7, 12)] + [9]
    said = "of 20 targets are scored: 5 never (3, 5 to 7, 12), 1 more than once (9)"
    assert check_each_target_once(scored, 20).detail == said
    assert check_each_target_once(range(0, 40, 2), 40).detail.endswith("20 never (1, 3, 5, ...)")


def test_a_scorer_whose_every_row_is_beyond_the_size_of_a_question_is_asked_row_by_row(monkeypatch):
    monkeypatch.setattr(scorer_questions, "LOGITS", 1)
    assert checked(GoodScorer())["distribution"].passed


def test_windows_that_go_on_to_the_end_are_recognised_by_their_count():
    counted = sum(window.stop - window.start - window.skip for window in repeating_windows(100, 16, 4))
    assert counted == 100 + 3 * 4
    assert "scores its last 4 again" in check_target_count(counted, 100, 16, 4).detail
    assert check_target_count(counted + 1, 100, 16, 4).detail == "113 targets were scored and there are 100"


def test_our_interpreter_is_asked_the_same():
    artifact = read_artifact(tiny_artifact())
    model = Interpreter(artifact.program, decode_tensors(artifact))
    ids = np.array([BOUNDARY, *tiny_tokenizer().encode_document(" ".join(words(0, 30)))])
    check = check_interpreter(model, ids)
    assert check.passed and check.values["largest_change"] == 0
    assert check.detail == "softmax over all 420 tokens, causal at 4 places"

    class Peeking(Interpreter):
        def logits(self, tokens):
            found = super().logits(tokens)
            found[:, :-1] += 1e-3 * found[:, 1:]
            return found

    assert not check_interpreter(Peeking(PROGRAM, decode_tensors(artifact)), ids).passed

    class Shorter(Interpreter):
        def token_losses(self, tokens):
            return super().token_losses(tokens) - 0.001

    check = check_interpreter(Shorter(PROGRAM, decode_tensors(artifact)), ids)
    assert not check.passed and "losses are not those" in check.detail
