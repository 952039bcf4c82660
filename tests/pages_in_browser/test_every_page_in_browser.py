"""Every page and plot in a real browser, at two widths and in two themes: nothing is cut off, small, or touches.

Strategy: each kind of page is made once from tiny models, with its commands where it has one; one start of the browser
a theme measures them all (support/chromium.py). `make test-pages` runs this.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from chromium import framed_drawing, measured_pages
from command_line import bytecap_command
from html_pages import origin_named
from safetensors.numpy import save_file
from tiny_models import golf_model

import bytecap
from bytecap.compiler.checkpoints.holdings import read_holdings
from bytecap.lab.experiments.findings import Chart, ChartPoint, Findings, Observation, Table
from bytecap.lab.experiments.running import ExperimentRun, document_of
from bytecap.lab.measure.curve_page import render_curves
from bytecap.lab.measure.curve_plot import plot_curves
from bytecap.lab.measure.sensitivity_plot import plot_sensitivity
from bytecap.report.checkpoint_page import checkpoint_page, plot_checkpoint
from bytecap.report.drawings import plot_artifact, plot_program
from bytecap.report.experiment_page import render_experiment
from bytecap.report.inspection_page import artifact_page

WIDTHS = 1280, 400
EXPERIMENT = {"budgets": [3.0], "menu": [["vq-rows", "scaled", 1, 105, 0], ["codebook", "scaled", 2, 64]]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def compiled(small_job, folder) -> dict[str, str]:
    """The report of a compile that was scored, and the comparison of what it wrote with another artifact."""
    scored = "--evaluation", small_job.data, "--evaluation-tokens", 512
    page, artifact, both = folder / "compile.html", folder / "small.bcap", folder / "diff.html"
    made = bytecap_command(*small_job.compile_arguments(artifact, "--report", page, "--effort", 2), *scored)
    assert made.code == 0, made.stderr
    data = "--data", small_job.data, "--tokenizer", small_job.tokenizer, "--max-tokens", 2048
    compared = bytecap_command("diff", small_job.artifact, artifact, *data, "--html", both)
    assert compared.code in (0, 1), compared.stderr
    return {"compile": page.read_text("utf-8"), "diff": both.read_text("utf-8")}


@pytest.fixture(scope="module")
def experiment(small_job, folder):
    return bytecap.run_experiment(
        "vq-head",
        checkpoint=small_job.checkpoint,
        architecture=small_job.architecture,
        calibration=small_job.calibration,
        evaluation=small_job.data,
        tokenizer=small_job.tokenizer,
        tokens=256,
        threads=1,
        folder=folder / "parts",
        options=EXPERIMENT,
    )


def crowded(run: ExperimentRun) -> dict:
    """The document of findings with many close points, long names, and a wide table."""
    random = np.random.default_rng(0)
    points = [
        ChartPoint(0.2 + 0.02 * k, y, y - 9, y + 9, f"a factorized head of rank {2**k}, arm {k}")
        for k, y in enumerate(random.normal(0, 40, 12).tolist())
    ]
    series = {"one": points[:7], "two": points[7:]}
    chart = Chart("Arms that have nothing to do with each other", ("share", "mBPB"), series)
    columns = ["arm", ">bits per byte", ">change", ">low", ">high", *(f">figure number {k}" for k in range(12))]
    rows = [[p.name, 1.23456, p.y, p.low, p.high, *range(1000, 1_000_000, 83_250)] for p in points]
    table = Table("Many columns", columns, rows, "a note", [(2, 3, 4)])
    observations = [Observation("Is it so?", "it is " * 30, kind) for kind in ("supports", "falsifies", "undecided")]
    return document_of(replace(run, findings=Findings(observations, [table], [replace(chart, joined=False)])))


@pytest.fixture(scope="module")
def pages(small_job, compiled, experiment, folder) -> dict[str, str]:
    (folder / "checkpoint").mkdir()
    tensors = {t.name: t.values for t in golf_model().tensors}
    tensors |= {"w" * 180: np.ones((4, 4), np.float32), "layers.7.a_name_of.some_length" * 3: np.ones(5, np.float32)}
    save_file(tensors, folder / "checkpoint" / "model.safetensors")
    artifact, holdings = small_job.artifact.read_bytes(), read_holdings(folder / "checkpoint")
    inputs = {"calibration": small_job.calibration, "architecture": small_job.architecture, "threads": 1}
    curves = bytecap.curve(
        small_job.checkpoint, units=["rows", "sparse"], budget="400:1600:2", tokens=256, **inputs, backend="threading"
    )
    ranked = bytecap.sensitivity(small_job.checkpoint, unit="rows", tokens=2048, slices=3, **inputs)
    origin = origin_named("a-model-of-some-name.bcap")
    return {
        **compiled,
        "inspect-artifact": artifact_page(origin, artifact),
        "inspect-checkpoint": checkpoint_page(origin, holdings),
        "lab": render_experiment(document_of(experiment)),
        "lab-crowded": render_experiment(crowded(experiment)),
        "curve": render_curves(curves, origin),
        "plot-curve": framed_drawing(plot_curves(curves, origin)),
        "plot-sensitivity": framed_drawing(plot_sensitivity(ranked, 20, origin)),
        "plot-artifact": framed_drawing(plot_artifact(origin, artifact)),
        "plot-program": framed_drawing(plot_program(origin, artifact)),
        "plot-checkpoint": framed_drawing(plot_checkpoint(origin, holdings)),
    }


@pytest.fixture(scope="module", params=[False, True], ids=["light", "dark"])
def found(request, pages, tmp_path_factory) -> dict[str, dict]:
    return measured_pages(pages, tmp_path_factory.mktemp("browser"), WIDTHS, request.param)


def test_no_page_is_wider_than_its_window(found):
    assert {place: each["overflow"] for place, each in found.items() if each["overflow"] > 0} == {}


@pytest.mark.parametrize("fault", ["overlaps", "clipped", "faint", "uncued"])
def test_no_text_touches_another_or_is_cut_off_or_faint_and_tables_show_that_they_scroll(found, fault):
    assert {place: each[fault][:8] for place, each in found.items() if each[fault]} == {}


def test_letters_keep_their_size(found):
    """In pages; a plot is a document of its own, which whoever opens it scales."""
    small = {place: each["small"][:8] for place, each in found.items() if each["small"] and "plot" not in place}
    assert small == {}


def test_pages_show_their_drawings_and_intervals(found):
    for place, each in found.items():
        name = place.rsplit("-", 1)[0]
        if "plot" not in name:
            assert each["texts"] > 40, place
        if name in ("compile", "diff", "curve", "lab", "lab-crowded"):
            assert each["drawings"] >= 1, place
        if name in ("curve", "lab", "lab-crowded"):
            assert each["estimates"] > 0, place
    for name in ("lab", "lab-crowded", "curve"):
        assert found[f"{name}-1280"]["bars"] >= found[f"{name}-1280"]["estimates"] / 3, name
    for name in ("lab", "lab-crowded"):  # the first interval is in sight without scrolling, on a telephone, too
        assert found[f"{name}-400"]["bars"] > 0, name
