"""Claims are found under the names that people use, and other numbers are left alone."""

from __future__ import annotations

import pytest
from submission_folders import write_folder

from bytecap.submissions.declaration import read_declaration
from bytecap.submissions.declared import Quantity, claims_of, words_of
from bytecap.submissions.declared_numbers import read_amount
from bytecap.submissions.folder import open_folder

TOTAL, MODEL, CODE, SCORE = Quantity.TOTAL_BYTES, Quantity.MODEL_BYTES, Quantity.CODE_BYTES, Quantity.SCORE


@pytest.mark.parametrize(
    ("document", "quantity", "role", "seed", "value"),
    [
        ({"bytes_total": 5}, TOTAL, "headline", "", 5),
        ({"totalBytes": 5}, TOTAL, "headline", "", 5),
        ({"artifact_bytes_mean": 5}, TOTAL, "headline", "", 5),
        ({"artifact_mb": 15.9}, TOTAL, "headline", "", 15_900_000),
        ({"artifact_size_mib": "15 MiB"}, TOTAL, "headline", "", 15 << 20),
        ({"results": {"submission_bytes": 5}}, TOTAL, "headline", "", 5),
        ({"seed_results": {"42": {"artifact_bytes": 5}}}, TOTAL, "seed", "42", 5),
        ({"seeds": {"7": {"bytes": 5}}}, TOTAL, "seed", "7", 5),
        ({"bytes_total_seed42": 5}, TOTAL, "seed", "42", 5),
        ({"runs": [{"seed": 3, "artifact_bytes": 5}]}, TOTAL, "seed", "3", 5),
        ({"bytes_model_int8_zlib": 5}, MODEL, "headline", "", 5),
        ({"compressed_model_bytes": 5}, MODEL, "headline", "", 5),
        ({"code_bytes": "5"}, CODE, "headline", "", 5),
        ({"val_bpb": 1.2}, SCORE, "headline", "", 1.2),
        ({"mean_val_bpb": 1.2}, SCORE, "headline", "", 1.2),
        ({"seed_scores": [1.1]}, SCORE, "seed", "#0", 1.1),
        ({"seed_results": {"42": 1.1}}, SCORE, "seed", "42", 1.1),
        ({"pre_quant_val_bpb": 1.2}, SCORE, "other", "", 1.2),
        ({"val_bpb_nn_only_mean": 1.2}, SCORE, "other", "", 1.2),
        ({"mean_val_bpb_3seed": 1.2}, SCORE, "headline", "", 1.2),
        ({"smoke_test": {"val_bpb": 1.2}}, SCORE, "other", "", 1.2),
        ({"eval_time_ms": 600_100}, Quantity.EVALUATION_SECONDS, "headline", "", 600.1),
        ({"wallclock_seconds": 600}, Quantity.TRAINING_SECONDS, "headline", "", 600),
    ],
)
def test_a_claim_under_its_name(document, quantity, role, seed, value):
    (claim,) = claims_of(document)
    assert (claim.quantity, claim.role, claim.seed) == (quantity, role, seed)
    assert claim.amount.value == pytest.approx(value)


@pytest.mark.parametrize(
    "document",
    [
        {"comparison": {"baseline_bytes_total": 5}},
        {"artifact_size_budget": {"max_bytes": 16_000_000}},
        {"delta_vs_sota_bpb": -0.01, "val_bpb_std": 0.001, "size_headroom_bytes": 3},
        {"batch_size": 64, "vocab_size": 1024, "step_avg_ms": 3.0, "seed": 42, "seeds": [1, 2]},
        {"compliance": {"artifact_under_16mb": True}, "date": "2026-01-01"},
        {"lineage": {"parent_val_bpb": 1.1}},
        ["val_bpb", None, 3],
        "text",
        None,
    ],
)
def test_other_numbers_are_no_claims(document):
    assert claims_of(document) == ()


def test_a_claim_keeps_its_place():
    claims = claims_of({"seed_results": {"42": {"val_bpb": 1.1, "artifact_bytes": 5}}})
    assert [claim.path for claim in claims] == ["seed_results.42.val_bpb", "seed_results.42.artifact_bytes"]


@pytest.mark.parametrize(
    ("value", "expected", "resolution"),
    [
        (15, 15, 0),
        ("pending", None, 0),
        (None, None, 0),
        ("17,080,000", 17_080_000, 0),
        ("15.9 MB", 15.9e6, 0.05e6),
        ("15,9 MB", 15.9e6, 0.05e6),
        ("0.0159 GB", 15.9e6, 0.05e6),
        ("0.0159 GiB", 0.0159 * (1 << 30), 0.00005 * (1 << 30)),
    ],
)
def test_a_size_keeps_its_resolution(value, expected, resolution):
    amount = read_amount(value, ("bytes",), sizes=True, times=False)
    assert amount is not None
    assert amount.value == (None if expected is None else pytest.approx(expected))
    assert amount.resolution == pytest.approx(resolution)


@pytest.mark.parametrize(
    ("value", "seconds", "resolution"),
    [
        (600, 600, 0.5),
        ("600", 600, 0.5),
        ("12 min", 720, 30),
        ("12mins", 720, 30),
        ("0.2 hours", 720, 180),
        ("2 hrs", 7200, 1800),
        ("10m 3s", 603, 0.5),
        ("1h, 2 min, 3 sec", 3723, 0.5),
        ("12:00", None, 0),
        ("10 steps", None, 0),
        ("10m 3 steps", None, 0),
    ],
)
def test_a_time_is_in_seconds(value, seconds, resolution):
    amount = read_amount(value, ("train", "time"), sizes=False, times=True)
    assert amount is not None and amount.value == (None if seconds is None else pytest.approx(seconds))
    assert amount.resolution == pytest.approx(resolution)


def test_a_comma_may_stand_for_the_point():
    amount = read_amount("1,2243657", ("val", "bpb"), sizes=False, times=False)
    assert amount is not None and (amount.value, amount.resolution) == (1.2243657, pytest.approx(0.5e-7))


def test_words_of_a_key():
    assert words_of("artifactBytes_mean") == ("artifact", "bytes", "mean")
    assert words_of("bytes_model_int8+zlib") == ("bytes", "model", "int8", "zlib")


def test_a_document_of_many_numbers_is_bounded():
    assert len(claims_of({f"bytes_total_seed{seed}": seed for seed in range(5_000)})) == 500


@pytest.mark.parametrize(
    ("place", "readme", "no_record"),
    [
        ("track_10min_16mb/2026-05-01_Name", "# A run", False),
        ("track_non_record_16mb/2026-05-01_Name", "# A run", True),
        ("track_10min_16mb/2026-05-01_Name", "# A non-record run", True),
        ("track_10min_16mb/2026-05-01_Name", "Trained with Unlimited Compute.", True),
        ("track_10min_16mb/2026-05-01_Name", "These notable settings; the wall clock is 0 (unlimited).", False),
        ("notable_runs/2026-05-01_Name", "# A run", False),
    ],
)
def test_no_record_is_said_by_the_folder_above_or_the_readme(tmp_path, place, readme, no_record):
    told, _ = read_declaration(open_folder(write_folder(tmp_path / place, {"README.md": readme.encode()})))
    assert told.no_record is no_record
