"""What is taken from the few tokens of a walk is nearer to what more would say than what they say by themselves."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bytecap.compiler.model.residual_streams import Residual
from bytecap.compiler.quantize.drift import Drift, WalkedBatch, measure_drift
from bytecap.compiler.statistics.calibration import told_share
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics

WIDTH = 24


def inputs(seed: int, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """x and x' of so many tokens: inputs that go together, two of which seldom fire, and what quantization made of
    them.
    """
    shape, random = np.random.default_rng(0), np.random.default_rng(seed)
    mixing = shape.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5
    moved = np.eye(WIDTH) + 0.03 * shape.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5
    x = random.standard_normal((tokens, WIDTH)) @ mixing
    x[:, :2] *= (random.random((tokens, 2)) < 0.05) * 20
    return x, x @ moved + 0.3 * random.standard_normal((tokens, WIDTH))


def drift_of(seed: int, tokens: int, told: float) -> Drift:
    x, real = inputs(seed, tokens)
    hessian = real.T @ real / tokens
    return Drift(hessian, (x - real).T @ real / tokens, np.square(x).mean(0), {}, hessian + 1e-6 * np.eye(WIDTH), told)


@pytest.mark.parametrize("tokens", [50, 100, 1000])
def test_moments_and_corrections_are_nearer_to_the_truth(tokens: int) -> None:
    """Over many walks, judged by a hundred times the text; by whole errors in units of each input."""
    (x, real), (calibrated, _) = inputs(1, 100_000), inputs(2, 20_000)
    truth, before = real.T @ real / len(real), calibrated.T @ calibrated / len(calibrated)
    units = 1 / np.sqrt(truth.diagonal())
    weights = np.random.default_rng(3).standard_normal((8, WIDTH)) * units
    told = told_share(tokens, WIDTH, 16)
    moments, outputs = np.zeros(2), np.zeros(2)
    for seed in range(10, 40):
        for k, share in enumerate((1.0, told)):
            drift = drift_of(seed, tokens, share)
            moments[k] += np.square(
                (drift.hessian_with(MatrixStatistics(before, np.ones(8))) - truth) * units * units[:, None]
            ).sum()
            corrected = weights + drift.of_weight(weights)
            outputs[k] += np.square(x[:5000] @ weights.T - real[:5000] @ corrected.T).mean()
    assert moments[1] < (0.5 if tokens < 1000 else 0.7) * moments[0]
    assert outputs[1] < (0.95 if tokens < 1000 else 1.03) * outputs[0]


def test_tokens_in_excess_are_held_to() -> None:
    """They count in the moment as calibration measured them, and what a correction changes of them shrinks."""
    drift, weights = drift_of(5, 60, 0.5), np.random.default_rng(6).standard_normal((3, WIDTH))
    before, sink = np.eye(WIDTH), np.random.default_rng(7).standard_normal(WIDTH)
    excess = 1e4 * np.outer(sink, sink)
    known = MatrixStatistics(before + excess, np.ones(3), excess=excess)
    expected = drift.hessian_with(MatrixStatistics(before, np.ones(3))) + excess
    np.testing.assert_allclose(drift.hessian_with(known), expected, rtol=1e-9, atol=1e-9)
    free, held = drift.of_weight(weights) @ sink, drift.of_weight(weights, excess) @ sink
    assert np.abs(held).max() < 1e-3 * np.abs(free).max()


def test_a_believed_moment_is_a_moment() -> None:
    """Symmetric and positive semi-definite, however few tokens there are, with inputs among them that never fire."""
    drift = drift_of(4, 5, 0.3)
    dead = np.arange(WIDTH) == 7
    silent = replace(
        drift, hessian=np.where(dead | dead[:, None], 0, drift.hessian), squares=np.where(dead, 0, drift.squares)
    )
    before = np.cov(np.random.default_rng(5).standard_normal((WIDTH, 90)))
    found = silent.hessian_with(MatrixStatistics(before, np.ones(8)))
    np.testing.assert_allclose(found, found.T)
    assert (
        np.linalg.eigvalsh(found).min() > -1e-12
        and np.isfinite(found).all()
        and found[7, 7] == pytest.approx(0.7 * before[7, 7])
    )


@pytest.mark.parametrize("half", [False, True])
def test_what_has_changed_little_is_measured_to_its_own_digits(half: bool) -> None:
    """Factors in bfloat16 have three digits, of which a difference of two moments would keep none."""
    random = np.random.default_rng(4)
    x, stream = (random.standard_normal((2, 512, WIDTH)).astype(np.float32) for _ in range(2))
    real = (x * (1 - 1e-3)).astype(np.float32)
    before, now = ({0: torch.from_numpy(a), 1: torch.from_numpy(stream)} for a in (x, real))
    batch = WalkedBatch(SimpleNamespace(registers=before), SimpleNamespace(registers=now, vector=min))
    found = measure_drift([batch, batch], 0, {7: Residual(0)}, 0.0, 1, half)
    flat, wanted = real.reshape(-1, WIDTH).astype(np.float64), (x - real).reshape(-1, WIDTH).astype(np.float64)
    np.testing.assert_allclose(found.hessian, flat.T @ flat / len(flat), atol=1e-5)
    expected = wanted.T @ flat / len(flat)
    error = np.linalg.norm(found.change - expected) / np.linalg.norm(expected)
    assert error < (5e-3 if half else 1e-5)
    assert bool(error > 1e-4) is half
    np.testing.assert_allclose(found.streams[7], told_share(2048, WIDTH) * found.change, rtol=1e-12)
