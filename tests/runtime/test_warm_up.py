"""Speed is that of the work: what numba compiles at the first use of a kernel is compiled before the clock starts."""

from __future__ import annotations

import time

import pytest

import bytecap
from bytecap.runtime import continuation
from bytecap.runtime.interpreter import Interpreter

COMPILATION = 1000.0  # seconds that the first run takes in these tests, by a clock that is put forward


def slow_at_first(monkeypatch, owner, name: str) -> list[float]:
    """Let the first call of a method take as long as a compilation."""
    method, clock, calls = getattr(owner, name), time.perf_counter, []
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + (COMPILATION if calls else 0.0))

    def slowed(self, *given):
        calls.append(clock())
        return method(self, *given)

    monkeypatch.setattr(owner, name, slowed)
    return calls


def test_the_seconds_of_a_score_hold_no_compilation(small_job, monkeypatch):
    calls = slow_at_first(monkeypatch, Interpreter, "token_losses")
    found = bytecap.evaluate(
        small_job.artifact, data=small_job.data, tokenizer=small_job.tokenizer, max_tokens=64, documents="joined"
    )
    assert len(calls) > 1 and found.score.seconds < COMPILATION
    assert found.score.tokens_per_second == pytest.approx(64 / found.score.seconds)


def test_the_seconds_of_generating_hold_no_compilation(small_job, monkeypatch):
    model = bytecap.load(small_job.artifact, tokenizer=small_job.tokenizer)
    calls = slow_at_first(monkeypatch, continuation.Continuation, "extend")
    found = model.generate("a b", tokens=3, seed=1, ignore_end=True)
    assert len(calls) > 3 and found.seconds < COMPILATION
    again = model.generate("a b", tokens=3, seed=1, ignore_end=True)
    assert again.tokens == found.tokens
