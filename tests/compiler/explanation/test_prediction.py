"""How far a prediction is trusted: what was measured over it, and texts that determine nothing."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from bytecap.compiler.explanation.prediction import far_off_notes, in_bits_per_byte, judge_prediction, prediction_text

WIDTH, VOCABULARY = 64, 1024
VARIED = np.arange(4096) % 500


def job(text=VARIED, tokens=4096, distil=True, vocabulary=VOCABULARY):
    """As much of a compile's job as a prediction is judged by."""
    return SimpleNamespace(
        statistics=SimpleNamespace(tokens=tokens, matrices={0: None, 1: None}),
        model=SimpleNamespace(
            tensors=[SimpleNamespace(values=np.zeros((8, width))) for width in (16, WIDTH)],
            program=SimpleNamespace(vocabulary_size=vocabulary),
        ),
        text=np.asarray(text),
        recipe=SimpleNamespace(distillation=SimpleNamespace(enabled=distil)),
    )


def test_a_measured_loss_stands_beside_the_prediction():
    found = judge_prediction(job(), 0.02, 0.05)
    assert (found["supported"], found["doubts"], found["measured_over_predicted"]) == (True, [], 2.5)
    assert "; measured is 2.50 times that; the second-order model does not hold" in prediction_text(0.02, found)
    assert found["holds"] is False and far_off_notes(found)[0].startswith("measured is 2.50 times the predicted loss: ")
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(("measured", "holds"), [(0.0299, True), (0.0301, False), (0.0111, True), (0.0109, False)])
def test_a_prediction_holds_between_two_ratios(measured, holds):
    found = judge_prediction(job(), 0.02, measured)
    assert found["holds"] is holds and bool(far_off_notes(found)) is not holds
    assert prediction_text(0.02, found).endswith("times that") is holds


def test_of_a_prediction_that_is_none_nobody_says_how_far_off_it_is():
    assert far_off_notes(judge_prediction(job(tokens=639), 0.02, 0.5)) == []
    assert far_off_notes(judge_prediction(job(), 0.02, None)) == []


@pytest.mark.parametrize(("distil", "usual"), [(True, "0.6 to 1.4"), (False, "0.7 to 1.4")])
def test_without_a_measurement_the_usual_ratio_is_said(distil, usual):
    found = judge_prediction(job(distil=distil), 0.02, None)
    assert found["measured_over_predicted"] is None and found["holds"] is None
    assert f"nothing was measured, which usually is {usual} times that" in prediction_text(0.02, found)


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"text": np.full(4096, 7)}, "1 different tokens of 1,024, fewer than 16"),
        ({"tokens": 639}, "639 calibration tokens are fewer than 10 for each of the 64 inputs"),
    ],
)
def test_a_text_that_determines_nothing_gives_no_prediction(changes, doubt):
    found = judge_prediction(job(**changes), 3.9e-7, None)
    assert not found["supported"] and doubt in found["doubts"][0]
    text = prediction_text(3.9e-7, found)
    assert text.startswith("nothing: ") and doubt in text and "3.9e-07" not in text


def test_the_least_text_that_counts():
    assert judge_prediction(job(tokens=640), 1.0, None)["supported"]
    assert judge_prediction(job(text=np.arange(16)), 1.0, None)["supported"]
    assert judge_prediction(job(text=np.arange(2), vocabulary=4), 1.0, None)["supported"]
    assert not judge_prediction(job(text=np.arange(499), vocabulary=50_000), 1.0, None)["supported"]


def test_a_prediction_of_nothing_has_no_ratio():
    assert judge_prediction(job(), 0.0, 0.1)["measured_over_predicted"] is None


def test_bits_per_byte():
    assert in_bits_per_byte(math.log(2), 4.0) == pytest.approx(0.25)
    assert in_bits_per_byte(None, 4.0) is in_bits_per_byte(1.0, None) is in_bits_per_byte(1.0, 0.0) is None
