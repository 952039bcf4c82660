"""Experiments on artifacts, each run for real: results, pages, what is kept, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import bytecap_command
from html_pages import parsed_page
from tokenizer_files import write_tokenizers

import bytecap
from bytecap.cli.lab_command import EXPERIMENTS as NAMES
from bytecap.lab.experiments.findings import verdict_of
from bytecap.lab.experiments.keeping import KeptParts
from bytecap.lab.experiments.registry import EXPERIMENTS
from bytecap.lab.experiments.running import document_of
from bytecap.lab.measure.equal_bytes import Bench
from bytecap.report.experiment_page import render_experiment
from bytecap.runtime.shards import HEADER_BYTES

QUICK = {
    "byte-allocation": {"shares": [0.02, 0.2], "bits": 3.0},
    "row-rescue": {"shares": [0.1], "bits": 3.0},
    "vq-head": {"budgets": [3.0], "menu": [["vq-rows", "scaled", 1, 105, 0], ["codebook", "scaled", 2, 64]]},
}
OUTCOMES = ("supports", "falsifies", "undecided")


@pytest.fixture(scope="module")
def runs(small_job, tmp_path_factory):
    """Every experiment on the small job, with the folder of its parts."""
    folder = tmp_path_factory.mktemp("parts")
    return {name: run(small_job, name, folder) for name in QUICK}


def run(small_job, name, folder):
    return bytecap.run_experiment(
        name,
        checkpoint=small_job.checkpoint,
        architecture=small_job.architecture,
        calibration=small_job.calibration,
        evaluation=small_job.data,
        tokenizer=small_job.tokenizer,
        tokens=256,
        threads=1,
        folder=folder,
        options=QUICK[name],
    )


@pytest.mark.parametrize("name", QUICK)
def test_an_experiment_for_real(runs, name):
    found = runs[name]
    document = document_of(found)
    assert document["verdict"] == found.verdict == verdict_of(found.findings.observations)
    assert [each["outcome"] for each in document["observations"] if each["decisive"]]
    assert {each["outcome"] for each in document["observations"]} <= set(OUTCOMES)
    assert document == json.loads(json.dumps(document, allow_nan=False))
    for table in document["tables"]:
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
    sizes = {
        row[column]
        for t in document["tables"]
        if ">bytes" in (t["columns"])
        for column in [t["columns"].index(">bytes")]
        for row in t["rows"]
    }
    budget = found.findings.settings.get("budget, bytes", max(sizes))
    assert sizes and 0.97 * budget <= min(sizes) <= max(sizes) <= budget
    text = render_experiment(document)
    page, bars = parsed_page(text), text.count('class="interval"')
    assert page.tags.count("h1") == 1 and len(page.tables) >= len(document["tables"])
    assert page.tags.count("svg") == 2 * len(document["charts"]) + bars
    assert bars >= 1 and text.count(' error"') >= 2


def test_without_a_tokenizer_scores_are_in_bits_a_token(runs, small_job, tmp_path):
    """Tokens alone are enough: the same artifacts, whose scores count the tokens instead of their bytes."""
    shard, bare = small_job.data.read_bytes(), tmp_path / "bare.bin"
    bare.write_bytes(shard[HEADER_BYTES:])
    inputs = {"checkpoint": small_job.checkpoint, "architecture": small_job.architecture, "threads": 1, "tokens": 256}
    data = {"calibration": small_job.calibration, "evaluation": bare}
    found = bytecap.run_experiment(
        "row-rescue", **inputs, **data, folder=tmp_path / "parts", options=QUICK["row-rescue"]
    )
    before, after = (document_of(run)["tables"][0] for run in (runs["row-rescue"], found))
    gap = after["columns"].index(">gap, mbit a token")
    assert before["columns"][gap] == ">gap, mBPB" and "mbit a token" in str(document_of(found)["observations"])
    # kept artifacts were searched for from another price, so that sizes differ a little
    assert [row[:2] for row in after["rows"]] == [row[:2] for row in before["rows"]]
    assert after["rows"][0][gap - 1] == pytest.approx(before["rows"][0][gap - 1], rel=0.05)
    assert f"{bare} has no header" in document_of(found)["settings"]["assumed"]


def test_a_tokenizer_that_is_no_file(runs, small_job, tmp_path):
    """The word bytes stands for one; its parts are kept, and its document names it."""
    given = replace(runs["row-rescue"].inputs, tokenizer=Path("bytes"))
    document = document_of(replace(runs["row-rescue"], inputs=given))
    assert document["files"]["tokenizer"] == "bytes" and len(document["files"]["checkpoint"]) == 64
    own = write_tokenizers(tmp_path)["vocab and merges"]
    bases = [{"tokenizer": None}, {"tokenizer": Path("bytes")}, {"tokenizer": own}]
    found = {KeptParts(tmp_path, basis)._digest for basis in bases}
    with own.with_name("merges.txt").open("ab") as file:
        file.write(b"\n")
    assert len(found | {KeptParts(tmp_path, {"tokenizer": own})._digest}) == 4


@pytest.mark.parametrize("name", QUICK)
def test_results_and_their_intervals_come_first(runs, name):
    """In every table right behind the name of a row; charts have the same intervals."""
    document = document_of(runs[name])
    table = next(table for table in document["tables"] if table["intervals"])
    value, low, high = table["intervals"][0]
    assert [table["columns"][k] for k in (value, low, high)] == [">change, mbit", ">low", ">high"] and value <= 3
    for row in table["rows"]:
        assert row[low] <= row[value] <= row[high]
    series = [each for chart in document["charts"] for each in chart["series"]]
    for each in series:
        for (_, y), interval in zip(each["points"], each["intervals"], strict=True):
            assert interval is None or interval[0] <= y <= interval[1]
    assert any(interval is not None for each in series for interval in each["intervals"])


@pytest.mark.parametrize("name", QUICK)
def test_a_finished_run_measures_nothing_again(runs, small_job, monkeypatch, name):
    monkeypatch.setattr(Bench, "open", None)
    again = run(small_job, name, runs[name].inputs.folder)
    assert again.findings == runs[name].findings


def test_a_stopped_run_goes_on(runs, small_job, tmp_path, monkeypatch):
    folder = runs["vq-head"].inputs.folder
    kept = sorted(folder.iterdir())
    for path in kept[:-1]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    opened = []
    real = Bench.open.__func__
    monkeypatch.setattr(Bench, "open", classmethod(lambda cls, *a, **k: opened.append(1) or real(cls, *a, **k)))
    for name in QUICK:
        assert document_of(run(small_job, name, tmp_path))["tables"][0]["title"]
    assert len(opened) == 1
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in kept}


def test_the_names_are_those_of_the_registry():
    assert tuple(EXPERIMENTS) == NAMES
    assert all(e.thesis and e.supports and e.falsifies for e in EXPERIMENTS.values())


def test_list_as_text_and_as_a_document():
    text, document = bytecap_command("lab", "list"), bytecap_command("lab", "list", "--json").document
    assert (document["schema"], document["command"]) == (1, "lab list")
    expected = []
    for each in document["experiments"]:
        expected += [f"{each['name']}: {each['thesis']}", *(f"  supports   {line}" for line in each["supports"])]
        expected += [f"  falsifies  {line}" for line in each["falsifies"]]
    assert (text.code, text.stdout.splitlines(), text.stderr) == (0, expected, "")


def lab_run(small_job, folder, *more):
    inputs = [
        "--checkpoint",
        small_job.checkpoint,
        "--architecture",
        small_job.architecture,
        "--calibration",
        small_job.calibration,
    ]
    inputs += [
        "--evaluation",
        small_job.data,
        "--tokenizer",
        small_job.tokenizer,
        "--tokens",
        256,
        "--threads",
        1,
        "--folder",
        folder,
    ]
    return bytecap_command("lab", "run", *more, *inputs)


def test_run_as_text_page_and_document(runs, small_job, tmp_path, monkeypatch):
    monkeypatch.setattr("bytecap.interface.run_experiment", lambda name, **options: runs[name])
    files = ["--report", tmp_path / "page.html", "--output", tmp_path / "out.json"]
    outcome = lab_run(small_job, tmp_path, "row-rescue", *files)
    document = json.loads((tmp_path / "out.json").read_text())
    lines = outcome.stdout.splitlines()
    assert outcome.code == 0 and outcome.stderr.startswith("bytecap: note: assumed of the checkpoint: ")
    assert lines[:2] == [f"row-rescue: {document['thesis']}", ""]
    for line, each in zip(lines[2:-2], document["observations"], strict=True):
        assert (
            line
            == f"{each['outcome']:<10} {each['question']}{'' if each['decisive'] else ' (beside)'}  {each['answer']}"
        )
    counts = [sum(o["outcome"] == kind for o in document["observations"] if o["decisive"]) for kind in OUTCOMES]
    assert lines[-2:] == [
        "",
        f"verdict    {document['verdict']} ({counts[0]} supports, {counts[1]} falsifies, {counts[2]} undecided)",
    ]
    assert (document["schema"], document["command"]) == (1, "lab run") and document["reproduce"].startswith(
        "bytecap lab run row-rescue \\\n"
    )
    assert f"row-rescue: {document['verdict']}" in (tmp_path / "page.html").read_text()
    refused = lab_run(small_job, tmp_path, "row-rescue", *files)
    assert (refused.code, refused.stderr) == (
        9,
        f"bytecap: error: {tmp_path / 'page.html'} exists; use --force to replace it, or name another output\n",
    )
    assert lab_run(small_job, tmp_path, "row-rescue", *files, "--force", "--json").document == json.loads(
        (tmp_path / "out.json").read_text()
    )


@pytest.mark.parametrize("name", QUICK)
def test_missing_inputs_are_named(small_job, tmp_path, name):
    outcome = bytecap_command("lab", "run", name, "--checkpoint", small_job.checkpoint, "--folder", tmp_path / "parts")
    expected = f"bytecap: error: the experiment {name} needs --calibration and --evaluation\n"
    assert (outcome.code, outcome.stdout, outcome.stderr) == (8, "", expected)
    assert not (tmp_path / "parts").exists()


def test_options_of_an_experiment(small_job, tmp_path, monkeypatch):
    outcome = lab_run(small_job, tmp_path / "parts", "row-rescue", "--option", "colour=red")
    expected = "bytecap: error: there is no option 'colour' of this experiment; there are shares, bits\n"
    assert (outcome.code, outcome.stdout, outcome.stderr) == (8, "", expected)
    outcome = lab_run(small_job, tmp_path / "parts", "row-rescue", "--option", "bits")
    assert (outcome.code, outcome.stdout) == (2, "") and "'bits' is not NAME=VALUE" in outcome.stderr
    given = {}

    def look(name: str, **options: object) -> None:
        given.update(options)
        raise bytecap.errors.DataError("seen")

    monkeypatch.setattr("bytecap.interface.run_experiment", look)
    lab_run(
        small_job,
        tmp_path / "parts",
        "row-rescue",
        "--option",
        "bits=3.5",
        "--option",
        "shares=[0.1, 0.2]",
        "--option",
        "word=tokens",
    )
    assert given["options"] == {"bits": 3.5, "shares": [0.1, 0.2], "word": "tokens"}


def test_an_experiment_that_is_not_there():
    with pytest.raises(bytecap.errors.DataError, match="there is no experiment 'luck'; there are byte-allocation, "):
        bytecap.run_experiment("luck")
