"""Measured and predicted cost of swapped tensors: against full forward passes, for any thread count, held-out text."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_models import golf_model, random_sequences

from bytecap.compiler.model import logit_parts
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.compiler.statistics.calibration import measure_statistics
from bytecap.compiler.statistics.swaps import measure_divergences, predicted_swap_losses

LENGTH = 16
MODEL = golf_model(4, vocab_size=40, model_dim=32, mlp_mult=2, seq_len=LENGTH)
SEQUENCES = random_sequences(40, 200, LENGTH, seed=4)


def nudged(relative: float, seed: int = 0) -> list[np.ndarray]:
    """Every tensor with noise of `relative` of its root mean square."""
    random = np.random.default_rng(seed)
    return [
        (t.values + relative * np.sqrt(np.mean(t.values**2)) * random.standard_normal(t.values.shape)).astype(
            np.float32
        )
        for t in MODEL.tensors
    ]


def naive_divergence(replaced: dict[int, np.ndarray], sequences: np.ndarray) -> float:
    """Both models from the start, all sequences at once."""

    def log_p(changes):
        tensors = {i: torch.from_numpy(changes.get(i, t.values)) for i, t in enumerate(MODEL.tensors)}
        return TorchExecutor(MODEL.program, tensors).forward(torch.from_numpy(sequences)).double().log_softmax(-1)

    with torch.no_grad():
        before, after = log_p({}), log_p(replaced)
    return float((before.exp() * (before - after)).sum(-1).mean())


@pytest.mark.parametrize("positions", [None, 9, 100])
def test_divergences_equal_whole_forward_passes(positions: int | None, monkeypatch: pytest.MonkeyPatch):
    """Whatever the positions whose logits are made at once."""
    if positions is not None:
        monkeypatch.setattr(logit_parts, "LOGIT_FLOATS", positions * MODEL.program.vocabulary_size)
        monkeypatch.setattr(logit_parts, "LEAST_POSITIONS", 1)
    arrays = nudged(0.1)
    candidates = [{i: a} for i, a in enumerate(arrays)] + [dict(enumerate(arrays)), {}]
    sequences = SEQUENCES[:70]  # more than one batch, the last one shorter
    found = measure_divergences(MODEL, candidates, sequences, threads=1)
    assert found[-1] == 0.0
    for candidate, value in zip(candidates, found, strict=True):
        assert value == pytest.approx(naive_divergence(candidate, sequences), rel=1e-4, abs=1e-9)


def test_divergences_do_not_depend_on_the_threads():
    candidates = [{i: a} for i, a in enumerate(nudged(0.05))]
    calls: list[tuple[int, int]] = []
    one = measure_divergences(MODEL, candidates, SEQUENCES, threads=1, finished=lambda *call: calls.append(call))
    assert measure_divergences(MODEL, candidates, SEQUENCES, threads=3) == one
    assert calls == [(k + 1, len(calls)) for k in range(len(calls))] and len(calls) > 1


def test_small_swaps_cost_what_the_second_order_model_says():
    """Each matrix within a factor of 1.6, their sum within 1.25, and a change twice as large costs four
    times as much.
    """
    statistics = measure_statistics(
        MODEL, random_sequences(40, 600, LENGTH, seed=5), batch_sequences=50, seed=0, device="cpu", threads=1
    )
    arrays = nudged(0.01)
    predicted = predicted_swap_losses(MODEL, arrays, statistics)
    measured = measure_divergences(MODEL, [{i: a} for i, a in enumerate(arrays)], SEQUENCES, threads=1)
    for index in statistics.matrices:
        assert 1 / 1.6 < predicted[index] / measured[index] < 1.6, MODEL.tensors[index].name
    assert 1 / 1.25 < sum(predicted) / sum(measured) < 1.25
    doubled = [t.values + 2 * (a - t.values) for t, a in zip(MODEL.tensors, arrays, strict=True)]
    assert predicted_swap_losses(MODEL, doubled, statistics) == pytest.approx([4 * p for p in predicted], rel=1e-3)


def test_a_swap_for_itself_costs_nothing():
    statistics = measure_statistics(MODEL, SEQUENCES[:20], batch_sequences=20, seed=0, device="cpu", threads=1)
    arrays = [t.values for t in MODEL.tensors]
    assert predicted_swap_losses(MODEL, arrays, statistics) == [0.0] * len(arrays)
    assert measure_divergences(MODEL, [dict(enumerate(arrays))], SEQUENCES[:20], threads=1) == [0.0]
