"""Trials by samples of rows: what is no grid costs a share of one, and is fitted when the walk is planned."""

from __future__ import annotations

import pytest
from menu_jobs import PRICE, chosen, grids_of, job_of, model_with_table

from bytecap.compiler.menu.representations import ChosenRepresentations
from bytecap.compiler.rate_control.artifacts import smallest_draft
from bytecap.compiler.rate_control.quick_trials import QuickTrials
from bytecap.compiler.rate_control.sampled_trials import SampledTrials
from bytecap.compiler.scratch_file import ScratchFile
from bytecap.compiler.workers import one_thread_each


@one_thread_each()
def test_a_table_of_codewords_takes_its_share_of_a_grid_and_is_fitted_only_for_the_walk(monkeypatch) -> None:
    job = job_of(model_with_table(80), fit_tables={"most-octaves": 0.0}, sample_rows={"enabled": True, "share": 1.0})
    outcome = chosen(job)
    (offer,) = outcome.choices.values()
    fitted: list[float] = []
    fit = ChosenRepresentations.fit
    monkeypatch.setattr(
        ChosenRepresentations, "fit", lambda self, price, indexes: fitted.append(price) or fit(self, price, indexes)
    )
    with ScratchFile() as scratch:
        grids = grids_of(job)
        sampled = SampledTrials.of(job, grids, smallest_draft(job).size, scratch)
        alone = sampled.draft(PRICE)
        sampled = sampled.storing(QuickTrials(job, grids).storing(outcome.representations), {0: offer.bytes}, alone)
        found, coarser = sampled.draft(PRICE), sampled.draft(1.2 * PRICE)
        assert alone.size - found.size == alone.matrices[0].bytes - offer.bytes > 0
        assert fitted == []
        plan = sampled.plan(coarser)
    assert fitted == [coarser.byte_price]
    assert plan.kept[0].label.startswith("vq-rows")
    assert coarser.matrices[0].bytes == pytest.approx(plan.kept[0].bytes, rel=0.1)
