"""The one divergence of the house: against softmaxes written out, sequence by sequence, for any thread
count and program.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from baseline_model import BaselineModel, Sizes
from tiny_models import golf_model, random_sequences

from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.frontends import build_model
from bytecap.compiler.model import logit_parts
from bytecap.compiler.statistics import divergence
from bytecap.compiler.statistics.divergence import DivergenceMeter, by_operations, divergences
from bytecap.compiler.statistics.divergence_kernel import LEAST, exp64
from bytecap.compiler.statistics.swaps import measure_divergences

LENGTH = 16
MODEL = golf_model(4, vocab_size=40, model_dim=32, mlp_mult=2, seq_len=LENGTH)
ARRAYS = [t.values for t in MODEL.tensors]
TEXT = random_sequences(40, 30, LENGTH + 1, seed=4)
SEQUENCES, TARGETS = TEXT[:, :-1], TEXT[:, 1:]


def shaken(seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [(a * (1 + 0.1 * random.standard_normal(a.shape))).astype(np.float32) for a in ARRAYS]


def test_it_is_the_sum_over_the_vocabulary():
    sizes = Sizes(vocabulary=32, layers=2, width=32, heads=2, kv_heads=1, mlp_width=64)
    modules = [BaselineModel(sizes).randomize(seed) for seed in (1, 2)]
    sequences = np.random.default_rng(0).integers(32, size=(20, 12))
    models = []
    for module in modules:
        tensors = {name: t.detach().numpy() for name, t in module.state_dict().items()}
        models.append(build_model(Checkpoint(tensors, dict.fromkeys(tensors, "float32"), None)))
    arrays = [[t.values for t in model.tensors] for model in models]
    meter = DivergenceMeter(models[0].program, arrays[0], sequences, threads=1)
    with torch.no_grad():
        p, q = (module(torch.from_numpy(sequences)).double().softmax(-1) for module in modules)
    expected = (p * (p / q).log()).sum(-1).mean(-1).numpy()
    assert np.allclose(meter.measure(arrays[1], threads=1).divergence, expected, rtol=1e-4)
    assert not meter.measure(arrays[0], threads=1).divergence.any() and meter.float_model.loss is None


@pytest.mark.parametrize("vocabulary", [1, 63, 64, 65, 1000])
def test_the_kernel_is_torchs_operations(vocabulary, monkeypatch):
    monkeypatch.setattr(divergence, "PIECE_FLOATS", 2 * vocabulary)
    random = torch.Generator().manual_seed(vocabulary)
    for scale, change in itertools.product([0.0, 1e-3, 3.0, 200.0, 1e5], [0.0, 1e-4, 1.0, 300.0]):
        logits, noise = torch.randn(2, 2, 3, vocabulary, generator=random)
        expected, found = scale * logits, scale * logits + change * noise
        targets = torch.randint(vocabulary, (2, 3), generator=random)
        kernel, twin = divergences(expected, found, targets), by_operations(*map(flat, (expected, found, targets)))
        for one, other in zip(kernel, twin, strict=True):
            assert one.shape == (2, 3) and torch.allclose(flat(one), other, rtol=1e-12, atol=2e-14 * max(1.0, scale))
        assert not divergences(expected, found)[1].any() and not divergences(found, found)[0].any()


def flat(values: torch.Tensor) -> torch.Tensor:
    return values.flatten(0, 1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_logit_that_is_not_finite_makes_its_position_nan(value):
    logits = torch.zeros(1, 2, 70)
    broken = logits.clone()
    broken[0, 1, 69] = value
    for pair in ((logits, broken), (broken, logits)):
        assert divergences(*pair)[0].isnan().tolist() == [[False, True]]
    broken[0, 1, 69] = -math.inf
    assert divergences(broken, logits)[0].isnan().tolist() == [[False, True]]
    assert divergences(logits, broken)[0].tolist() == [[0, math.inf]]


def test_the_exponential_is_that_of_the_c_library():
    values = np.concatenate([-np.random.default_rng(0).uniform(0, 700, 500), -np.geomspace(1e-300, 2, 200), [0.0]])
    assert np.allclose([exp64(x) for x in values], np.exp(values), rtol=4.5e-16, atol=0)
    assert exp64(-1e9) == exp64(LEAST) < 4e-308 and math.isnan(exp64(math.nan))


def test_losses_are_those_of_the_targets():
    meter = DivergenceMeter(MODEL.program, ARRAYS, SEQUENCES, TARGETS, threads=1)
    flat = [np.zeros_like(a) if t.name == "tok_emb.weight" else a for a, t in zip(ARRAYS, MODEL.tensors, strict=True)]
    assert meter.measure(flat, threads=1).loss == pytest.approx(np.full(30, LENGTH * math.log(40)))
    assert np.array_equal(meter.measure(ARRAYS, threads=1).loss, meter.float_model.loss)


def test_threads_and_batches_change_nothing(monkeypatch):
    monkeypatch.setattr(divergence, "BATCH_TOKENS", 5 * LENGTH)  # six batches
    meter = DivergenceMeter(MODEL.program, ARRAYS, SEQUENCES, TARGETS, threads=1)
    one, three = (meter.measure(shaken(), threads=threads) for threads in (1, 3))
    assert np.array_equal(one.divergence, three.divergence) and np.array_equal(one.loss, three.loss)
    whole = DivergenceMeter(MODEL.program, ARRAYS, SEQUENCES[7:8], threads=1).measure(shaken(), threads=1)
    assert one.divergence[7] == pytest.approx(whole.divergence[0], rel=1e-4)


@pytest.mark.parametrize("positions", [1, 7])
def test_logits_that_are_too_many_to_keep_or_to_make_at_once_say_the_same(positions, monkeypatch):
    kept = DivergenceMeter(MODEL.program, ARRAYS, SEQUENCES, TARGETS, threads=1)
    one = kept.measure(shaken(), threads=2)
    monkeypatch.setattr(divergence, "KEPT_FLOATS", 0)
    monkeypatch.setattr(logit_parts, "LOGIT_FLOATS", positions * MODEL.program.vocabulary_size)
    monkeypatch.setattr(logit_parts, "LEAST_POSITIONS", 1)
    made = DivergenceMeter(MODEL.program, ARRAYS, SEQUENCES, TARGETS, threads=1)
    other = made.measure(shaken(), threads=2)
    assert np.allclose(one.divergence, other.divergence, rtol=1e-5) and np.allclose(one.loss, other.loss, rtol=1e-6)
    assert np.allclose(kept.float_model.loss, made.float_model.loss, rtol=1e-6)
    assert not made.measure(ARRAYS, threads=1).divergence.any()


def test_swaps_measure_the_same():
    found = DivergenceMeter(MODEL.program, ARRAYS, SEQUENCES, threads=1).measure(shaken(), threads=1)
    (swapped,) = measure_divergences(MODEL, [dict(enumerate(shaken()))], SEQUENCES, threads=1)
    assert found.divergence.mean() == pytest.approx(swapped, rel=1e-6)
