"""Verdicts of head-bottleneck against their nulls: each question comes out every way on planted results, and what
chance or geometry alone would give supports nothing (docs/decisions/verdicts.md).
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from bytecap.lab.experiments.document_scores import DocumentScores
from bytecap.lab.experiments.findings import FALSIFIES, SUPPORTS, UNDECIDED
from bytecap.lab.experiments.head_bottleneck.arms import HeadArm
from bytecap.lab.experiments.head_bottleneck.findings import (
    bottleneck_observations,
    judge_fall,
    rank_correlation,
    share_of_orders,
)
from bytecap.lab.experiments.head_bottleneck.study import HeadResult

RANKS, VOCABULARY, DOCUMENTS, TOKENS = (4, 8, 16, 32, 64), 1024, 40, 50
FIGURES = ("head_effective_rank", "head_condition", "hidden_effective_rank", "gradient_effective_rank")


def scores(bits: float, name: str, seeds: int) -> tuple[DocumentScores, ...]:
    """Documents of so many bits a token with a little noise, the same for the same name."""
    noise = np.random.default_rng(sum(map(ord, name))).normal(0, 1e-4, (seeds, DOCUMENTS))
    shape = np.full(DOCUMENTS, 2 * TOKENS), np.full(DOCUMENTS, TOKENS)
    return tuple(DocumentScores((bits + row) * TOKENS * math.log(2), *shape) for row in noise)


def result(name, rank, *, kept=None, first_kept=None, loss=3.0, refitted=3.0, narrow=None, seeds=3) -> HeadResult:
    """An arm whose head keeps `kept` times a random subspace's share at the end and `first_kept` times at first."""
    random = rank / VOCABULARY

    def figures(times: float, seed: int) -> dict[str, float]:
        share = random * times * (1 + 0.001 * seed)
        return dict.fromkeys(FIGURES, 1.0) | {"tokens": 1, "loss": loss, "projected": share, "random": random}

    times = 1.0 if kept is None else kept
    first = times if first_kept is None else first_kept
    curves = tuple((figures(first, seed), figures(times, seed)) for seed in range(seeds))
    found = {r: scores(bits, f"{name} narrow", seeds) for r, bits in (narrow or {}).items()}
    ends = scores(loss, name, seeds), scores(refitted, f"{name} refitted", seeds)
    return HeadResult(HeadArm(name, rank, 2), 1000, curves, *ends, found)


def observed(
    *,
    kept=lambda rank: 1.0,
    first=None,
    loss=lambda rank: 3.0,
    trunk=lambda rank: 3.0,
    wider=3.0,
    plain=3.0,
    narrow=3.0,
    seeds=3,
):
    """Outcomes of all questions, in order, on arms by rank."""
    ranked = {
        rank: result(
            f"rank {rank}",
            rank,
            kept=kept(rank),
            first_kept=None if first is None else first(rank),
            loss=loss(rank),
            refitted=trunk(rank),
            narrow={RANKS[0]: narrow} if rank == RANKS[-1] else None,
            seeds=seeds,
        )
        for rank in RANKS
    }
    others = {
        f"rank {RANKS[0]}, wider MLP": result("wider", RANKS[0], loss=wider, seeds=seeds),
        "plain head": result("plain", RANKS[-1], loss=plain, seeds=seeds),
    }
    return [each.outcome for each in bottleneck_observations(ranked, {**others})]


FALLS, TRUNK, ORDER, PARTS, NARROW, WIDER, FACTORS, TRAINING = range(8)
SLOPE = {rank: 0.5 / (place + 1) for place, rank in enumerate(RANKS)}  # more behind at less rank
MIXED = dict(zip(RANKS, (0.5, 0.25, 0.3, 0.4, 0.2), strict=True))
CASES = {
    (FALLS, SUPPORTS): {"kept": lambda rank: rank / 16},
    (FALLS, FALSIFIES): {"kept": lambda rank: 64 / rank},  # the narrow head adapts, and keeps as much
    (FALLS, UNDECIDED): {},  # geometry alone: each keeps what a random subspace of its rank does
    (TRUNK, SUPPORTS): {"trunk": lambda rank: 3 + SLOPE[rank]},
    (TRUNK, FALSIFIES): {},
    (TRUNK, UNDECIDED): {"trunk": lambda rank: 3.01 if rank == 4 else 3.0},
    (ORDER, SUPPORTS): {"trunk": lambda rank: 3 + SLOPE[rank]},
    (ORDER, FALSIFIES): {"trunk": lambda rank: 3 - SLOPE[rank]},
    (ORDER, UNDECIDED): {"trunk": lambda rank: 3 + MIXED[rank]},
    (PARTS, SUPPORTS): {"loss": lambda rank: 3 + SLOPE[rank], "trunk": lambda rank: 3 + 0.8 * SLOPE[rank]},
    (PARTS, FALSIFIES): {"loss": lambda rank: 3 + SLOPE[rank], "trunk": lambda rank: 3 + 0.1 * SLOPE[rank]},
    (PARTS, UNDECIDED): {"trunk": lambda rank: 3 + SLOPE[rank]},  # a narrow head costs nothing
    (NARROW, SUPPORTS): {"loss": lambda rank: 3 + SLOPE[rank], "narrow": 3.1},
    (NARROW, FALSIFIES): {"loss": lambda rank: 3 + SLOPE[rank], "narrow": 3.9},
    (NARROW, UNDECIDED): {},
    (WIDER, SUPPORTS): {"wider": 3.2},
    (WIDER, FALSIFIES): {},
    (FACTORS, SUPPORTS): {"plain": 2.9},
    (FACTORS, FALSIFIES): {},
    (TRAINING, SUPPORTS): {"first": lambda rank: 0.5},
    (TRAINING, FALSIFIES): {"first": lambda rank: 2.0},
    (TRAINING, UNDECIDED): {},
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_question_comes_out_every_way(case):
    question, outcome = case
    assert observed(**CASES[case])[question] == outcome


def test_one_seed_decides_no_share_and_says_so():
    ranked = {rank: result(f"rank {rank}", rank, kept=rank / 16, seeds=1) for rank in (4, 64)}
    assert judge_fall(ranked[64], ranked[4])[2] == UNDECIDED
    assert observed(kept=lambda rank: rank / 16, seeds=1)[FALLS] == UNDECIDED


def test_an_order_that_chance_gives_supports_nothing():
    assert share_of_orders(3, 1.0) == pytest.approx(1 / 6) and share_of_orders(4, 1.0) == pytest.approx(1 / 24)
    assert share_of_orders(4, 0.8) == pytest.approx(4 / 24) and share_of_orders(2, -1.0) == 1.0
    assert rank_correlation([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(0.8)
    assert share_of_orders(20, 0.8) < 0.001 < 0.4 < share_of_orders(20, 0.0) <= 0.5
