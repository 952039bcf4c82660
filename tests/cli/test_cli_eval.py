"""`bytecap eval`: the numbers are those of the library, bad data are named."""

from __future__ import annotations

import pytest
from command_line import bytecap_command

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model, read_architecture
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.evaluation import evaluate_program
from bytecap.runtime.scoring import paired_gap


@pytest.fixture(scope="module")
def scores(small_job):
    """Scores of artifact and checkpoint, computed without the command line."""
    artifact = read_artifact(small_job.artifact.read_bytes())
    model = build_model(read_checkpoint(small_job.checkpoint), read_architecture(small_job.architecture))
    files = (small_job.data, small_job.tokenizer)
    return (
        evaluate_program(artifact.program, decode_tensors(artifact), *files),
        evaluate_program(model.program, [tensor.values for tensor in model.tensors], *files),
    )


def test_eval_of_an_artifact_against_its_checkpoint(small_job, scores):
    outcome = bytecap_command(
        "eval", small_job.artifact, *small_job.score_arguments(), "--against", small_job.checkpoint, "--json"
    )
    document, gap = outcome.document, paired_gap(scores[1], scores[0])
    assert (outcome.code, outcome.stderr, document["schema"], document["kind"]) == (0, "", 1, "artifact")
    for name, score in (("score", scores[0]), ("reference", scores[1])):
        assert document[name]["bits_per_byte"] == pytest.approx(score.bits_per_byte, abs=1e-9)
        assert (document[name]["tokens"], document[name]["bytes"]) == (score.tokens, score.bytes)
    assert document["gap"]["mbpb"] == pytest.approx(gap.mbpb, abs=1e-6)
    assert document["gap"]["standard_error_mbpb"] == pytest.approx(gap.standard_error_mbpb, abs=1e-6)
    assert document["same_program"] is True


def test_eval_as_text(small_job, scores):
    outcome = bytecap_command(
        "eval", small_job.artifact, *small_job.score_arguments(), "--against", small_job.checkpoint
    )
    artifact, reference, gap = outcome.stdout.splitlines()
    for line, word, score in ((artifact, "artifact", scores[0]), (reference, "reference", scores[1])):
        assert line.startswith(
            f"{word:<11} {score.bits_per_byte:.5f} bits per byte  ({score.tokens:,} tokens, {score.bytes:,} bytes, "
        )
    assert gap.startswith("gap ") and gap.endswith(" mBPB") and "±" in gap


def test_eval_of_a_checkpoint_on_text_is_the_same_as_on_its_shard(small_job, scores):
    arguments = ["--tokenizer", small_job.tokenizer, "--architecture", small_job.architecture, "--json"]
    on_text = bytecap_command("eval", small_job.checkpoint, "--data", small_job.text, *arguments).document
    assert on_text["kind"] == "checkpoint"
    assert on_text["score"]["bits_per_byte"] == pytest.approx(scores[1].bits_per_byte, abs=1e-9)
    assert on_text["reference"] is None and on_text["gap"] is None


def test_eval_options_limit_what_is_scored(small_job):
    arguments = ["--sequence-length", 16, "--max-tokens", 100, "--json"]
    score = bytecap_command("eval", small_job.artifact, *small_job.score_arguments(), *arguments).document["score"]
    assert (score["tokens"], score["sequence_length"]) == (96, 16)


def test_a_different_architecture_is_noted(small_job, tmp_path):
    (tmp_path / "architecture.toml").write_text("rope_base = 500.0\n")
    arguments = [
        *small_job.score_arguments(),
        "--against",
        small_job.checkpoint,
        "--architecture",
        tmp_path / "architecture.toml",
    ]
    outcome = bytecap_command("eval", small_job.artifact, *arguments)
    assert outcome.code == 0
    assert outcome.stderr.startswith("bytecap: note: the two models have different programs")


def damaged_data(small_job, folder, damage):
    """A data file, a tokenizer and the words its error must contain."""
    from tiny_tokenizers import model_bytes

    shard = small_job.data.read_bytes()
    data, tokenizer = folder / "data.bin", folder / "tokenizer.model"
    tokenizer.write_bytes(small_job.tokenizer.read_bytes())
    if damage == "magic":
        data.write_bytes(b"\0" + shard[1:])
    elif damage == "size":
        data.write_bytes(shard[:-2])
    elif damage == "id":
        data.write_bytes(shard[:-2] + (420).to_bytes(2, "little"))
    elif damage == "empty":
        data.write_bytes(b"")
    elif damage == "tokenizer":
        data.write_bytes(shard)
        tokenizer.write_bytes(model_bytes("unknowns"))
    return data, tokenizer


@pytest.mark.parametrize("damage", ["magic", "size", "id", "empty", "tokenizer"])
@pytest.mark.parametrize("command", ["eval", "verify"])
def test_bad_data_gets_one_line_that_names_the_file(small_job, tmp_path, damage, command):
    data, tokenizer = damaged_data(small_job, tmp_path, damage)
    outcome = bytecap_command(command, small_job.artifact, "--data", data, "--tokenizer", tokenizer)
    assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (8, "", 1)
    assert str(tokenizer if damage == "tokenizer" else data) in outcome.stderr
