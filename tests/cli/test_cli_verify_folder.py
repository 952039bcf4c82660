"""`bytecap verify` of folders: one in full, many as a table, JSON in both, exit codes, 80 columns."""

from __future__ import annotations

import contextlib
import io
import json

import pytest
from command_line import bytecap_command
from submission_examples import ALL_EXAMPLES
from submission_folders import write_example, write_folder

from bytecap.cli import verify_folder_report
from bytecap.submissions.judge import judge_folder


@pytest.fixture
def good(tmp_path):
    return write_folder(tmp_path / "good", {"README.md": "# Non-record\n\nNotes without a run.\n"})


@pytest.fixture
def empty(tmp_path):
    return write_folder(tmp_path / "empty", {})


def test_one_folder_ends_with_its_verdict(empty):
    outcome = bytecap_command("verify", empty)
    assert (outcome.code, outcome.stderr) == (7, "")
    assert outcome.stdout.splitlines()[0] == f"submission folder {empty}: 0 files"
    assert "FAIL         the folder holds no file [folder-empty]" in outcome.stdout.splitlines()
    assert outcome.stdout.splitlines()[-1].startswith("FAIL: 2 failures")
    assert "cap (none was given; assumed)                          16,000,000     16,000,000" in outcome.stdout


def test_one_folder_as_a_document(empty):
    outcome = bytecap_command("verify", empty, "--json", "--cap", "1MB")
    document = outcome.document
    assert (outcome.code, outcome.stderr) == (7, "")
    assert (document["schema"], document["command"], document["folder"]) == (2, "verify", str(empty))
    assert (document["verdict"], document["passed"], document["cap"], document["cap_assumed"]) == (
        "fail",
        False,
        1_000_000,
        False,
    )
    found = next(finding for finding in document["findings"] if finding["rule"] == "folder-empty")
    assert found == {
        "rule": "folder-empty",
        "level": "fail",
        "text": "the folder holds no file",
        "place": "",
        "values": {},
    }


def test_many_targets_are_a_table_and_the_reasons(good, empty, small_job):
    outcome = bytecap_command("verify", good, small_job.artifact, empty)
    lines = outcome.stdout.splitlines()
    assert outcome.code == 7
    assert [line.split()[0] for line in lines[1:4]][1:] == ["PASS", "FAIL"]
    assert all(
        line.endswith(str(path)) for line, path in zip(lines[1:4], (good, small_job.artifact, empty), strict=True)
    )
    assert "FAIL         the folder holds no file [folder-empty]" in lines
    assert lines[-1].startswith("FAIL: 3 targets, ")


def test_json_lines_are_one_a_target_in_their_order(good, empty, small_job):
    outcome = bytecap_command("verify", empty, small_job.artifact, good, "--json-lines", "--threads", 2)
    documents = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert outcome.code == 7
    assert [document.get("folder", document.get("artifact")) for document in documents] == [
        str(empty),
        str(small_job.artifact),
        str(good),
    ]
    assert [document["verdict"] for document in documents[:2]] == ["fail", "pass"]
    assert all((document["schema"], document["command"]) == (2, "verify") for document in documents)
    together = bytecap_command("verify", empty, small_job.artifact, good, "--json").document
    assert together["passed"] is False

    def without_time(document):
        left_out = ("schema", "command", "seconds", "cpu_seconds", "peak_bytes")
        kept = {name: value for name, value in document.items() if name not in left_out}
        return kept | {"checks": [{**check, "seconds": 0} for check in document.get("checks", ())]}

    assert list(map(without_time, together["targets"])) == list(map(without_time, documents))


@pytest.mark.parametrize("example", ALL_EXAMPLES, ids=lambda example: example.name)
def test_every_example_reads_well_in_80_columns(example, tmp_path):
    judgement = judge_folder(write_example(tmp_path / "x", example), **example.options)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        verify_folder_report.print_judgement(judgement)
    lines = out.getvalue().splitlines()[1:]  # the first has the path, which is whole however long
    assert [line for line in lines if len(line) > 80 and " " in line.strip()] == []
    assert all(line.isprintable() for line in lines)


def test_the_ledger_fits_a_terminal_of_40_columns(good, monkeypatch):
    monkeypatch.setattr(verify_folder_report, "_width", lambda: 39)
    lines = "\n".join(verify_folder_report.ledger_lines(judge_folder(good))).split("\n")
    assert max(map(len, lines)) <= 39
    assert [
        lines[place + 1].split() for place, line in enumerate(lines) if line == "cap (none was given; assumed)"
    ] == [["16,000,000", "16,000,000"]]


def test_options_that_do_not_go_with_a_folder_are_wrong_usage(good, small_job):
    assert bytecap_command("verify", good, "--code", small_job.code).code == 2
    assert bytecap_command("verify", good, "--data", small_job.data).code == 2
    assert bytecap_command("verify", good, *small_job.score_arguments(), "--expect-bpb", 1).code == 2
    assert bytecap_command("verify", good.parent / "gone").code == 2
    assert bytecap_command("verify").code == 2
