"""`bytecap curve`: what it prints, writes and refuses, and that a run which is stopped loses nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from xml.etree import ElementTree

import pytest
from command_line import bytecap_command, heed_interrupts, process_arguments
from tiny_curves import make_curve_job
from without_torch import run_without_torch

from bytecap.cli.curve_command import BACKENDS, BASES, FORMS, UNITS
from bytecap.lab.measure import backends
from bytecap.lab.measure.protected import FORMS as KNOWN_FORMS
from bytecap.lab.measure.protected import PROTECTED_KINDS
from bytecap.lab.measure.simple_steps import STEPS

ROW = r"rows +([\d,]+) +\d+ +([\d,]+) +\d+ +([+-]\S+ \+- \S+) +-?\d+\.\d{3} +([+-]\S+ \+- \S+) +([+-]\S+ \+- \S+)"


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return make_curve_job(tmp_path_factory.mktemp("curve"))


def curve(job, *more):
    return bytecap_command(*job.arguments("--budget", "3%:12%:2", *more))


def test_the_choices_are_those_of_the_library():
    assert (UNITS, BASES, FORMS, BACKENDS) == (tuple(PROTECTED_KINDS), STEPS, KNOWN_FORMS, backends.BACKENDS)


def test_the_text_is_the_document_as_a_table(job, tmp_path):
    files = ["--output", tmp_path / "curve.json", "--plot", tmp_path / "curve.svg"]
    outcome, document = curve(job, *files), curve(job, "--json").document
    assert document["checkpoint"]["assumed"]["rope_base"] == 10_000.0
    assert outcome.stderr.startswith("bytecap: note: assumed of the checkpoint: ") and outcome.stderr.count("\n") == 1
    assert (outcome.code, document["schema"], document["command"]) == (0, 1, "curve")
    assert json.loads((tmp_path / "curve.json").read_text(encoding="utf-8")) == document
    assert ElementTree.parse(tmp_path / "curve.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
    base, (kind,) = document["base"], document["units"]
    head, table, rest = outcome.stdout.split("\n\n")
    assert (
        head
        == f"base: {base['bytes']:,} bytes on per-matrix steps, divergence {1000 * base['divergence']:.3f} mbit a token"
    )
    for line, point in zip(table.splitlines()[1:], kind["points"], strict=True):
        budget, protected, recovered, finer, widened = re.fullmatch(ROW, line).groups()
        assert (budget, protected) == (f"{point['budget']:,}", f"{point['protected_bytes']:,}")
        assert recovered == f"{1000 * point['recovered']:+.3f} +- {1000 * point['recovered_reach']:.3f}"
        for text, name in ((finer, "finer"), (widened, "widened")):
            assert text == f"{1000 * point[name]['advantage']:+.3f} +- {1000 * point[name]['advantage_reach']:.3f}"
        assert point["recovered_per_byte"] == point["recovered"] / point["protected_bytes"]
    sides = [
        [control["advantage"] / control["advantage_reach"] for control in (p[name] for p in kind["points"])]
        for name in ("finer", "widened")
    ]
    counts = [
        f"better at {sum(z > 1 for z in side)} and worse at {sum(z < -1 for z in side)} of 2 budgets than"
        for side in sides
    ]
    assert rest.splitlines()[1] == f"rows      {counts[0]} uniformly finer steps, {counts[1]} the allocator's own steps"
    again = curve(job, *files)
    assert (again.code, again.stdout, again.stderr.count("\n")) == (9, "", 1) and "--force" in again.stderr


def test_a_kind_of_which_no_budget_holds_one(job):
    outcome = bytecap_command(*job.arguments("--unit", "rows", "--budget", "1"))
    assert outcome.code == 0 and outcome.stdout.splitlines()[-1] == "rows      no budget holds one"
    assert re.search(r"\nrows +1 +0( +-){6}\n", outcome.stdout)


def test_what_is_wrong_is_one_line(job, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    table = {
        ("--budget", "1MB"): (6, "is not less than the artifact itself"),
        ("--tokens", 16): (8, "two sequences"),
        ("--output", tmp_path / "no" / "curve.json"): (9, "is not a folder"),
        ("--resume", tmp_path / "file" / "folder"): (9, "cannot make"),
        ("--backend", "dask", "--scheduler", "nonsense://there"): (
            6,
            "cannot reach the Dask scheduler nonsense://there",
        ),
    }
    for arguments, (code, words) in table.items():
        outcome = bytecap_command(*job.arguments(*arguments))
        assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (
            code,
            "",
            1,
        ) and words in outcome.stderr, outcome.stderr


def test_packages_are_named_when_they_are_missing(job):
    ((code, stdout, stderr),) = run_without_torch(["curve", job.checkpoint, "--calibration", job.calibration])
    assert (code, stdout, stderr.count("\n")) == (1, "", 1) and "bytecap[compile]" in stderr


MANY = ["--unit", "tensors", "--unit", "blocks", "--budget", "3%:20%:2"]  # the quickest kinds


def started(job, folder, *more) -> subprocess.Popen:
    """The command in a process of its own session, once two points are finished."""
    arguments = process_arguments(*job.arguments(*MANY, "--resume", folder, *more))
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    while len(points(folder)) < 3 and process.poll() is None:
        time.sleep(0.02)
    return process


def points(folder) -> dict:
    """Modification times of the finished parts."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*/*.json")}


def test_a_killed_run_goes_on_and_loses_nothing(job, tmp_path):
    process = started(job, tmp_path / "points")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = points(tmp_path / "points")
    assert process.returncode == -signal.SIGKILL and 3 <= len(before) < 6
    (half,) = (tmp_path / "points").iterdir()
    half.joinpath("tensors-99999.json").write_bytes(b'{"unit": ')  # what a full disk may leave
    resumed = bytecap_command(
        *job.arguments(*MANY, "--resume", tmp_path / "points", "--output", tmp_path / "resumed.json")
    )
    after = points(tmp_path / "points")
    assert resumed.code == 0 and {name: after[name] for name in before} == before and len(after) == 7
    whole = bytecap_command(*job.arguments(*MANY, "--output", tmp_path / "whole.json"))
    assert (tmp_path / "resumed.json").read_bytes() == (
        tmp_path / "whole.json"
    ).read_bytes() and resumed.stdout == whole.stdout
    assert len(points(tmp_path / "whole.json.points")) == 6
    again = bytecap_command(*job.arguments(*MANY, "--resume", tmp_path / "points"))
    assert again.stdout == whole.stdout and points(tmp_path / "points") == after


def test_an_interrupt_ends_it_cleanly(job, tmp_path):
    """Ctrl-C reaches all processes of the terminal's group, those that measure included."""
    process = started(
        job, tmp_path / "points", "--budget", "3%:20%:60", "--threads", 2, "--output", tmp_path / "curve.json"
    )  # far from done by then
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    stage = r"bytecap: +[\d.]+ s  .*\n"  # one that lasted, on a machine that has much else to do
    assert re.fullmatch(rf"({stage})*\nbytecap: error: interrupted; nothing half-written is left\n", stderr), stderr
    assert {path.name for path in tmp_path.iterdir()} == {"points"}
    assert all(json.loads(path.read_bytes()) for path in (tmp_path / "points").rglob("*") if path.is_file())
