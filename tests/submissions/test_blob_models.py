"""A model in the folder: verified, summed, scored on given data and held against what is declared."""

from __future__ import annotations

import zlib

import pytest
from source_tree import ROOT
from submission_folders import write_folder
from submission_folders_blobs import ARTIFACT, PREFIX, WEIGHTS, int8_state, packed_folder, saved
from submission_folders_claims import SCRIPT, SIDE_FILE, declaration, folder, log

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


def test_an_artifact_in_a_compression_is_verified_and_scored(small_job, true_score, tmp_path):
    path = tmp_path / "model.bcap.z"
    path.write_bytes(zlib.compress(small_job.artifact.read_bytes(), 9))
    judgement, finding = scored(small_job, tmp_path / "folder", round(true_score, 8), path=path)
    assert (finding.level.value, finding.values["score"]) == ("pass", true_score)
    (total,) = [line.as_shipped for line in judgement.ledger if line.name == "total"]
    assert total == path.stat().st_size + len(SCRIPT)
    levels = {finding.level.value for finding in judgement.findings if finding.rule == "blob-artifact"}
    assert levels == {"pass"} and judgement.passed


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


def total_of(folder, files, cap):
    """The verdict, and the ledger's total as shipped."""
    judgement = judge_folder(write_folder(folder, files), JudgeOptions(cap=cap))
    return judgement.verdict, next(line.as_shipped for line in judgement.ledger if line.name == "total")


def test_weights_that_a_script_reads_beside_the_model_count(tmp_path):
    script = SCRIPT + "import torch\nextra = torch.load('extra.pt', weights_only=True)\n"
    extra = saved(int8_state())
    files = folder(
        train_gpt__py=script,
        final_model__int8__ptz=WEIGHTS,
        extra__pt=extra,
        train__log=log(model=len(WEIGHTS), code=len(script), source=script),
        submission__json=declaration(bytes_total=len(WEIGHTS) + len(script), bytes_code=len(script)),
    )
    total = len(WEIGHTS) + len(script) + len(extra)
    assert total_of(tmp_path / "fits", files, total) == ("pass", total)
    assert total_of(tmp_path / "over", files, total - len(script)) == ("fail", total)
    alone = {**files, "train_gpt.py": script.replace("torch.load", "print")}
    assert total_of(tmp_path / "alone", alone, total - len(script))[0] == "pass"


@pytest.mark.parametrize("is_counted", [True, False])
def test_data_are_counted_where_the_log_s_total_has_room_for_them(tmp_path, is_counted):
    total = len(WEIGHTS) + len(SCRIPT)
    logged = log(model=len(WEIGHTS)).replace(f"int8+zlib: {total} bytes", f"int8+zlib: {total + len(SIDE_FILE)} bytes")
    files = folder(
        README__md="# A run that ships tables.bin\n",
        final_model__int8__ptz=WEIGHTS,
        tables__bin=SIDE_FILE,
        train__log=logged if is_counted else log(model=len(WEIGHTS)),
    )
    counted = {line.name: line.as_counted for line in judge_folder(write_folder(tmp_path / "folder", files)).ledger}
    assert counted["data: tables.bin"] == (len(SIDE_FILE) if is_counted else None)
    assert counted["code: train_gpt.py"] == len(SCRIPT)


def test_a_file_that_counts_as_code_is_added_once(tmp_path):
    script = SCRIPT + "prefix = open('prefix.xz', 'rb').read()\n"
    total = len(ARTIFACT) + len(script) + len(PREFIX)
    told = declaration(bytes_total=total, bytes_code=None)
    files = packed_folder(train_gpt__py=script, prefix__xz=PREFIX, submission__json=told)
    assert total_of(tmp_path / "folder", files, total) == ("pass", total)


def test_of_several_artifacts_the_largest_is_counted_and_their_sum_is_said(tmp_path):
    larger = (ROOT / "spec" / "vectors" / "good-whole-every-operation.bcap").read_bytes()
    files = packed_folder(other__bcap=larger)
    total = len(larger) + len(SCRIPT)
    assert total_of(tmp_path / "over", files, len(larger)) == ("fail", total)
    judgement = judge_folder(tmp_path / "over", JudgeOptions(cap=total))
    texts = [finding.text for finding in judgement.findings if finding.rule == "blob-total"]
    assert judgement.passed and any("together with model.bcap" in text for text in texts)


def test_of_weights_without_a_log_those_count_that_a_script_reads(tmp_path):
    script = SCRIPT + "import torch\nw = [torch.load('a.pt'), torch.load('b.pt')]\n"
    a, b, c = (saved(int8_state(columns)) for columns in (4, 400, 4000))
    files = packed_folder(model__bcap=None, train_gpt__py=script, a__pt=a, b__pt=b, c__pt=c)
    total = len(a) + len(b) + len(script)
    files["submission.json"] = declaration(bytes_total=total, bytes_code=len(script))
    assert total_of(tmp_path / "over", files, len(a) + len(b)) == ("fail", total)


@pytest.mark.parametrize("name", ["model__txt", "model__json", "model__log"])
def test_a_model_is_found_whatever_its_name_ends_in(name, tmp_path):
    told = declaration(bytes_total=len(WEIGHTS) + len(SCRIPT))
    files = packed_folder(model__bcap=None, submission__json=told, **{name: WEIGHTS})
    total = len(WEIGHTS) + len(SCRIPT)
    assert total_of(tmp_path / "folder", files, total) == ("pass", total)


def test_texts_of_another_encoding_are_no_binary_files(tmp_path):
    texts = {"a.txt": "Привет, мир\n".encode("cp1251") * 99, "b.log": "caf\u00e9\n".encode("utf-16")}
    judgement = judge_folder(write_folder(tmp_path, {**packed_folder(), **texts, "c.md": b"one\0" + b"byte " * 99}))
    assert {blob["name"] for blob in judgement.facts["blobs"]["blobs"]} == {"model.bcap"}


def test_a_table_of_text_that_a_script_reads_is_named(tmp_path):
    script = SCRIPT + "table = open('weights' + '.csv').read()\n"
    files = packed_folder(train_gpt__py=script, weights__csv="1,2\n" * 99)
    judgement = judge_folder(write_folder(tmp_path, files))
    (finding,) = [each for each in judgement.findings if each.rule == "blob-data"]
    assert (finding.level.value, finding.values["named_by"]) == ("finding", "train_gpt.py:32")


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
