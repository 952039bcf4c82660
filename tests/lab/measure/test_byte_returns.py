"""Byte-return curves: budgets counted in whole files, controls of equal bytes, backends that change nothing."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster
from html_pages import origin_named, parsed_page
from tiny_curves import make_curve_job
from tiny_models import bare_model, golf_model, random_sequences
from tokenizer_files import write_tokenizers

import bytecap
from bytecap.errors import CapError, CheckpointError, CompileError, DataError
from bytecap.format.artifact import decode_contents, read_artifact
from bytecap.format.inspection import inspect_artifact
from bytecap.format.program.operations import Embed, Linear
from bytecap.format.program.program import Program
from bytecap.lab.measure.byte_returns import (
    BaseSettings,
    Curves,
    measure_base,
)
from bytecap.lab.measure.choices import WEIGHTS, Protected
from bytecap.lab.measure.curve_page import render_curves
from bytecap.lab.measure.curve_plot import plot_curves
from bytecap.lab.measure.curves import CurveInputs, open_for
from bytecap.lab.measure.equal_bytes import Bench, BenchInputs
from bytecap.lab.measure.protected import PROTECTED_KINDS, rank_protected
from bytecap.lab.measure.protected_bytes import fill_budget, fill_share, metadata_bytes, tolerance_of

SETTINGS = BaseSettings("per-matrix", 4.0)
STUDENT_OF_11 = 2.228  # standard errors of a 95 % interval; of 96 sequences 12 are held out, the last lacks a target


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return make_curve_job(tmp_path_factory.mktemp("curve"))


@pytest.fixture(scope="module")
def curves(job) -> Curves:
    recipe = {"calibrate": {"tokens": 384}}
    bench = Bench.open(BenchInputs(job.checkpoint, job.calibration, job.architecture, recipe=recipe), threads=1)
    return Curves(bench, measure_base(bench, SETTINGS), SETTINGS)


class Sized:
    """A trial that only has a size."""

    def __init__(self, size: int) -> None:
        self.data = bytes(size)


@pytest.mark.parametrize("power", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("budget", [3, 40, 700, 2500])
def test_a_budget_is_filled_but_never_exceeded(power, budget):
    tried = []

    def make(count: int) -> Sized:
        tried.append(count)
        return Sized(5000 + round(8 * count**power))

    count, trial = fill_budget(make, 200, 5000, budget, budget - tolerance_of(budget))
    best = max((n for n in range(1, 201) if round(8 * n**power) <= budget), default=0)
    assert (count == 0) == (trial is None) == (best == 0)
    assert count == best or len(trial.data) >= 5000 + budget - tolerance_of(budget)
    assert len(set(tried)) == len(tried) <= 14
    if trial is not None:
        assert len(trial.data) == 5000 + round(8 * count**power) <= 5000 + budget


def test_a_share_is_filled_by_halves():
    assert len(fill_share(lambda share: Sized(100 + round(500 * share)), 100, 90, 85).data) - 100 in range(85, 91)
    assert fill_share(lambda share: Sized(1000), 100, 90, 85) is None


@pytest.mark.parametrize("unit", PROTECTED_KINDS)
def test_points_are_whole_files_within_their_budget_and_controls_are_as_large(curves, unit):
    budget = round(0.15 * curves.base.bytes)
    point = curves.point(unit, budget)
    assert 0 < point.protected_bytes == point.bytes - curves.base.bytes <= budget and point.items > 0
    assert point.recovered == pytest.approx(curves.base.divergence - point.divergence, rel=1e-9)
    for control in (point.finer, point.widened):
        assert abs(control.bytes - point.bytes) <= max(24, 0.03 * point.protected_bytes)
        assert control.advantage == pytest.approx(control.divergence - point.divergence, rel=1e-9)
        assert control.advantage_error > 0 and control.mbpb is None
        assert control.advantage_reach == pytest.approx(STUDENT_OF_11 * control.advantage_error, rel=2e-3)
    assert point.finer != point.widened
    assert sum(point.metadata.values()) < point.protected_bytes
    assert (point.metadata["sets"] > 0) == (unit in ("rows", "channels", "sparse")) or unit == "heads"
    assert (point.metadata["codebooks"] > 0) == (unit == "codebook")
    assert type(point).from_document(dataclasses.asdict(point)) == point


def test_the_first_items_are_nested_and_better(curves):
    """More items are more protected weights in every matrix; what they take off the predicted loss grows."""
    ranking = rank_protected(curves.cheap, curves.base.byte_price, "rows")
    few, many = ranking.build(5, 1.0), ranking.build(25, 1.0)
    assert all(set(choice.members) <= set(many[i].members) for i, choice in few.items())
    losses = [
        sum(q.predicted_loss for q in curves.cheap.artifact(curves.base.byte_price, choices).quantized.values())
        for choices in ({}, few, many)
    ]
    assert losses[0] > losses[1] > losses[2]


def test_the_same_steps_make_one_control(job, curves):
    settings = BaseSettings("allocated", 4.0)
    own = Curves(curves.allocated, measure_base(curves.allocated, settings), settings)
    point = own.point("rows", 300)
    assert point.finer == point.widened and own.base.share == 1.0


def test_metadata_are_counted_where_they_lie(curves):
    base = curves.cheap.artifact(curves.base.byte_price)
    index = curves.cheap.matrices[0]
    trial = curves.cheap.artifact(
        curves.base.byte_price,
        {index: ("sparse", ("finer", 40)), curves.cheap.matrices[1]: ("codebook", ("scaled", 1, 4))},
    )
    found = metadata_bytes(trial.data, base.data)
    contents = decode_contents(read_artifact(trial.data))
    assert found["sets"] == sum(contents.set_bytes.values()) > 0
    assert found["codebooks"] == contents.matrix_bytes[curves.cheap.matrices[1], 0, 0] > 0
    assert metadata_bytes(base.data, base.data) == dict.fromkeys(found, 0)
    half = np.random.default_rng(0).choice(1024, 512, replace=False)
    dense = curves.cheap.artifact(curves.base.byte_price, {curves.cheap.matrices[1]: Protected(WEIGHTS, half)})
    (told,) = [term for row in inspect_artifact(dense.data).tensors for term in row.terms if term.kind == "sparse"]
    assert "by bitmap" in told.description and 0 < metadata_bytes(dense.data, base.data)["sets"] <= told.set_bytes


def returns(job, **changes):
    return bytecap.curve(job.checkpoint, **job.options(units=["rows", "low-rank"], budget="3%:12%:2", **changes))


@pytest.fixture(scope="module")
def alone(job):
    return returns(job)


def test_a_local_dask_cluster_gives_the_same(job, alone):
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        assert returns(job, backend="dask", scheduler=cluster.scheduler_address) == alone


def test_threads_give_the_same(job, alone):
    assert returns(job, backend="threading", threads=3) == alone


def test_the_digest_knows_everything_that_matters(job, tmp_path):
    first = CurveInputs(job.checkpoint, job.calibration)
    (tmp_path / "copy.bin").write_bytes(job.calibration.read_bytes())
    assert dataclasses.replace(first, calibration=tmp_path / "copy.bin").digest == first.digest
    (tmp_path / "copy.bin").write_bytes(job.calibration.read_bytes() + b"\0\0")
    changes = {
        "calibration": tmp_path / "copy.bin",
        "architecture": job.architecture,
        "evaluation": job.calibration,
        "tokenizer": job.calibration,
        "tokens": 5,
        "recipe": {"calibrate": {"tokens": 3}},
        "profile": "max",
        "seed": 1,
        "settings": BaseSettings(bits=2.0),
    }
    digests = {dataclasses.replace(first, **{name: value}).digest for name, value in changes.items()} | {first.digest}
    assert len(digests) == len(changes) + 1


def test_the_digest_knows_every_file_of_a_tokenizer(job, tmp_path):
    found = {CurveInputs(job.checkpoint, job.calibration, tokenizer=name).digest for name in (None, Path("bytes"))}
    own = write_tokenizers(tmp_path)["vocab and merges"]
    found.add(CurveInputs(job.checkpoint, job.calibration, tokenizer=own).digest)
    with own.with_name("merges.txt").open("ab") as file:
        file.write(b"\n")
    found.add(CurveInputs(job.checkpoint, job.calibration, tokenizer=own).digest)
    assert len(found) == 4


def test_what_is_wrong_is_said(job, tmp_path):
    for error, words, changes in (
        (CompileError, "no kind of protected weights 'colours'", {"units": ["colours"]}),
        (CapError, "is not a range of budgets", {"budget": "1:2"}),
        (CapError, "not less than the artifact itself", {"budget": "1MB"}),
        (CompileError, "there is no base 'cheap'", {"base": "cheap"}),
        (CompileError, "there is no form 'soft'", {"form": "soft"}),
        (CompileError, "needs the address of a scheduler", {"backend": "dask"}),
        (DataError, "two sequences", {"tokens": 16}),
    ):
        with pytest.raises(error, match=words):
            bytecap.curve(job.checkpoint, **job.options(**changes))


def test_a_model_without_such_units_is_refused_before_the_work(tmp_path, monkeypatch):
    table = golf_model(2).tensors[0].values
    model = bare_model(
        Program((Embed(0), Linear(0, 1, None)), len(table), 16, 0), table, np.ascontiguousarray(table[:, ::-1])
    )
    text = random_sequences(len(table), 64, 16, seed=1)
    monkeypatch.setattr(
        "bytecap.lab.measure.equal_bytes.read_model_and_text",
        lambda *paths, progress: (model, (text[:48].ravel(), text[48:], (), 48), None, None),
    )
    (tmp_path / "any").write_bytes(b"")
    with pytest.raises(CheckpointError, match="no heads"):
        open_for(CurveInputs(tmp_path / "any", tmp_path / "any"), ["heads"], 1, lambda *call: None)


def test_the_plot_has_a_chart_a_kind(alone):
    drawing = plot_curves(alone, origin_named("model.pt"))
    assert drawing.count("<polyline") == 6
    points = [p for unit in ("rows", "low-rank") for p in alone.of(unit) if p.protected_bytes]
    assert drawing.count(' error"') == 3 * len(points)  # every point and both of its controls
    assert drawing.count('class="range ') == 2 * len(points)  # the differences from both controls
    assert "model.pt" in drawing and "2026-11-27" in drawing and "bytecap inspect model.pt" in drawing
    assert (
        drawing.startswith("<svg")
        and "rows on per-matrix steps" in drawing
        and "low-rank on per-matrix steps" in drawing
    )


def test_the_page_begins_with_what_was_recovered(alone):
    page = render_curves(alone, origin_named("model.pt"))
    balance = parsed_page(page)
    assert balance.tags.count("h1") == 1 and "script" not in balance.tags
    assert not re.search(r"\b(nan|inf|None)\b", page)
    (rows,) = (table for table in balance.tables if table[0][0] == "unit")
    assert rows[0][1:4] == ["budget", "recovered", "95 % interval"] and len(rows) == len(alone.points) + 1
    measured = [point for point in alone.points if point.bytes is not None]
    assert page.count('class="interval"') == 3 * len(measured)
    assert "model.pt" in page and "2026-11-27" in page
