"""Evaluation text in the calibration text is found, wherever it lies; merely similar text is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytecap.compiler.statistics import overlap
from bytecap.compiler.statistics.overlap import WINDOW, check_no_overlap, shared_windows
from bytecap.errors import DataError

PATHS = Path("calibration.bin"), Path("evaluation.bin")


def tokens(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1024, count).astype(np.uint16)


@pytest.mark.parametrize(("block", "most"), [(1 << 20, 1 << 20), (5, 1 << 20), (3, 7), (1, 1)])
@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 40), st.integers(0, 40), st.integers(2, 4), st.integers(0, 99))
def test_equals_the_obvious_comparison(block: int, most: int, window: int, m: int, n: int, kinds: int, seed: int):
    random = np.random.default_rng(seed)
    calibration, evaluation = (random.integers(0, kinds, size + 6) for size in (m, n))
    known = {tuple(calibration[i : i + window]) for i in range(len(calibration) - window + 1)}
    every = [tuple(evaluation[i : i + window]) in known for i in range(len(evaluation) - window + 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "BLOCK", block)
        patch.setattr(overlap, "MOST_WINDOWS", most)
        found = shared_windows(calibration, evaluation, window)
    starts = found.starts.tolist()
    assert found.shared.tolist() == [every[i] for i in starts] and found.window == window
    assert len(starts) == min(most, len(every)) and sorted(set(starts)) == starts


def test_of_a_long_text_windows_that_are_spread_over_it_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "MOST_WINDOWS", 500)
    calibration, evaluation = tokens(9_000, 1), tokens(6_000, 2)
    evaluation[3_000:4_000] = calibration[5_000:6_000]
    with pytest.raises(DataError, match=r"1[5-6]\.\d % of the windows .*, the first at token 30[01]\d there"):
        check_no_overlap(calibration, evaluation, *PATHS)


@pytest.mark.parametrize("start", [0, 1, 4_321])
def test_a_shared_passage_is_refused_and_located(start: int) -> None:
    calibration, evaluation = tokens(9_000, 1), tokens(6_000, 2)
    evaluation[start : start + 400] = calibration[3_000:3_400]
    with pytest.raises(
        DataError,
        match=rf"calibration.bin holds .* evaluation.bin, the first at token {start} there; calibrate on text",
    ):
        check_no_overlap(calibration, evaluation, *PATHS)


def test_a_quotation_and_short_repeats_are_not_refused() -> None:
    calibration, evaluation = tokens(9_000, 1), tokens(9_000, 2)
    evaluation[100 : 100 + WINDOW + 20] = calibration[: WINDOW + 20]
    for start in range(1000, 8000, 200):
        evaluation[start : start + WINDOW - 1] = calibration[start : start + WINDOW - 1]
    check_no_overlap(calibration, evaluation, *PATHS)


def test_texts_shorter_than_a_window_are_compared_whole() -> None:
    words = r"calibration.bin holds 100.0 % of the windows of 10 tokens of evaluation.bin, the first at token 0 there"
    with pytest.raises(DataError, match=words):
        check_no_overlap(np.arange(30), np.arange(10), *PATHS)
    check_no_overlap(np.arange(30), np.arange(100, 110), *PATHS)
