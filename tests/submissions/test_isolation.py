"""A folder that hangs, crashes or eats memory is not judged, says so, and takes no other with it."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from submission_folders import write_folder

import bytecap
from bytecap.errors import CompileError, DataError, MissingFileError
from bytecap.lab.measure import backends
from bytecap.submissions import isolation, judge, judge_server
from bytecap.submissions.findings import Finding, Level
from bytecap.submissions.judge_server import judged_apart
from bytecap.submissions.judgement import (
    FINDINGS_OF_A_RULE,
    Judgement,
    JudgeOptions,
    LedgerLine,
    judgement_document,
    judgement_from_document,
    limited,
)

NO_RECORD = {"README.md": "# Non-record\n\nNotes without a run.\n"}  # of such a folder little is wanted


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of which only the names are judged."""
    for section in ("judge_code", "judge_claims", "judge_blobs"):
        monkeypatch.setattr(judge, section, lambda *_, **options: (None, []))
    return write_folder(tmp_path / "folder", {"train_gpt.py": "x = 1\n"})


def hang(*_):
    time.sleep(60)


def spin(*_):
    while True:
        pass


def crash(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def eat_memory(*_):
    return bytearray(2 << 30)


def leave(*_):
    os._exit(3)


def write_a_file(folder):
    (folder.path / "train_gpt.py").write_text("written")


def raise_error(*_):
    raise ZeroDivisionError("by zero")


@pytest.mark.parametrize(
    ("deed", "rule", "text"),
    [
        (hang, "judge-time", "judging did not end in 2 seconds on the clock and was given up"),
        (spin, "judge-time", "judging took more than 0.2 seconds of a core and was given up"),
        (crash, "judge-crash", "judging ended with signal 9; please report this"),
        (leave, "judge-crash", "judging ended with exit code 3; please report this"),
        (eat_memory, "judge-memory", "the section `folder` was not judged: it needs more memory than is allowed"),
        (raise_error, "judge-crash", "the section `folder` was not judged: ZeroDivisionError: by zero; please report"),
        (write_a_file, "judge-crash", "File too large"),
    ],
)
def test_what_becomes_of_the_fork_is_a_finding(folder, monkeypatch, deed, rule, text):
    monkeypatch.setattr(judge, "listing_findings", deed)
    started = time.monotonic()
    document = judged_apart(folder, JudgeOptions(seconds={hang: 0.1, spin: 0.2}.get(deed, 10)))
    assert time.monotonic() - started < 30
    assert (document["verdict"], document["passed"], document["complete"]) == ("not judged", False, False)
    (finding,) = document["findings"]
    assert (finding["rule"], finding["level"]) == (rule, "skipped") and text in finding["text"]
    assert "written" not in (folder / "train_gpt.py").read_text()


def test_the_answer_itself_may_not_fit(folder, monkeypatch):
    monkeypatch.setattr(judge_server, "judge_folder", eat_memory)
    (finding,) = judged_apart(folder, JudgeOptions())["findings"]
    assert (finding["rule"], finding["text"]) == (
        "judge-memory",
        "nothing was judged: it needs more memory than is allowed",
    )


def test_a_section_that_breaks_down_leaves_the_others(folder, monkeypatch):
    monkeypatch.setattr(judge, "listing_findings", raise_error)
    (folder / "long.log").write_bytes(b"\xff" * 9)
    monkeypatch.setattr(judge, "reading_findings", lambda folder: [Finding("folder-unread", Level.FAIL, "still told")])
    judgement = judge.judge_folder(folder)
    assert [finding.rule for finding in judgement.findings] == ["judge-crash", "folder-unread"]
    assert judgement.verdict == "fail"  # a failure is one however little else could be judged


def test_folders_come_back_in_their_order_whatever_runs_beside_them(tmp_path):
    notes = [{**NO_RECORD, **{f"{n}.txt": "" for n in range(number)}} for number in range(7)]
    paths = [write_folder(tmp_path / f"{number}", files) for number, files in enumerate(notes)]
    calls = []
    judged = list(bytecap.verify_folders(paths, threads=3, progress=lambda *call: calls.append(call)))
    assert [judgement.path for judgement in judged] == paths
    assert [judgement.files for judgement in judged] == list(range(1, 8))
    assert [judgement.verdict for judgement in judged] == ["pass"] * 7
    assert calls == [("judge folders", done, 7) for done in range(1, 8)]
    assert all(judgement.seconds > 0 and judgement.peak_bytes > 1 << 20 for judgement in judged)


def test_a_judging_process_that_dies_is_replaced(tmp_path, monkeypatch):
    paths = [write_folder(tmp_path / name, NO_RECORD) for name in ("a", "b", "c")]
    ask = isolation.JudgingProcess.ask

    def killed_before_the_second(process, path, options):
        if path.name == "b":
            os.kill(process.process.pid, signal.SIGKILL)
        return ask(process, path, options)

    monkeypatch.setattr(isolation.JudgingProcess, "ask", killed_before_the_second)
    judged = list(bytecap.verify_folders(paths, threads=1))
    assert [judgement.verdict for judgement in judged] == ["pass", "not judged", "pass"]
    assert judged[1].findings[0].rule == "judge-crash"


def test_no_process_is_left_when_the_caller_stops_early(tmp_path, monkeypatch):
    started = []
    launch = isolation.JudgingProcess.__init__

    def remember(process):
        launch(process)
        started.append(process.process)

    monkeypatch.setattr(isolation.JudgingProcess, "__init__", remember)
    judgements = bytecap.verify_folders([write_folder(tmp_path / name, NO_RECORD) for name in "abc"], threads=1)
    next(judgements)
    judgements.close()
    assert started and all(process.returncode is not None for process in started)


def test_python_of_the_folder_is_never_imported(tmp_path, monkeypatch):
    """Not even when the folder is the working directory of whoever asks."""
    names = ("json", "numpy", "bytecap", "sitecustomize", "select", "train_gpt")
    marker = tmp_path / "imported"
    code = f"open({str(marker)!r}, 'w').close()\n"
    folder = write_folder(tmp_path / "folder", {f"{name}.py": code for name in names})
    monkeypatch.chdir(folder)
    assert bytecap.verify_folder(".").files == len(names)
    assert not marker.exists()


def test_a_judgement_comes_back_from_its_document():
    options = JudgeOptions(cap=100, cap_assumed=False)
    judgement = Judgement(
        options=options,
        path=isolation.Path("x"),
        findings=(Finding("a-b", Level.WARNING, "text", "place", {"n": 1, "x": [0.5, None]}),),
        files=3,
        ledger=(LedgerLine("total", 5, None, "note"),),
        facts={"code": {"bytes": 3}},
        seconds=0.25,
        peak_bytes=7,
    )
    document = json.loads(json.dumps(judgement_document(judgement)))
    assert judgement_from_document(document, judgement.path, options) == judgement


def test_findings_of_a_rule_are_limited_and_the_rest_is_counted():
    findings = [Finding("a-b", Level.WARNING, str(number)) for number in range(FINDINGS_OF_A_RULE + 5)]
    kept = limited([*findings, Finding("c-d", Level.FAIL, "other")])
    assert kept[:-2] == tuple(findings[:FINDINGS_OF_A_RULE])
    assert [finding.text for finding in kept[-2:]] == ["other", "and 5 more like these"]


def test_wrong_arguments(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(backends, "CONNECT_SECONDS", "0.2s")
    with pytest.raises(MissingFileError, match="gone is not a folder"):
        bytecap.verify_folders([tmp_path / "gone"])
    with pytest.raises(DataError, match="both data and their tokenizer"):
        bytecap.verify_folder(folder, data="val.bin")
    with pytest.raises(CompileError, match="cannot reach the Dask scheduler"):
        list(bytecap.verify_folders([folder, folder], scheduler="tcp://127.0.0.1:1"))


def test_the_result_is_the_same_on_a_dask_cluster(tmp_path):
    from distributed import LocalCluster

    paths = [write_folder(tmp_path / f"{number}", {f"{n}.txt": "" for n in range(number)}) for number in range(3)]
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster:
        judged = list(bytecap.verify_folders(paths, scheduler=cluster.scheduler_address))
    here = list(bytecap.verify_folders(paths))
    assert [(j.path, j.findings, j.files) for j in judged] == [(j.path, j.findings, j.files) for j in here]
