"""`bytecap pack`: the folder counts and runs, says what was measured and nothing else, and is there whole or not."""

from __future__ import annotations

import ast
import errno
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clean_process import run_clean
from command_line import bytecap_command
from tiny_artifacts import tiny_artifact
from tiny_tokenizers import tiny_tokenizer

import bytecap
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.packing.folder import LARGEST_SCRIPT
from bytecap.packing.submission import encode_byte_table
from bytecap.packing.trial import Trial, read_score
from bytecap.runtime.shards import write_shard

PLAIN = {"model.bcap", "train_gpt.py", "submission.json", "README.md", "requirements.txt"}


@pytest.fixture(scope="module")
def scored(small_job, tmp_path_factory):
    """A folder that was scored, and what the command said."""
    folder = tmp_path_factory.mktemp("pack") / "submission"
    told = ["--author", "A. Uthor", "--name", "Small", "--date", "2026-11-27"]
    outcome = bytecap_command(
        "pack", small_job.artifact, "-o", folder, "--cap", "40KB", *small_job.score_arguments(), *told, "--json"
    )
    assert outcome.code == 0, outcome.stderr
    return folder, outcome.document


def test_what_is_counted_is_what_is_there(scored):
    folder, document = scored
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert set(sizes) == {*PLAIN, "eval.log"}
    assert sizes == document["files"]
    total = sizes["model.bcap"] + sizes["train_gpt.py"]
    ledger, described = document["ledger"], json.loads((folder / "submission.json").read_text())
    assert ledger["total_bytes"] == sum(row["bytes"] for row in ledger["rows"]) == total
    assert described["bytes_total"] == total == described["bytes_code"] + described["bytes_model"]
    assert sizes["train_gpt.py"] <= LARGEST_SCRIPT
    log, readme = (folder / "eval.log").read_text(), (folder / "README.md").read_text()
    assert f"Total submission size bytecap: {total} bytes" in log
    assert f"| **{total:,}** |" in readme


def test_the_score_is_the_scripts_and_the_runtimes(scored, small_job):
    folder, document = scored
    evaluation = bytecap.evaluate(small_job.artifact, data=small_job.data, tokenizer=small_job.tokenizer)
    found, described = document["score"], json.loads((folder / "submission.json").read_text())
    assert (found["tokens"], found["bytes"]) == (evaluation.score.tokens, evaluation.score.bytes)
    assert found["val_bpb"] == pytest.approx(evaluation.score.bits_per_byte, abs=1e-5)
    assert found["val_bpb"] == described["val_bpb"]
    assert abs(document["trial"]["difference"]) < 1e-5
    assert (
        f"val_loss:{described['val_loss']:.8f} val_bpb:{described['val_bpb']:.8f}" in (folder / "eval.log").read_text()
    )
    assert (described["author"], described["name"], described["date"]) == ("A. Uthor", "Small", "2026-11-27")
    assert "track" not in described
    judged = bytecap_command("verify", folder, "--cap", "40KB")
    assert (judged.code, "score-declared" in judged.stdout) == (0, True), judged.stdout


def test_the_script_needs_nothing_but_numpy_and_torch(scored, small_job):
    folder, document = scored
    run = run_clean(folder / "train_gpt.py", *small_job.score_arguments())
    assert run.returncode == 0, run.stderr
    assert read_score(run.stdout).bits_per_byte == pytest.approx(document["score"]["val_bpb"], abs=1e-6)
    source = (folder / "train_gpt.py").read_text()
    assert {
        alias.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import) for alias in node.names
    } <= {
        "base64",
        "lzma",
        "zlib",
    }


def test_the_artifact_in_the_folder_has_the_same_tensors(scored, small_job):
    packed, given = ((path).read_bytes() for path in (scored[0] / "model.bcap", small_job.artifact))
    first, second = read_artifact(packed), read_artifact(given)
    assert first.program == second.program
    pairs = zip(decode_tensors(first), decode_tensors(second), strict=True)
    assert all(one.tobytes() == other.tobytes() for one, other in pairs)


def test_a_second_folder_needs_force_and_another_tokenizer_stops_the_script(scored, small_job, tmp_path):
    assert bytecap_command("pack", small_job.artifact, "-o", scored[0]).code == 9
    other, table = tmp_path / "other.bin", tiny_tokenizer().byte_table()
    other.write_bytes(encode_byte_table(replace(table, base_bytes=table.base_bytes + 1)))
    run = run_clean(scored[0] / "train_gpt.py", "--data", small_job.data, "--tokenizer", other)
    assert run.returncode == 1
    assert "other.bin is another tokenizer" in run.stderr


def test_another_tokenizer_than_the_models_is_refused(small_job, tmp_path):
    outcome = bytecap_command("pack", small_job.artifact, "-o", tmp_path / "out", "--tokenizer", "bytes")
    assert outcome.code == 8
    assert "give the tokenizer that the model was made with" in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_over_the_cap_nothing_is_written(small_job, tmp_path):
    size = small_job.artifact.stat().st_size
    outcome = bytecap_command("pack", small_job.artifact, "-o", tmp_path / "out", "--cap", size + 5_000)
    assert outcome.code == 6
    assert "over the cap" in outcome.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["sub/run.py", "run", "../run.py"])
def test_names_that_are_no_scripts_name(small_job, tmp_path, name):
    outcome = bytecap_command("pack", small_job.artifact, "-o", tmp_path / "out", "--script-name", name)
    assert outcome.code == 9
    assert list(tmp_path.iterdir()) == []


def test_data_that_are_no_shard_are_refused(small_job, tmp_path):
    outcome = bytecap_command(
        "pack", small_job.artifact, "-o", tmp_path / "out", "--data", small_job.text, "--tokenizer", small_job.tokenizer
    )
    assert outcome.code == 8
    assert "token shard" in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_of_another_kind_is_a_table_that_counts(tmp_path, monkeypatch):
    artifact = tmp_path / "tiny.bcap"
    artifact.write_bytes(tiny_artifact())
    write_shard(tmp_path / "bytes.bin", np.random.default_rng(3).integers(0, 256, 97))
    folder = tmp_path / "out"
    given = ["--data", tmp_path / "bytes.bin", "--tokenizer", "bytes", "--stride", 16, "--json"]
    outcome = bytecap_command("pack", artifact, "-o", folder, *given)
    assert outcome.code == 0, outcome.stderr
    document, described = outcome.document, json.loads((folder / "submission.json").read_text())
    expected = bytecap.evaluate(artifact, data=tmp_path / "bytes.bin", tokenizer="bytes", stride=16).score
    assert document["score"]["val_bpb"] == pytest.approx(expected.bits_per_byte, abs=1e-5)
    assert (document["score"]["tokens"], document["score"]["bytes"]) == (96, 96)
    table = (folder / "token_bytes.bin").stat().st_size
    assert {"kind": "code", "name": "token_bytes.bin", "bytes": table} in document["ledger"]["rows"]
    assert described["bytes_code"] == table + (folder / "train_gpt.py").stat().st_size
    assert f"Code size: {described['bytes_code']} bytes" in (folder / "eval.log").read_text()
    assert "author" not in described
    assert any("no author" in note for note in document["notes"])
    length = read_artifact(artifact.read_bytes()).program.sequence_length
    assert any(f"in windows of {length} tokens" in note for note in document["notes"])
    (folder / "notes.txt").write_text("mine")
    monkeypatch.setattr("bytecap.packing.folder.try_script", lambda *tried: Trial(1.0, 1.0, 1, ""))  # tried above
    again = bytecap_command("pack", artifact, "-o", folder, "--force", "--json")
    assert again.code == 0, again.stderr
    assert {path.name for path in folder.iterdir()} == {*PLAIN, "notes.txt"}
    assert again.document["notes"][-1] == "also in the folder, and neither written nor counted: notes.txt"
    assert "val_bpb" not in json.loads((folder / "submission.json").read_text())


def test_a_full_folder_for_temporary_files_is_told_by_its_name(small_job, tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as a write tells it: without a name

    monkeypatch.setattr(Path, "write_bytes", full)
    outcome = bytecap_command("pack", small_job.artifact, "-o", tmp_path / "new")
    said = f"the folder {tempfile.gettempdir()} cannot hold the script while it is tried (No space left on device)"
    assert outcome.stderr == f"bytecap: error: {said}; name another one by TMPDIR\n"
    assert (outcome.code, outcome.stdout, list(tmp_path.iterdir())) == (9, "", [])
