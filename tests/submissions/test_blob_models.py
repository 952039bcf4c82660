"""A model in the folder: verified, summed, scored on given data and held against what is declared."""

from __future__ import annotations

import pytest
from submission_folders import write_folder
from submission_folders_blobs import ARTIFACT, packed_folder
from submission_folders_claims import SCRIPT, declaration

import bytecap
from bytecap.submissions.judge import judge_folder
from bytecap.submissions.judgement import JudgeOptions


@pytest.fixture(scope="module")
def true_score(small_job):
    return bytecap.evaluate(small_job.artifact, data=small_job.data, tokenizer=small_job.tokenizer).score.bits_per_byte


def scored(small_job, folder, declared, model="model__bcap", path=None):
    files = packed_folder(
        model__bcap=None, submission__json=declaration(val_bpb=declared, bytes_total=None), README__md="# Non-record\n"
    )
    files[model.replace("__", ".")] = (path or small_job.artifact).read_bytes()
    options = JudgeOptions(data=str(small_job.data), tokenizer=str(small_job.tokenizer))
    judgement = judge_folder(write_folder(folder, files), options)
    (finding,) = [finding for finding in judgement.findings if finding.rule == "blob-score"]
    return judgement, finding


@pytest.mark.parametrize(("off", "level"), [(0.0001, "pass"), (-0.01, "finding"), (-0.2, "fail"), (None, "finding")])
def test_an_artifact_is_scored_and_compared(small_job, true_score, tmp_path, off, level):
    declared = None if off is None else round(true_score + off, 8)
    judgement, finding = scored(small_job, tmp_path / "folder", declared)
    assert finding.level.value == level
    assert finding.values["score"] == true_score
    assert judgement.passed == (level != "fail")
    assert "score-recomputed" not in {each.rule for each in judgement.findings}


def test_data_that_do_not_fit_leave_it_unjudged(small_job, tmp_path):
    (tmp_path / "cut.bin").write_bytes(b"\0" * 40)
    options = JudgeOptions(data=str(tmp_path / "cut.bin"), tokenizer=str(small_job.tokenizer))
    judgement = judge_folder(write_folder(tmp_path / "folder", packed_folder()), options)
    (finding,) = [finding for finding in judgement.findings if finding.rule == "blob-score"]
    assert (finding.level.value, judgement.complete) == ("skipped", True)


def test_what_the_folder_holds_answers_what_no_log_told(tmp_path):
    judgement = judge_folder(write_folder(tmp_path / "folder", packed_folder()))
    assert judgement.passed
    skipped = {finding.rule for finding in judgement.findings if finding.level.value == "skipped"}
    assert not skipped & {"size-unlogged", "bytes-as-counted", "bytes-as-shipped"}
    total = next(line for line in judgement.ledger if line.name == "total")
    assert (total.as_counted, total.as_shipped) == (len(ARTIFACT) + len(SCRIPT),) * 2


def weights_folder(small_job, folder):
    """A folder whose model is a checkpoint with its configuration beside it, and no log."""
    files = packed_folder(
        model__bcap=None, submission__json=declaration(val_bpb=1.0, bytes_total=None), README__md="# Non-record\n"
    )
    files["final_model.pt"] = small_job.checkpoint.read_bytes()
    files["config.json"] = small_job.architecture.read_bytes()
    return write_folder(folder, files)


def blob_score(small_job, folder):
    options = JudgeOptions(data=str(small_job.data), tokenizer=str(small_job.tokenizer))
    (finding,) = [each for each in judge_folder(folder, options).findings if each.rule == "blob-score"]
    return finding


def test_weights_are_scored_with_the_configuration_beside_them(small_job, tmp_path):
    folder = weights_folder(small_job, tmp_path / "folder")
    true = bytecap.evaluate(folder / "final_model.pt", data=small_job.data, tokenizer=small_job.tokenizer)
    assert blob_score(small_job, folder).values["score"] == true.score.bits_per_byte


def test_weights_beside_a_link_are_not_scored(small_job, tmp_path):
    folder = weights_folder(small_job, tmp_path / "folder")
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to(small_job.architecture)
    finding = blob_score(small_job, folder)
    assert (finding.level.value, "holds links" in finding.text) == ("skipped", True)
