"""The small trainer: it learns, it repeats itself bit for bit, and it stops in time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.frontends import build_model
from bytecap.errors import CompileError, DataError
from bytecap.format.program.operations import Linear
from bytecap.lab.train import training as trainer
from bytecap.lab.train.factorized_head import replace_head
from bytecap.lab.train.fresh_models import initial_model
from bytecap.lab.train.training import Muon, Schedule, orthogonalized, rate_factor, train_model, updates_in_time
from bytecap.runtime.interpreter import Interpreter

ARCHITECTURE = {
    "vocab_size": 32,
    "num_layers": 2,
    "model_dim": 32,
    "num_heads": 2,
    "num_kv_heads": 1,
    "mlp_mult": 2,
    "seq_len": 24,
}


def patterned_tokens(seed: int, length: int = 4000) -> np.ndarray:
    """Token t + 1 is a fixed permutation of token t, except one in ten, which is random."""
    generator = np.random.default_rng(seed)
    successor = np.random.default_rng(0).permutation(32)
    tokens = np.empty(length, np.uint16)
    tokens[0] = 1
    for i, noise in enumerate(generator.random(length - 1)):
        tokens[i + 1] = generator.integers(32) if noise < 0.1 else successor[tokens[i]]
    return tokens


def train(architecture, *, updates, batch_sequences, seed=0, max_seconds=None, **options):
    """A fresh model trained on the patterned tokens."""
    schedule = Schedule(updates, batch_sequences, seed, max_seconds)
    return train_model(initial_model(architecture, seed), patterned_tokens(1), schedule, **options)


def values(model):
    return {t.name: t.values for t in model.tensors}


def mean_loss(model, tokens) -> float:
    sequences = tokens[: len(tokens) // 25 * 25].reshape(-1, 25)
    return float(Interpreter(model.program, [t.values for t in model.tensors]).token_losses(sequences).mean())


@pytest.mark.parametrize("tied", [True, False])
def test_training_learns_what_there_is_to_learn(tied):
    """The source's entropy is 0.65 nats; a model that knows only the frequencies stands at ln 32 = 3.47."""
    model = train(ARCHITECTURE | {"tie_embeddings": tied}, updates=80, batch_sequences=8)
    assert mean_loss(model, patterned_tokens(2)) < 1.0
    assert all(t.values.dtype == np.float32 and np.isfinite(t.values).all() for t in model.tensors)


def test_a_trained_model_is_an_ordinary_checkpoint():
    model = train(ARCHITECTURE, updates=2, batch_sequences=2, seed=0)
    again = build_model(
        Checkpoint(values(model), dict.fromkeys(values(model), "float32"), "memory"), model.architecture
    )
    assert again.program == model.program and again.parameters == model.parameters


def test_equal_arguments_give_equal_weights_whatever_the_threads(monkeypatch):
    monkeypatch.setattr(trainer, "JOB_TOKENS", 60)  # two windows a job, five jobs a batch, the last one shorter

    def trained(seed, threads):
        return values(train(ARCHITECTURE, updates=5, batch_sequences=9, seed=seed, threads=threads))

    first, second, other = trained(3, 1), trained(3, 3), trained(4, 1)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not np.array_equal(first["tok_emb.weight"], other["tok_emb.weight"])


def test_jobs_add_up_to_the_whole_batch(monkeypatch):
    def trained(job_tokens):
        monkeypatch.setattr(trainer, "JOB_TOKENS", job_tokens)
        return values(train(ARCHITECTURE, updates=1, batch_sequences=6, seed=0))

    whole, cut = trained(10_000), trained(24)
    for name in whole:
        np.testing.assert_allclose(cut[name], whole[name], atol=2e-4)


def test_every_tensor_is_trained():
    before = values(train(ARCHITECTURE, updates=0, batch_sequences=4, seed=0))
    after = values(train(ARCHITECTURE, updates=4, batch_sequences=4, seed=0))
    assert [name for name in before if np.array_equal(before[name], after[name])] == []


def test_progress_counts_every_step():
    calls = []
    train(ARCHITECTURE, updates=3, batch_sequences=2, seed=0, progress=lambda *c: calls.append(c))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_a_slow_machine_does_fewer_updates_and_still_decays_to_zero(monkeypatch):
    """A clock on which each look takes half a second: 10 seconds are about 20 updates."""
    clock, factors, calls = iter(np.arange(1000) * 0.5), [], []
    monkeypatch.setattr(trainer.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(trainer, "rate_factor", lambda position: factors.append(rate_factor(position)) or factors[-1])
    train(ARCHITECTURE, updates=200, batch_sequences=1, seed=0, max_seconds=10, progress=lambda *c: calls.append(c))
    done, planned = calls[-1]
    assert done == planned < 80 and len(calls) == done
    assert factors[-1] < 0.1


@pytest.mark.parametrize(
    ("done", "planned", "seconds", "budget", "expected"),
    [(10, 100, 5, 100, 100), (10, 100, 5, 25, 50), (10, 100, 5, 1, 10), (10, 100, 0, 1, 100), (60, 100, 30, 20, 60)],
)
def test_updates_in_time(done, planned, seconds, budget, expected):
    assert updates_in_time(done, planned, seconds, budget) == expected


def test_the_rate_rises_stays_and_falls_to_zero():
    factors = [rate_factor(step / 1000) for step in range(1001)]
    top = factors.index(1.0)
    assert 0 < factors[0] < 0.1 and top < 50 and factors[300] == 1.0 and factors[-1] == 0
    assert factors[:top] == sorted(factors[:top]) and factors[top:] == sorted(factors[top:], reverse=True)


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8), (1, 12)])
def test_orthogonalized_keeps_directions_and_evens_out_strengths(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    result = orthogonalized(matrix * 1e-3)
    strengths = torch.linalg.svdvals(result)
    assert strengths.min() > 0.3 and strengths.max() < 1.3
    in_its_basis = u.T @ result @ vt.T
    assert (in_its_basis - in_its_basis.diagonal().diag()).abs().max() < 1e-3


def test_a_muon_step_moves_by_the_rate():
    matrix = torch.zeros(32, 8, requires_grad=True)
    matrix.grad = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
    with ThreadPoolExecutor(1) as pool:
        optimizer = Muon([matrix], 1.0, pool)
        optimizer.param_groups[0]["lr"] = 0.5
        optimizer.step()
    strengths = torch.linalg.svdvals(matrix.detach())  # half a step, times the square root of rows over columns
    assert strengths.min() > 0.3 and strengths.max() < 1.3
    assert (matrix.detach() * matrix.grad).sum() < 0


@pytest.mark.parametrize("count", [0, 1, 24])
def test_too_few_tokens(count):
    with pytest.raises(DataError, match=f"{count} tokens are fewer than one training window of 25"):
        train_model(initial_model(ARCHITECTURE, 0), np.zeros(count, np.uint16), Schedule(1, 1, seed=0))


def test_any_program_is_trained():
    """A program that no frontend makes: a head of two factors."""
    model = train_model(
        replace_head(initial_model(ARCHITECTURE, 0), 6, 0), patterned_tokens(1), Schedule(80, 8, seed=0)
    )
    assert mean_loss(model, patterned_tokens(2)) < 1.5


def test_the_model_is_observed_on_its_way_and_not_changed():
    fresh, seen = initial_model(ARCHITECTURE, 0), {}
    before = {name: array.copy() for name, array in values(fresh).items()}
    last = train_model(
        fresh,
        patterned_tokens(1),
        Schedule(4, 2, seed=0),
        observe=lambda done, model: seen.update({done: values(model)}),
        observed=(2, 4),
    )
    assert sorted(seen) == [2, 4]
    assert all(np.array_equal(before[name], array) for name, array in values(fresh).items())
    assert all(
        np.array_equal(seen[4][name], array) and not np.array_equal(seen[2][name], array)
        for name, array in values(last).items()
    )


def test_a_device_that_is_not_there():
    with pytest.raises(CompileError, match="device 'nonesuch' cannot be used"):
        train(ARCHITECTURE, updates=1, batch_sequences=1, device="nonesuch")


def test_adamw_learns_too_and_its_decay_leaves_vectors_alone():
    """Tables and matrices decay, gains do not."""
    schedule = Schedule(120, 8, seed=0, adamw=True)
    fresh = initial_model(ARCHITECTURE, 0)
    model = train_model(fresh, patterned_tokens(1), schedule, threads=1)
    assert mean_loss(model, patterned_tokens(2)) < mean_loss(fresh, patterned_tokens(2)) - 1.0
    matrices = {op.weight for op in fresh.program.instructions if isinstance(op, Linear)}
    (optimizer,) = trainer._adamw(fresh.program, {i: torch.zeros(1, requires_grad=True) for i in range(30)}, None)
    decayed, kept = optimizer.param_groups
    assert len(decayed["params"]) == len(matrices) and decayed["weight_decay"] > 0 == kept["weight_decay"]
    assert len(kept["params"]) == 30 - len(matrices)
