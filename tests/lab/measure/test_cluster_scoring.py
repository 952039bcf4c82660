"""Scoring on a Dask cluster: the losses of one machine, and one clear error for what goes wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from distributed import Client, LocalCluster
from tiny_artifacts import tiny_artifact

from bytecap.errors import BudgetError, CompileError
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.lab.measure import cluster_scoring
from bytecap.lab.measure.cluster_scoring import OnCluster, Terms, score_on_worker
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.scoring import score
from bytecap.runtime.scoring_budget import ScoringBudget
from bytecap.runtime.tokens import Tokens

DATA = tiny_artifact()
ARTIFACT = read_artifact(DATA)
MODEL = Interpreter(ARTIFACT.program, decode_tensors(ARTIFACT))
TOKENS = Tokens(np.random.default_rng(3).integers(0, ARTIFACT.program.vocabulary_size, 16 * 40 + 1), "random tokens")


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as found:
        yield found


@pytest.fixture(scope="module")
def client(cluster):
    with Client(cluster, set_as_default=False) as found:
        yield found


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(cluster_scoring, "WORK_OF_A_PART", 1)  # a part a window
    monkeypatch.setattr(cluster_scoring, "LEAST_UNDER_WAY", 3)


def losses(run=None, **options) -> np.ndarray:
    return score(MODEL, TOKENS, text=None, sequence_length=16, run=run, **options).sequence_losses


@pytest.mark.parametrize("stride", [16, 5])
def test_a_cluster_gives_the_digits_of_one_machine(client, stride):
    calls = []
    run = OnCluster(client, DATA, ScoringBudget(seconds=1e6, memory_bytes=1 << 30))
    found = losses(run, stride=stride, progress=lambda *call: calls.append(call))
    assert np.array_equal(found, losses(stride=stride))
    assert calls[-1] == (len(found), len(found)) and len(calls) == len(found)
    assert 1 <= len(run.workers) <= 2 and run.processors == {cluster_scoring.processor_name()}


def test_a_checkpoint_travels_as_its_tensors_and_nothing_is_left_on_the_workers(client):
    run = OnCluster(client, (ARTIFACT.program, list(MODEL.tensors)), ScoringBudget())
    assert np.array_equal(losses(run), losses())
    assert not cluster_scoring._held


def test_windows_of_a_worker_that_dies_go_to_another(cluster, client):
    cluster.scale(3)
    client.wait_for_workers(3, timeout=30)

    def kill(done: int, total: int) -> None:
        if done == 2:
            cluster.scale(2)

    assert np.array_equal(losses(OnCluster(client, DATA, ScoringBudget()), progress=kill), losses())


def test_budgets_are_those_of_the_workers(client):
    with pytest.raises(BudgetError, match=r"weights and one sequence of 16 tokens take .* the budget is"):
        losses(OnCluster(client, DATA, ScoringBudget(memory_bytes=1000)))
    with pytest.raises(BudgetError, match="took the 1e-09 seconds of a core"):
        losses(OnCluster(client, DATA, ScoringBudget(seconds=1e-9)))


def test_a_worker_of_another_version_refuses(client):
    terms = Terms("another", "99.0", 16, ScoringBudget())
    asked = client.submit(score_on_worker, DATA, terms, TOKENS.ids[:17], [], pure=False)
    with pytest.raises(CompileError, match=r"has bytecap .*, and 99\.0 asks it; install the same version"):
        asked.result()


def test_what_a_cluster_cannot_do_is_one_error(client, monkeypatch):
    with pytest.raises(CompileError, match=r"cannot score: NotAnArtifact|cannot score: .*need bytecap"):
        losses(OnCluster(client, object(), ScoringBudget()))
    with LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as empty, Client(empty) as alone:
        monkeypatch.setattr(cluster_scoring, "WORKERS_SECONDS", 0.1)
        with pytest.raises(CompileError, match=r"has no workers after 0.1 seconds; start some with `dask worker"):
            losses(OnCluster(alone, DATA, ScoringBudget()))


def test_an_interrupt_ends_a_run_and_what_was_scored_is_gone_on_from(client, tmp_path):
    from bytecap.runtime.kept_losses import KeptLosses

    def interrupt(done: int, total: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    options = {"keep": lambda ids, plan: KeptLosses(tmp_path, "0" * 64, len(plan))}
    with pytest.raises(KeyboardInterrupt):
        losses(OnCluster(client, DATA, ScoringBudget()), progress=interrupt, **options)
    calls = []
    run = OnCluster(client, DATA, replace(ScoringBudget(), seconds=1e6))
    assert np.array_equal(losses(run, progress=lambda *call: calls.append(call), **options), losses())
    assert calls[0] == (8, 40)
