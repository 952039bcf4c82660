"""`bytecap verify` of good, damaged and foreign files: a line a check, one JSON document, the exit code."""

from __future__ import annotations

import pytest
from command_line import bytecap_command
from golden_files import assert_golden
from small_job import CAP
from source_tree import ROOT

from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.evaluation import evaluate_program

VECTORS = ROOT / "spec" / "vectors"
LEVELS = ["structure", "checksums", "decoding", "digest", "size"]
WORDS = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIPPED"}
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
    words, names = zip(*(line.split(":")[0].split() for line in outcome.stdout.splitlines()), strict=True)
    assert words == ("PASS",) * 6 and list(names) == [*LEVELS, "score"]


def test_a_cap_and_a_score_that_are_not_kept_fail(small_job, bits_per_byte):
    over = bytecap_command("verify", small_job.artifact, "--cap", 1000, "--json")
    assert (over.code, over.document["passed"]) == (7, False)
    assert [check["outcome"] for check in over.document["checks"]] == ["passed"] * 4 + ["failed"]
    arguments = [*small_job.score_arguments(), "--expect-bpb", bits_per_byte - 0.1, "--tolerance", 0.05]
    wrong = bytecap_command("verify", small_job.artifact, *arguments)
    assert wrong.code == 7
    assert [line.split()[0] for line in wrong.stdout.splitlines()] == ["PASS"] * 5 + ["FAIL"]
    assert bytecap_command("verify", small_job.artifact, *arguments[:-1], 0.2).code == 0


@pytest.mark.parametrize("vector", DAMAGED)
def test_damaged_files_word_for_word(vector):
    outcome = bytecap_command("verify", VECTORS / f"{vector}.bcap")
    assert (outcome.code, outcome.stderr) == (7, "")
    assert_golden(golden_name(vector), outcome.stdout)


def golden_name(vector):
    return f"cli/verify_{vector}.txt"


@pytest.mark.parametrize("vector", DAMAGED)
def test_damaged_files_as_a_document(vector):
    path = VECTORS / f"{vector}.bcap"
    outcome = bytecap_command("verify", path, "--json")
    document = outcome.document
    assert (outcome.code, outcome.stderr) == (7, "")
    assert (document["schema"], document["command"], document["artifact"]) == (1, "verify", str(path))
    assert document["passed"] is False
    lines = [f"{WORDS[check['outcome']]:<7}  {check['name']}: {check['detail']}" for check in document["checks"]]
    assert_golden(golden_name(vector), "\n".join(lines) + "\n")
    assert all("rule" in check and "offset" in check for check in document["checks"] if check["outcome"] == "failed")


def test_every_refused_vector_gets_its_lines_and_no_traceback():
    """All files that the specification refuses, through the command: one line a level, at least one FAIL, code 7."""
    for path in sorted([*VECTORS.glob("bad-*.bcap"), *VECTORS.glob("unsupported-*.bcap")]):
        outcome = bytecap_command("verify", path)
        assert (outcome.code, outcome.stderr) == (7, ""), path.name
        assert [line.split()[1].rstrip(":") for line in outcome.stdout.splitlines()] == LEVELS, path.name
        assert sum(line.startswith("FAIL ") for line in outcome.stdout.splitlines()) == 1, path.name


def test_a_score_is_skipped_where_nothing_can_be_scored(small_job):
    outcome = bytecap_command("verify", VECTORS / "bad-digest.bcap", *small_job.score_arguments())
    assert outcome.code == 7
    assert outcome.stdout.splitlines()[-1] == "SKIPPED  score: not judged, there are no trustworthy tensors to run"


@pytest.mark.parametrize("arguments", [["missing.bcap"], ["missing.bcap", "--json"]])
def test_a_missing_file_is_wrong_usage(arguments):
    outcome = bytecap_command("verify", *arguments)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert "Path 'missing.bcap' does not exist" in outcome.stderr
