"""Factors for matrices that are no tables, in every compile: where they are promised, fitted, measured and stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from menu_jobs import ARCHITECTURE, PRICE, chosen, grids_of, job_of
from tiny_models import golf_model

from bytecap.compiler.job import CompileJob
from bytecap.compiler.land_compile import land_compile
from bytecap.compiler.menu.allocation import Tried
from bytecap.compiler.menu.factors import choose_factors
from bytecap.compiler.menu.kinds.low_rank import KIND, RANKS, direction_costs, product, weighted_directions
from bytecap.compiler.menu.kinds.prices import coded_cost
from bytecap.compiler.menu.standard import choose_standard
from bytecap.compiler.menu.units import Units
from bytecap.compiler.model.model import Model
from bytecap.compiler.rate_control.quick_trials import QuickTrials
from bytecap.compiler.scratch_file import ScratchFile
from bytecap.compiler.statistics.swaps import measure_divergences
from bytecap.compiler.workers import one_thread_each
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.progress import silent

NAME = "blocks.1.attn.proj.weight"


def model_with_factors(noise: float) -> Model:
    """A model one matrix of which has rank 2, but for noise of so many of its standard deviations. Where there is noise
    the matrix is larger, so that it has bits of its own.
    """
    model, random = golf_model(3, **ARCHITECTURE), np.random.default_rng(8)

    def values(tensor) -> np.ndarray:
        if tensor.name != NAME:
            return tensor.values
        rows, columns = tensor.values.shape
        exact = random.standard_normal((rows, 2)) @ random.standard_normal((2, columns))
        found = exact + noise * exact.std() * random.standard_normal((rows, columns))
        wanted = tensor.values.std() * (8 if noise else 1)
        return (found * wanted / found.std()).astype(np.float32)

    return replace(model, tensors=tuple(replace(tensor, values=values(tensor)) for tensor in model.tensors))


def index_of(model: Model) -> int:
    return [tensor.name for tensor in model.tensors].index(NAME)


def tried(job: CompileJob) -> Tried:
    with one_thread_each():
        return choose_factors(job, Units(job), PRICE)


def factored_job(noise: float, **options) -> CompileJob:
    return job_of(model_with_factors(noise), offer_factors=options)


@pytest.mark.parametrize(("noise", "how"), [(0.0, "alone"), (0.3, "under"), (10.0, None)])
def test_a_matrix_whose_rows_share_directions_becomes_factors_and_one_without_is_not_tried(noise, how) -> None:
    job = factored_job(noise)
    found, index = tried(job), index_of(job.model)
    assert [offer.setting.how for offer in found.choices.values()] == ([how] if how else [])
    assert (index in found.menus) == bool(how) and 0 not in found.menus  # 0 is the table
    if how:
        grid, offer = found.menus[index][0], found.choices[index]
        before, after = found.measured[index]
        assert offer.bytes < grid.bytes
        assert offer.bytes + after / nats_per_byte() < grid.bytes + before / nats_per_byte()


def nats_per_byte() -> float:
    return 8 * np.log(2) * PRICE**2 / 12


@pytest.mark.parametrize(
    "options", [{"most-weights": 32 * 32 - 1}, {"least-saving": 0.99}], ids=["too large", "saves too little"]
)
def test_what_the_recipe_rules_out_is_not_chosen(options) -> None:
    assert tried(factored_job(0.0, **options)).choices == {}


def test_a_choice_whose_measured_loss_eats_up_its_saving_is_dropped(monkeypatch) -> None:
    """Where factors were measured to cost a nat a token. Unmeasured, or without text to measure on, they stay."""
    job = factored_job(0.0)
    index, seen = index_of(job.model), []

    def measure(model, swaps, sequences, **how) -> list[float]:
        seen.append((swaps, len(sequences)))
        return [0.0, 1.0]

    monkeypatch.setattr("bytecap.compiler.menu.allocation.measure_divergences", measure)
    nothing_held_out = replace(job, held_out=job.held_out[:0])
    unmeasured = replace(job, recipe=replace(job.recipe, factors=replace(job.recipe.factors, confirmed=0)))
    for how, kept in ((job, False), (nothing_held_out, True), (unmeasured, True)):
        assert (index in tried(how).choices) == kept
    (((grid, made), count),) = seen
    assert count == len(job.held_out) and list(grid) == list(made) == [index]
    assert np.linalg.matrix_rank(made[index].reshape(32, 32)) == 2 < np.linalg.matrix_rank(grid[index].reshape(32, 32))


@pytest.mark.parametrize("noise", [0.0, 0.3, 10.0])
def test_what_is_promised_is_what_slow_sums_say(noise: float) -> None:
    """The estimates under a grid are made of what the directions leave, without a product with the Hessian's factor."""
    job = factored_job(noise)
    with one_thread_each():
        unit = Units(job).unit(index_of(job.model), PRICE, {})
        singular, slow = weighted_directions(unit, "target"), []
        paid = np.cumsum(direction_costs(unit, singular))
        for rank in [r for r in RANKS if r <= min(unit.shape) // 2]:
            cost = paid[rank - 1] + coded_cost(unit, unit.target - product(unit, singular, rank))
            slow.append((cost / coded_cost(unit, unit.target), rank))
        for share in (0.3, 0.7, 0.95, 1.2):
            under = [setting.rank for setting in KIND.promising(unit, share) if setting.how == "under"]
            assert under == [rank for cost, rank in sorted(slow)[:2] if cost < share]


def test_a_matrix_of_zeros_promises_nothing() -> None:
    job = factored_job(0.0)
    with one_thread_each():
        unit = Units(job).unit(index_of(job.model), PRICE, {}, target=np.zeros((32, 32)))
        assert KIND.promising(unit, 0.95) == []


def test_nothing_is_imported_or_offered_where_the_recipe_wants_none() -> None:
    job = job_of(model_with_factors(0.0))
    with one_thread_each():
        assert choose_standard(job, grids_of(job), PRICE) is None
    assert chosen(factored_job(0.0)).choices.keys() == {index_of(job.model)}


@pytest.mark.parametrize("sampled", [False, True])
def test_a_compile_stores_factors_and_says_so(sampled: bool) -> None:
    """With whole trials and with samples of rows: in as many bytes, less loss. Under nine caps together, since one
    walk of so small a model differs from another by more than factors are worth.
    """
    job, ratios = factored_job(0.0), []
    samples = replace(job.recipe.row_sample, enabled=sampled)
    for budget in (9_000, 9_300, 9_600, 10_000, 10_300, 10_600, 11_000, 11_500, 12_000):
        errors = []
        for wanted in (False, True):
            settings = replace(job.recipe.factors, enabled=wanted)
            how = replace(job, recipe=replace(job.recipe, factors=settings, row_sample=samples))
            with ScratchFile() as scratch:
                landed = land_compile(QuickTrials(how, grids_of(how)), scratch, budget, silent, keep_targets=False)
            artifact = read_artifact(landed.landing.trial.data)
            assert 0.98 * budget <= len(landed.landing.trial.data) <= budget
            arrays = dict(enumerate(decode_tensors(artifact)))
            errors += measure_divergences(how.model, [arrays], how.held_out, threads=1)
            terms = {entry.name: entry.terms[0].name for entry in artifact.directory}
            told = [] if landed.candidates is None else [row["name"] for row in landed.candidates["chosen"]]
            assert (terms[NAME], told) == (("low-rank", [NAME]) if wanted else ("grid", []))
        ratios.append(errors[1] / errors[0])
    assert np.exp(np.mean(np.log(ratios))) < 0.92
