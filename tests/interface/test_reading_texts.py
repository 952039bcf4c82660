"""Texts in the public functions: every one says how far it tokenizes, and where it cut a calibration text."""

from __future__ import annotations

import json

import pytest
from small_job import CAP, bytecap_command

import bytecap
from bytecap.compiler import inputs
from bytecap.interface import progress_bars


def calls(job, folder) -> dict:
    """By name each public function that hears of progress and reads text: its arguments, and the texts among them."""
    read = {"architecture": job.architecture, "tokenizer": job.tokenizer}
    text, judged = folder / "calibration.txt", job.text
    measured = {"checkpoint": job.checkpoint, **read, "tokens": 128}
    compiled = {"cap": CAP, "calibration": text, "effort": 1, "evaluation": judged, **read}
    scored = {"data": judged, "tokenizer": job.tokenizer}
    experiment = {"checkpoint": job.checkpoint, "calibration": text, "evaluation": judged, "folder": folder / "kept"}
    return {
        "compile": {"checkpoint": job.checkpoint, **compiled},
        "fit": {"checkpoints": job.checkpoint, **compiled, "output": folder / "fitted"},
        "forecast": {"checkpoint": job.checkpoint, **read, "cap": CAP, "calibration": text},
        "evaluate": {"model": job.artifact, **scored, "max_tokens": 64},
        "verify": {"artifact": job.artifact, **scored},
        "diff": {"first": job.artifact, "second": job.artifact, **scored, "max_tokens": 64},
        "sensitivity": {**measured, "calibration": text, "slices": 1},
        "curve": {**measured, "calibration": text, "evaluation": judged, "budget": "6%"},
        "diagnose": {**measured, "data": text},
        "run_experiment": experiment | read,
    }


FUNCTIONS = "compile fit forecast evaluate verify diff sensitivity curve diagnose".split()
WITHOUT_TEXT = {
    "verify_folders": "the folders' own scripts read it",
    "run_experiment": "opens the bench of curve",
    "pack": "a script scores token shards alone",
}


@pytest.fixture
def folder(small_job, tmp_path):
    (tmp_path / "calibration.txt").write_bytes((small_job.folder / "calibration.txt").read_bytes())
    return tmp_path


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_that_reads_text_says_how_far_it_is(function, small_job, folder):
    options, told = calls(small_job, folder)[function], []
    getattr(bytecap, function)(**options, progress=lambda *event: told.append(event))
    given = {options.get(name) for name in ("calibration", "data", "evaluation")} - {None}
    for path in given:
        heard = [(done, total) for stage, done, total in told if stage.endswith(f"tokenize {path.name} (bytes)")]
        assert heard[0] == (0, path.stat().st_size) and heard[-1][0] == heard[-1][1] > 0


def test_every_function_with_progress_is_asked():
    found = {name for name in dir(bytecap) if "progress" in getattr(getattr(bytecap, name), "__annotations__", {})}
    assert found == {*FUNCTIONS, *WITHOUT_TEXT}


@pytest.mark.parametrize("function", ["sensitivity", "curve", "diagnose"])
def test_where_a_calibration_text_is_cut_is_said(function, small_job, folder, monkeypatch, capsys):
    monkeypatch.setattr(inputs, "MOST_TEXT_TOKENS", 1000)
    text = folder / "calibration.txt"
    note = f"only the first 1,000 tokens of {text} were read, more than any effort learns from"
    given = {"folder": folder / "points"} if function == "curve" else {}
    assert getattr(bytecap, function)(**calls(small_job, folder)[function], **given).notes == (note,)
    option = "--data" if function == "diagnose" else "--calibration"
    arguments = [function, small_job.checkpoint, option, text, "--tokenizer", small_job.tokenizer]
    arguments += ["--architecture", small_job.architecture, "--tokens", 128]
    kept = ["--budget", "6%", "--evaluation", small_job.text, "--resume", folder / "points"]  # by the call above
    arguments += {"sensitivity": ["--slices", 1], "curve": kept}.get(function, [])
    shown = bytecap_command(*arguments, "--json")
    assert shown.code == 0 and f"bytecap: note: {note}\n" in shown.stderr
    assert json.loads(shown.stdout)["notes"] == [note]


def test_bars_of_a_terminal_show_a_name_as_it_is(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bars.heard(True) as report:
        report("tokenize a[bold].txt (bytes)", 1, 2)
    assert "a[bold].txt" in capsys.readouterr().err
