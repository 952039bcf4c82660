"""`bytecap verify` of good, damaged and foreign files: a line a check, one JSON document, the exit code."""

from __future__ import annotations

import io
import re

import pytest
from command_line import bytecap_command
from golden_files import assert_golden
from small_job import CAP
from source_tree import ROOT

from bytecap.cli.verify_report import WORDS, print_checks
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.check import Check, Outcome
from bytecap.runtime.evaluation import evaluate_program
from bytecap.runtime.verification import LEVELS

VECTORS = ROOT / "spec" / "vectors"
TIME = re.compile(r" \(\d+\.\d\d s\)$", re.MULTILINE)
DAMAGED = (
    "bad-header-text",
    "bad-header-empty",
    "bad-header-checksum",
    "bad-file-cut",
    "bad-file-damaged",
    "bad-program-register-unread",
    "bad-codebook-infinite",
    "bad-digest",
    "unsupported-header-major",
)


@pytest.fixture(scope="module")
def bits_per_byte(small_job):
    artifact = read_artifact(small_job.artifact.read_bytes())
    score = evaluate_program(artifact.program, decode_tensors(artifact), small_job.data, small_job.tokenizer)
    return score.bits_per_byte


def test_what_was_compiled_passes(small_job, bits_per_byte):
    promises = ["--cap", CAP, "--code", small_job.code, "--expect-bpb", bits_per_byte]
    outcome = bytecap_command("verify", small_job.artifact, *promises, *small_job.score_arguments())
    assert (outcome.code, outcome.stderr) == (0, "")
    *lines, verdict = outcome.stdout.splitlines()
    words, names = zip(*(line.split(":")[0].split() for line in lines), strict=True)
    assert words == ("PASS",) * 6 and names == LEVELS and all(TIME.search(line) for line in lines)
    assert verdict == "PASS: 6 of 6 checks"


def test_a_cap_and_a_score_that_are_not_kept_fail(small_job, bits_per_byte):
    over = bytecap_command("verify", small_job.artifact, "--cap", 1000, "--json")
    assert (over.code, over.document["passed"]) == (7, False)
    outcomes = [check["outcome"] for check in over.document["checks"]]
    assert outcomes == ["passed", "passed", "failed", "passed", "skipped", "skipped"]
    assert over.document["summary"] == "FAIL: 1 of 6 checks: ledger; skipped: identity, score"
    arguments = [*small_job.score_arguments(), "--expect-bpb", bits_per_byte - 0.1, "--tolerance", 0.05]
    wrong = bytecap_command("verify", small_job.artifact, *arguments)
    assert wrong.code == 7
    assert [line.split()[0] for line in wrong.stdout.splitlines()] == ["PASS"] * 5 + ["FAIL", "FAIL:"]
    assert bytecap_command("verify", small_job.artifact, *arguments[:-1], 0.2).code == 0


@pytest.mark.parametrize("vector", DAMAGED)
def test_damaged_files_word_for_word(vector):
    outcome = bytecap_command("verify", VECTORS / f"{vector}.bcap")
    assert (outcome.code, outcome.stderr) == (7, "")
    assert_golden(golden_name(vector), TIME.sub("", outcome.stdout))


def golden_name(vector):
    return f"cli/verify_{vector}.txt"


@pytest.mark.parametrize("vector", DAMAGED)
def test_damaged_files_as_a_document(vector):
    path = VECTORS / f"{vector}.bcap"
    outcome = bytecap_command("verify", path, "--json")
    document = outcome.document
    assert (outcome.code, outcome.stderr) == (7, "")
    assert (document["schema"], document["command"], document["artifact"]) == (2, "verify", str(path))
    assert document["passed"] is False
    lines = [f"{WORDS[check['outcome']]:<7}  {check['name']}: {check['detail']}" for check in document["checks"]]
    assert_golden(golden_name(vector), "\n".join([*lines, document["summary"]]) + "\n")
    assert all("rule" in check and "offset" in check for check in document["checks"] if check["outcome"] == "failed")


BEGINS_AS_A_CHECKPOINT = "bad-header-other-magic"


def test_every_refused_vector_gets_its_lines_and_no_traceback():
    """All files that the specification refuses, through the command: one line a level, at least one FAIL, code 7."""
    for path in sorted([*VECTORS.glob("bad-*.bcap"), *VECTORS.glob("unsupported-*.bcap")]):
        outcome = bytecap_command("verify", path)
        said = "it is a checkpoint" in outcome.stderr if path.stem == BEGINS_AS_A_CHECKPOINT else outcome.stderr == ""
        assert outcome.code == 7 and said, path.name
        *lines, verdict = outcome.stdout.splitlines()
        assert tuple(line.split()[1].rstrip(":") for line in lines) == LEVELS, path.name
        assert verdict.startswith("FAIL: 1 of 6 checks: "), path.name
        assert sum(line.startswith("FAIL ") for line in outcome.stdout.splitlines()) == 1, path.name


def test_a_score_is_skipped_where_nothing_can_be_scored(small_job):
    outcome = bytecap_command("verify", VECTORS / "bad-digest.bcap", *small_job.score_arguments())
    assert outcome.code == 7
    line = "SKIPPED  score: not judged, there are no trustworthy tensors to run"
    assert TIME.sub("", outcome.stdout).splitlines()[-2] == line


class Terminal(io.StringIO):
    """What is printed, as on a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_colours_and_lines_that_fit(monkeypatch, no_color):
    checks = [
        Check("decode", Outcome.PASSED, f"9,000 weights, sha256 {'0123456789abcdef' * 4}", seconds=0.5),
        Check("identity", Outcome.FAILED, "one of 1,024 pieces, and " + "another tokenizer " * 6, seconds=0.25),
        Check("score", Outcome.SKIPPED, "no data", seconds=None),
    ]
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("COLUMNS", "80")
    print_checks(checks)
    text = terminal.getvalue()
    assert ("\x1b[31mFAIL" in text and "\x1b[32mPASS" in text) == (no_color == "") == ("\x1b" in text)
    plain = re.sub(r"\x1b\[\d+m", "", text)
    assert max(map(len, plain.splitlines())) < 80
    assert "0123456789abcdef" * 4 in plain and "0.25\u00a0s)" in plain
    assert plain.splitlines()[-1] == "FAIL: 1 of 3 checks: identity; skipped: score"


def test_a_missing_file_is_wrong_usage():
    outcome = bytecap_command("verify", "missing.bcap")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert "missing.bcap does not exist" in outcome.stderr


@pytest.fixture
def faulty(tmp_path, small_job):
    """Command lines that do not come to a verdict, by what is wrong with them."""
    empty = tmp_path / "empty.bin"
    empty.write_bytes(b"")
    artifact, tokenizer = small_job.artifact, small_job.tokenizer
    return {
        "missing file": [tmp_path / "missing.bcap"],
        "no tokenizer": [artifact, "--data", small_job.data],
        "unknown option": [artifact, "--no-such-option"],
        "not a size": [artifact, "--cap", "16 elephants"],
        "empty data": [artifact, "--data", empty, "--tokenizer", tokenizer],
        "not a tokenizer": [artifact, "--data", small_job.data, "--tokenizer", artifact],
        "not Python": [artifact, "--code", _write(tmp_path / "x.py", b"def (")],
    }


def _write(path, content):
    path.write_bytes(content)
    return path


FAULTS = {  # name, exit code, whether a file is named, the option
    "missing file": ("BadParameter", 2, True, None),
    "no tokenizer": ("UsageError", 2, False, None),
    "unknown option": ("NoSuchOption", 2, False, "--no-such-option"),
    "not a size": ("BadParameter", 2, False, "--cap"),
    "empty data": ("DataError", 8, True, None),
    "not a tokenizer": ("DataError", 8, True, None),
    "not Python": ("DataError", 8, True, None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_comes_to_no_verdict_is_a_document_too(fault, faulty):
    outcome = bytecap_command("verify", *faulty[fault], "--json")
    error = outcome.document["error"]
    name, code, has_file, option = FAULTS[fault]
    assert (error["name"], error["exit_code"], outcome.code) == (name, code, code)
    assert (error["place"]["file"] is not None) == has_file
    assert option is None or error["place"]["option"] == option
    assert error["way_out"] and error["message"] in outcome.stderr
    assert (outcome.document["schema"], outcome.document["command"]) == (2, "verify")
    assert bytecap_command("verify", *faulty[fault]).stdout == ""


def test_a_damaged_file_read_by_another_command_has_its_place(tmp_path):
    outcome = bytecap_command("inspect", VECTORS / "bad-file-cut.bcap", "--json")
    error = outcome.document["error"]
    assert (outcome.code, error["name"]) == (4, "TruncatedArtifact")
    assert (error["place"]["rule"], error["place"]["file"]) == ("R-SEC-8", str(VECTORS / "bad-file-cut.bcap"))
    assert error["place"]["offset"] is not None
