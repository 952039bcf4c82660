"""A folder's numbers against each other: what passes, what fails, and what only looks like either."""

from __future__ import annotations

import json
import random

import pytest
from submission_folders import write_folder
from submission_folders_claims import MODEL, SCRIPT, declaration, folder, log

from bytecap.submissions.declared_numbers import Amount
from bytecap.submissions.findings import Finding
from bytecap.submissions.judge import judge_folder
from bytecap.submissions.scores import ScoreCandidate, match_score


def findings(tmp_path, **files) -> dict[str, Finding]:
    judgement = judge_folder(write_folder(tmp_path / "folder", folder(**files)))
    return {finding.rule: finding for finding in judgement.findings}


def test_a_good_folder_has_no_finding_that_asks_for_a_look(tmp_path):
    judgement = judge_folder(write_folder(tmp_path / "folder", folder()))
    assert judgement.passed
    assert {finding.level.value for finding in judgement.findings} == {"pass", "skipped"}


def test_three_seeds_and_their_mean(tmp_path):
    """Mean total, mean score, totals and scores by seed, as the records declare them."""
    scores = {"1": "1.10000001", "2": "1.10010002", "3": "1.10020006"}
    logs = {
        f"train_seed{seed}__log": log(seed=int(seed), score=score, model=MODEL + int(seed))
        for seed, score in scores.items()
    }
    told = declaration(
        val_bpb=1.10010003,
        bytes_total=MODEL + len(SCRIPT) + 2,
        seed_results={
            seed: {"val_bpb": float(score), "artifact_bytes": MODEL + len(SCRIPT) + int(seed)}
            for seed, score in scores.items()
        },
    )
    raised = findings(tmp_path, submission__json=told, train__log=None, **logs)
    assert {finding.level.value for finding in raised.values()} == {"pass", "skipped"}
    assert "3 more declared scores" in raised["score-declared"].text


def test_a_json_under_the_cap_while_every_log_is_over(tmp_path):
    raised = findings(tmp_path, train__log=log(model=16_400_000))
    assert raised["bytes-logged-over-cap"].level.value == "fail"
    assert f"the JSON declares {MODEL + len(SCRIPT)}" in raised["bytes-logged-over-cap"].text
    assert raised["size-unexplained"].level.value == "fail"


def test_a_log_that_counts_raw_code_is_no_failure_where_the_shipped_code_fits(tmp_path):
    raised = findings(tmp_path, train__log=log(model=15_950_000, code=100_000))
    assert raised["bytes-logged-over-cap"].level.value == "warning"
    assert raised["bytes-as-shipped"].level.value == "pass"


def test_the_ledger_has_its_numbers(tmp_path):
    shipped = findings(tmp_path)["bytes-as-shipped"]
    assert shipped.values["model"] == MODEL and shipped.values["code"] == len(SCRIPT)
    assert shipped.values["total"] == MODEL + len(SCRIPT)


def test_json_problems_have_line_and_column(tmp_path):
    problem = findings(tmp_path, submission__json='{"a": 1}\n  {"b": 2}')["json-invalid"]
    assert problem.place == "submission.json:2" and "line 2, column 3" in problem.text


def test_a_score_in_a_form_that_is_not_understood_is_found_by_its_digits(tmp_path):
    text = log(score="1.30000000") + "the very final one is 1.23456789 bits for every byte\n"
    raised = findings(tmp_path, train__log=text, submission__json=declaration(val_bpb=1.23456789))
    assert raised["score-declared"].level.value == "pass"


@pytest.mark.parametrize("digits", ["2.0727", "2.07269931", "0.2244", "0.22436570"])
def test_a_loss_in_nats_and_the_end_of_a_number_are_no_score(tmp_path, digits):
    raised = findings(tmp_path, submission__json=declaration().replace("1.2243657", digits))
    assert raised["score-unmatched"].level.value == "fail"
    assert "score-declared" not in raised


@pytest.mark.parametrize("digits", ["1", "1.1", "1.2", "1.19"])
def test_a_score_of_few_digits_is_no_logged_one(tmp_path, digits):
    told = declaration().replace("1.2243657", digits)
    raised = findings(tmp_path, submission__json=told, train__log=log(score="1.19990000"))
    assert raised["score-near"].level.value == "warning"
    assert "score-declared" not in raised


def test_zeros_that_json_does_not_keep_are_no_missing_digits(tmp_path):
    told = declaration(val_bpb=1.2)
    raised = findings(tmp_path, submission__json=told, train__log=log(score="1.20000000"))
    assert raised["score-declared"].level.value == "pass"


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        ({"a": log(seed=1), "b": log(seed=1), "c": log(seed=1)}, "3 runs, 1 are logged by 3 logs (no log of 2, 3)"),
        ({"a": log(seed=1), "b": log(seed=7, training=598_000)}, "3 runs, 2 are logged (no log of 2, 3)"),
        ({"a": log(seed=1), "b": log(seed=2, training=1), "c": log(seed=3, training=2)}, ""),
        ({"seeds_1_2": log(seed=1), "b": log(seed=3, training=1), "c": log(seed=3, training=2)}, ""),
    ],
)
def test_copies_and_other_seeds_are_no_logs_of_declared_runs(tmp_path, logs, expected):
    files = {f"train_{name}__log": text for name, text in logs.items()}
    raised = findings(tmp_path, train__log=None, submission__json=declaration(seeds=[1, 2, 3]), **files)
    found = raised.get("log-missing-seeds")
    assert (found is None) == (expected == "") and (found is None or expected in found.text)


@pytest.mark.parametrize(
    ("declared", "resolution", "logged", "half", "expected"),
    [
        (1.2244, 0.00005, 1.22436570, 0.5e-8, True),  # rounded
        (1.2243, 0.00005, 1.22436570, 0.5e-8, True),  # cut off
        (1.22436570, 0.5e-8, 1.2244, 0.5e-4, True),  # the log has fewer digits
        (1.2246, 0.00005, 1.22436570, 0.5e-8, False),
        (1.22436580, 0.5e-8, 1.22436570, 0.5e-8, False),
    ],
)
def test_scores_match_to_the_digits_that_are_written(declared, resolution, logged, half, expected):
    candidate = ScoreCandidate(logged, "final", "", "", half)
    assert (match_score(Amount("", declared, resolution), [candidate]) is not None) == expected


def test_hostile_declarations_end_in_findings(tmp_path):
    """Names, values and nesting that are no description of anything."""
    for number, told in enumerate(
        (
            {"val_bpb": {"val_bpb": [{"val_bpb": "1" * 5_000}]}},
            {"seeds": [10**30, -1, None, {"a": 1}], "n_seeds": 10**30, "bytes_total": -5, "val_bpb": -1.5},
            {"seeds": {"x" * 10_000: 1}, "track": ["10min"], "author": {"a": 1}, "bytes_total": 10**39},
            {"bytes_total": "1e5", "artifact_mb": "٣٫٥", "val_bpb": "nan", "eval_time_s": "1 2 3"},
            {"": {"": {"": 1}}, "bytes_total": [[[[15_000_000]]]], "val_bpb": True},
        )
    ):
        write_folder(tmp_path / str(number), folder(submission__json=json.dumps(told)))
        assert judge_folder(tmp_path / str(number)).findings


def test_a_random_score_is_explained_by_chance_hardly_ever():
    """Of scores from 1.0 to 1.3, against a log with twelve final scores: by the digits that are declared."""
    generator = random.Random(11)
    candidates = [ScoreCandidate(1 + 0.3 * generator.random(), "final", "", "", 0.5e-8) for _ in range(12)]
    for places, limit in ((4, 0.01), (5, 0.001), (8, 1e-5)):
        half = 0.5 * 10.0**-places
        declared = [round(1 + 0.3 * generator.random(), places) for _ in range(4_000)]
        hits = sum(match_score(Amount("", value, half), candidates) is not None for value in declared)
        assert hits <= max(limit * len(declared), 1), places
    assert match_score(Amount("", round(candidates[5].value, 8), 0.5e-8), candidates) is candidates[5]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Budget: 16,777,216 bytes (16MB)", True),
        ("if quant_file_bytes + code_bytes > 16 * 1024 * 1024:", True),
        ("All artifacts are below 16 MiB, the limit", True),
        ("ngram_buckets: int = 16777216", False),
        ("bucket_bytes = 16 << 20", False),
        ("| N/A 32C P0 | 1516MiB / 143771MiB | limit", False),
        ("the cap is 16,000,000 bytes", False),
    ],
)
def test_sixteen_mebibytes_for_the_cap(tmp_path, line, expected):
    assert ("size-mebibytes" in findings(tmp_path, README__md=f"# A run\n{line}\n")) == expected


def test_bytes_that_a_total_counts_and_the_folder_lacks_are_shipped_bytes(tmp_path):
    """A table of four megabytes that only the log knows of."""
    total = MODEL + len(SCRIPT)
    text = log().replace(f"int8+zlib: {total} bytes", f"int8+zlib: {total + 4_000_000} bytes")
    raised = findings(tmp_path, train__log=text, submission__json=declaration(bytes_total=total + 4_000_000))
    assert "4,000,000" in raised["bytes-side-file"].text and "no file of the folder" in raised["bytes-side-file"].text
    assert raised["bytes-as-shipped"].level.value == "fail"
    assert raised["bytes-logged-over-cap"].level.value == "fail"


def test_the_score_of_a_seed_without_a_log_is_no_failure(tmp_path):
    told = declaration(seed_results={"1337": {"val_bpb": 1.2243657}, "42": {"val_bpb": 1.9}})
    raised = findings(tmp_path, submission__json=told)
    assert raised["score-unmatched"].level.value == "finding" and "seed 42" in raised["score-unmatched"].text


def test_a_log_of_two_runs_counts_each_with_its_own_model(tmp_path):
    raised = findings(tmp_path, train__log=log() + log(model=MODEL - 700_000, source=""))
    assert raised["bytes-as-shipped"].values["model"] == MODEL
    assert "bytes-side-file" not in raised


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([1.22, 1.23], "val_bpb is a list of 2, read as the scores of single runs"),
        ({"42": 1.22, "7": 1.23}, "val_bpb is an object of '42', '7', read as the scores of single runs"),
        ({"mean": 1.22, "std": 0.1}, "val_bpb is an object of 'mean', 'std', of which none is taken"),
        ([], "val_bpb is an empty list; give one number"),
        (None, "no val_bpb is declared"),
    ],
)
def test_what_stands_where_one_score_should_is_named(tmp_path, value, told):
    found = findings(tmp_path, submission__json=declaration(val_bpb=value))["score-not-declared"]
    assert found.level.value == "warning" and found.text.startswith(told)


def test_declared_times_are_held_against_the_limit_without_a_log(tmp_path):
    found = findings(tmp_path, train__log=None, submission__json=declaration(train_time="12 min"))["time-training"]
    assert found.level.value == "warning" and "720.0 s of at most 600" in found.text


def test_a_time_that_is_no_number_is_told(tmp_path):
    found = findings(tmp_path, submission__json=declaration(train_time="12:00", eval_time=None))
    assert "time-evaluation" not in found and found["time-training"].level.value == "information"
    assert "'12:00', which is no number of seconds" in found["time-training"].text
