"""The acceptance run over submission folders: folders out of a mirror, what is unmet, how often rules fire."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from submission_folders import write_folder
from submission_folders_claims import folder

from benchmarks import submissions
from benchmarks.submission_expectations import EXPECTATIONS, TRUE_FAILURES, Expectation
from bytecap.submissions.findings import Level
from bytecap.submissions.judge import judge_folder
from bytecap.submissions.rules import RULES


@pytest.fixture
def mirror(tmp_path):
    """A bare repository of one merged folder and one of a pull request, and the commit of the former."""
    work = tmp_path / "work"

    def git(*arguments: str) -> str:
        names = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", "-C", work, *names, *arguments], capture_output=True, check=True, text=True
        ).stdout

    write_folder(work / "records" / "track" / "2026-03-17_Good", folder())
    git("init", "-q", ".")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    commit = git("rev-parse", "HEAD").strip()
    write_folder(work / "records" / "track" / "2026-03-18_Other", folder(submission__json="{"))
    git("add", ".")
    git("commit", "-q", "-m", "two")
    git("update-ref", "refs/pull/7/head", "HEAD")
    return work / ".git", commit


def test_folders_are_taken_out_of_a_mirror_and_judged(mirror, tmp_path, capsys):
    path, commit = mirror
    merged, pulls = submissions.extracted(path, commit, 5, 0, tmp_path / "out")
    assert ([each.name for each in merged], [each.name for each in pulls]) == (
        ["2026-03-17_Good"],
        ["7-2026-03-18_Other"],
    )
    judgements = submissions.judged([*merged, *pulls], 1)
    assert [judgement.verdict for judgement in judgements] == ["pass", "fail"]
    submissions.report("folders", judgements)
    assert "FAIL        7-2026-03-18_Other: json-invalid" in capsys.readouterr().out
    counts = submissions.firing(judgements)
    assert counts["json-invalid"] == {"fail": 1} and set(counts) == set(RULES)


def test_what_is_not_as_expected_is_told(tmp_path, monkeypatch):
    judgement = judge_folder(write_folder(tmp_path / "2026-03-17_Good", folder()))
    met = Expectation("A", 0, "2026-03-17_Good", "pass", (("size-declared", "pass", ("15000",)),))
    unmet = Expectation("B", 0, "2026-03-17_Good", "fail", (("size-declared", "pass", ("77",)),), (1, 2))
    missing = Expectation("C", 3, "Other", "fail", ())
    monkeypatch.setattr(submissions, "EXPECTATIONS", (met, unmet, missing))
    told = submissions.unmet([judgement], [])
    assert [line.split(":")[0] for line in told] == ["B", "B", "B", "C"]
    monkeypatch.setattr(submissions, "TRUE_FAILURES", (("Good", "a reason"),))
    assert submissions.unmet([judgement], [])[0] == "2026-03-17_Good: pass"


def test_expectations_name_rules_and_levels_that_there_are():
    for expectation in EXPECTATIONS:
        for rule, level, _ in expectation.findings:
            assert Level(level) in RULES[rule].levels, (expectation.id, rule, level)
    assert len(EXPECTATIONS) == 10 and len(TRUE_FAILURES) == 5
    assert Path(submissions.__file__).parent.joinpath("results", "submissions.json").exists()
