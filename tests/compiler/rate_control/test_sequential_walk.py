"""One walk: matrices that share an input share a price, and both models are rounded where quantization is coarse."""

from __future__ import annotations

import numpy as np
import pytest
from menu_jobs import PRICE, grids_of, job_of
from tiny_models import ARCHITECTURE, golf_model

from bytecap.compiler.job import CompileJob
from bytecap.compiler.model.half_products import HalfProducts
from bytecap.compiler.model.pass_context import EXACT
from bytecap.compiler.quantize import sequential
from bytecap.compiler.quantize.sequential import Walk
from bytecap.compiler.rate_control import sequential_walk
from bytecap.compiler.rate_control.quick_trials import QuickTrials
from bytecap.compiler.rate_control.sequential_walk import SequentialWalk
from bytecap.compiler.workers import one_thread_each
from bytecap.format.program.operations import Linear
from bytecap.progress import silent_stage

MODEL = golf_model(3, **ARCHITECTURE | {"vocab_size": 96, "model_dim": 32})


def walk_at(job: CompileJob, price: float, representations=None) -> SequentialWalk:
    trials = QuickTrials(job, representations or grids_of(job))
    quick = trials.draft(price)
    return SequentialWalk(job, trials.representations, trials.plan(quick), quick.size, 1 / 8)


@one_thread_each()
def test_matrices_that_share_an_input_have_one_price_and_others_their_own() -> None:
    job = job_of(MODEL)
    walk = walk_at(job, PRICE)
    finished = walk.run(silent_stage)
    prices = {index: price for index, (_, price) in walk.settled.items()}
    by_input: dict[int, set[float]] = {}
    for op in MODEL.program.instructions:
        if isinstance(op, Linear) and op.weight in prices:
            by_input.setdefault(op.x, set()).add(prices[op.weight])
    assert all(len(found) == 1 for found in by_input.values())
    assert len(set(prices.values())) == len(by_input) < len(prices)
    assert finished.last.index == max(prices) and finished.last_price == prices[max(prices)]


@one_thread_each()
def test_what_takes_values_of_another_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A matrix is prepared with what is decided: of its own group nothing, unless it takes values."""
    job = job_of(MODEL)
    plain, seen = grids_of(job), {}

    class Grids(type(plain)):
        def takes_values(self, index: int) -> bool:
            return index == taking

        def prepare(self, index, target, statistics, decided):
            seen[index] = set(decided)
            return super().prepare(index, target, statistics, decided)

    source = next(op.x for op in MODEL.program.instructions if isinstance(op, Linear))
    group = [op.weight for op in MODEL.program.instructions if isinstance(op, Linear) and op.x == source]
    taking = group[0]
    plain.__class__ = Grids
    walk_at(job, PRICE, plain).run(silent_stage)
    assert len(group) > 1 and seen[taking] >= set(group[1:])
    assert all(not seen[index] & set(group) for index in group[1:])


@pytest.mark.parametrize(("price", "coarse"), [(PRICE, True), (PRICE / 64, False)])
@one_thread_each()
def test_both_models_are_rounded_where_quantization_is_coarse(
    price: float, coarse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks: list[Walk] = []

    def watched(*arguments, **options) -> Walk:
        walks.append(Walk(*arguments, **options))
        return walks[-1]

    job = job_of(MODEL)
    monkeypatch.setattr(sequential_walk, "Walk", watched)
    found = {}
    for half in (False, True):
        monkeypatch.setattr(sequential, "has_half_products", lambda device, half=half: half)
        walk = walk_at(job, price)
        bits = 8 * sum(walk.plan.sizes.values()) / sum(MODEL.tensors[i].values.size for i in walk.plan.sizes)
        assert (bits <= sequential_walk.COARSE_BITS) is coarse
        found[half] = walk.run(silent_stage)
        for batch in walks[-1].batches:
            for forward in (batch.float_forward, batch.quantized_forward):
                arithmetic = forward.executor.arithmetic
                assert isinstance(arithmetic, HalfProducts) if half and coarse else arithmetic is EXACT
    last = found[True].last.index
    assert (found[False].quantized[last].weights != found[True].quantized[last].weights).any()
    error = [np.square(found[half].quantized[last].weights - MODEL.tensors[last].values).mean() for half in found]
    assert 0.8 < error[0] / error[1] < 1.25
