"""Token tables in every compile: their steps by measured loss, and codewords for rows where those pay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from menu_jobs import ARCHITECTURE, PRICE, chosen, grids_of, job_of, model_with_table

from bytecap.compiler.job import CompileJob
from bytecap.compiler.land_compile import land_compile
from bytecap.compiler.menu.units import Units
from bytecap.compiler.model.model import Model
from bytecap.compiler.rate_control.quick_trials import QuickTrials
from bytecap.compiler.scratch_file import ScratchFile
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics
from bytecap.compiler.statistics.swaps import measure_divergences
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.progress import silent


def job_with(model: Model, **options) -> CompileJob:
    """options : of the table `fit-tables`."""
    return job_of(model, fit_tables={name.replace("_", "-"): value for name, value in options.items()})


def test_near_copies_become_codewords_and_rows_without_structure_do_not() -> None:
    copies = chosen(job_with(model_with_table(80), most_octaves=0.0))
    (offer,) = copies.choices.values()
    grid = copies.allocation.menus[0][0]
    assert offer.kind == "vq-rows" and offer.bytes < 0.6 * grid.bytes
    before, after = copies.allocation.measured[0]
    assert offer.bytes + after / copies.allocation.nats_per_byte < grid.bytes + before / copies.allocation.nats_per_byte
    assert chosen(job_with(model_with_table(0), most_octaves=0.0)).choices == {}


def test_rows_along_few_directions_become_factors_and_a_grid() -> None:
    model, random = model_with_table(0), np.random.default_rng(5)
    table = model.tensors[0].values
    shared = random.standard_normal((len(table), 2)) @ random.standard_normal((2, table.shape[1]))
    values = (table + 8 * table.std() * shared).astype(np.float32)
    model = replace(model, tensors=(replace(model.tensors[0], values=values), *model.tensors[1:]))
    outcome = chosen(job_with(model, most_octaves=0.0))
    (offer,) = outcome.choices.values()
    grid = outcome.allocation.menus[0][0]
    assert (offer.kind, offer.setting.how) == ("low-rank", "under") and offer.bytes < 0.9 * grid.bytes


def test_a_recipe_without_codewords_offers_grids_and_a_large_table_is_offered_factors_alone() -> None:
    for options, count in (({"codewords": False}, 0), ({"most_weights": 96 * 32 - 1}, 0), ({}, 2)):
        (menu,) = chosen(job_with(model_with_table(80), **options)).allocation.menus.values()
        assert sum(offer.kind == "vq-rows" for offer in menu) == count
        assert (len(menu) == 1) == ("codewords" in options)


def test_steps_are_finer_by_as_much_as_the_measured_loss_is_larger_than_the_predicted() -> None:
    """A table whose Fisher information is a sixteenth of the real one has steps four times too coarse."""
    right = job_with(model_with_table(0), codewords=False)
    known = right.statistics.matrices
    table = known[0]
    fisher = None if table.output_fisher is None else table.output_fisher / 16
    less = replace(table, row_fisher=table.row_fisher / 16, output_fisher=fisher)
    wrong = replace(right, statistics=replace(right.statistics, matrices={**known, 0: less}))
    (offer,) = chosen(wrong).choices.values()
    assert (offer.kind, offer.octaves) == ("grid", -1.0)
    losses = []
    for representations in (grids_of(wrong), chosen(wrong).representations):
        weights = representations.fit_all(PRICE)[0].weights
        swap = {0: weights.reshape(wrong.model.tensors[0].values.shape)}
        losses += measure_divergences(wrong.model, [swap], wrong.held_out, threads=1)
    assert losses[1] < 0.5 * losses[0]


def test_steps_that_bound_large_errors_are_taken_where_the_loss_that_they_save_is_measured(monkeypatch) -> None:
    """Half of the rows are taken for next to free, which those statistics that bound their errors put right."""
    right = job_with(model_with_table(0), codewords=False)
    table = right.statistics.matrices[0]
    fisher = table.row_fisher.copy()
    fisher[::2] /= 1e6
    known = {**right.statistics.matrices, 0: MatrixStatistics(table.hessian, fisher)}
    job = replace(right, statistics=replace(right.statistics, matrices=known))
    monkeypatch.setattr(Units, "bounded_statistics", lambda self, index, price: table)
    losses = []
    for wanted in (False, True):
        tables = replace(job.recipe.tables, rare_rows=wanted)
        outcome = chosen(replace(job, recipe=replace(job.recipe, tables=tables)))
        assert [offer.bounded for offer in outcome.choices.values()] == [wanted]
        weights = outcome.representations.fit_all(PRICE)[0].weights
        swap = {0: weights.reshape(job.model.tensors[0].values.shape)}
        losses += measure_divergences(job.model, [swap], job.held_out, threads=1)
    assert losses[1] < 0.5 * losses[0]


def test_what_bounds_errors_is_known_of_tables_that_make_logits_and_leaves_common_tokens_alone() -> None:
    job = job_with(model_with_table(0))
    rare = replace(job.statistics, head_fisher=job.statistics.head_fisher.copy())
    rare.head_fisher[7] = 1e-12
    found = Units(replace(job, statistics=rare)).bounded_statistics(0, PRICE)
    more = found.row_fisher - rare.matrices[0].row_fisher
    assert (more >= 0).all() and more[7] > 1e-8 and found.hessian is rare.matrices[0].hessian
    assert Units(job).bounded_statistics(1, PRICE) is None
    assert Units(replace(job, statistics=replace(rare, head_fisher=None))).bounded_statistics(0, PRICE) is None


def test_without_held_out_text_steps_stay_at_the_price() -> None:
    job = replace(job_with(model_with_table(0)), held_out=np.empty((0, ARCHITECTURE["seq_len"]), np.int64))
    assert chosen(job).choices == {}


@pytest.mark.parametrize("sampled", [False, True])
def test_a_compile_stores_what_was_chosen_and_says_so(sampled: bool) -> None:
    """With whole trials and with samples of rows; the artifact is the larger for none of it, and its table decodes."""
    job, budget = job_with(model_with_table(80)), 9_000
    off = replace(job.recipe.tables, enabled=False)
    samples = replace(job.recipe.row_sample, enabled=sampled)
    errors = []
    for tables in (off, job.recipe.tables):
        how = replace(job, recipe=replace(job.recipe, tables=tables, row_sample=samples))
        with ScratchFile() as scratch:
            landed = land_compile(QuickTrials(how, grids_of(how)), scratch, budget, silent, keep_targets=False)
        artifact = read_artifact(landed.landing.trial.data)
        assert len(landed.landing.trial.data) <= budget
        arrays = dict(enumerate(decode_tensors(artifact)))
        errors += measure_divergences(how.model, [arrays], how.held_out, threads=1)
        terms = {entry.name: entry.terms[0].name for entry in artifact.directory}
        stored = terms[how.model.tensors[0].name]
        told = [] if landed.candidates is None else [row["kind"] for row in landed.candidates["chosen"]]
        assert (stored, told) == (("grid", []) if tables is off else ("codebook", ["vq-rows"]))
    assert errors[1] < errors[0]
