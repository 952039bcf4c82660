"""`bytecap export`: files and folders hold the artifact's values, what is rounded is said, nothing is lost."""

from __future__ import annotations

import json

import gguf
import numpy as np
import pytest
import safetensors
from artifact_origin import origin_of
from command_line import bytecap_command
from naive_llama import Llama, write_folder
from tiny_models import random_sequences

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model, read_architecture
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.shards import write_shard

NAIVE = Llama("llama", vocabulary=31, tied=True)


@pytest.fixture(scope="module")
def folder_artifact(tmp_path_factory):
    """An artifact compiled from a Hugging Face folder of float32."""
    root = tmp_path_factory.mktemp("export")
    write_folder(root / "model", NAIVE, NAIVE.state(0))
    write_shard(root / "calibration.bin", random_sequences(NAIVE.vocabulary, 40, 32).ravel())
    arguments = ["--cap", "10KB", "--calibration", root / "calibration.bin"]
    outcome = bytecap_command("compile", root / "model", "-o", root / "model.bcap", *arguments)
    assert outcome.code == 0, outcome.stderr
    return root / "model.bcap"


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_export_and_compile_again(small_job, tmp_path, suffix):
    output = tmp_path / f"model{suffix}"
    outcome = bytecap_command("export", small_job.artifact, "-o", output)
    artifact = read_artifact(small_job.artifact.read_bytes())
    exported = read_checkpoint(output)
    assert outcome.stdout == (
        f"{output}  {suffix[1:]}  {len(artifact.directory)} tensors of float32  {output.stat().st_size:,} bytes\n"
        "every weight is exactly the artifact's\n"
    )
    for entry, values in zip(artifact.directory, decode_tensors(artifact), strict=True):
        assert np.array_equal(exported.tensors[entry.name], values)
    assert build_model(exported, read_architecture(small_job.architecture)).program == artifact.program


def test_an_export_in_another_type_says_how_far_it_is(small_job, tmp_path):
    output = tmp_path / "model.safetensors"
    outcome = bytecap_command("export", small_job.artifact, "-o", output, "--dtype", "bfloat16", "--json")
    exported = read_checkpoint(output)
    assert set(exported.dtypes.values()) == {"bfloat16"} == set(outcome.document["dtypes"])
    artifact = read_artifact(small_job.artifact.read_bytes())
    exact = np.concatenate([values.ravel() for values in decode_tensors(artifact)])
    rounded = np.concatenate([exported.tensors[entry.name].ravel() for entry in artifact.directory])
    assert outcome.document["rounding"] == {
        "weights": exact.size,
        "changed": np.count_nonzero(exact != rounded),
        "relative_error": pytest.approx(np.linalg.norm(exact - rounded) / np.linalg.norm(exact), rel=1e-5),
    }
    text = bytecap_command("export", small_job.artifact, "-o", output, "--dtype", "bfloat16", "--force").stdout
    assert "weights were rounded (relative error " in text and "--dtype float32 does" in text


def test_a_folder_is_the_checkpoint_again_with_its_configuration_and_tokenizer(folder_artifact, tmp_path):
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "tokenizer.json").write_text("{}")
    (tmp_path / "tokens" / "notes.txt").write_text("no tokenizer")
    output = tmp_path / "out"
    arguments = ["--tokenizer", tmp_path / "tokens", "--json"]
    document = bytecap_command("export", folder_artifact, "-o", output, *arguments).document
    assert sorted(path.name for path in output.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert document["kind"] == "folder" and document["rounding"]["changed"] == 0
    config = json.loads((output / "config.json").read_text())
    assert (config["model_type"], config["dtype"], config["hidden_size"]) == ("llama", "float32", NAIVE.width)
    original = read_checkpoint(folder_artifact.parent / "model")
    again = build_model(read_checkpoint(output))
    assert again.program == read_artifact(folder_artifact.read_bytes()).program
    assert set(read_checkpoint(output).tensors) == set(original.tensors)


def test_a_coded_folder_holds_the_artifact_and_a_stand_in(folder_artifact, tmp_path):
    output = tmp_path / "out"
    outcome = bytecap_command("export", folder_artifact, "-o", output, "--coded")
    assert outcome.code == 0, outcome.stderr
    assert (output / "model.bcap").read_bytes() == folder_artifact.read_bytes()
    config = json.loads((output / "config.json").read_text())
    assert config["quantization_config"] == {"quant_method": "bytecap", "artifact": "model.bcap"}
    assert (output / "model.safetensors").stat().st_size < 500


@pytest.mark.parametrize("dtype", ["original", "float16", "q8_0"])
def test_a_gguf_file_is_the_checkpoint_again(folder_artifact, tmp_path, dtype):
    output = tmp_path / "out.gguf"
    document = bytecap_command("export", folder_artifact, "-o", output, "--dtype", dtype, "--json").document
    artifact, again = read_artifact(folder_artifact.read_bytes()), build_model(read_checkpoint(output))
    assert again.program.instructions == artifact.program.instructions
    exact = decode_tensors(artifact)
    largest = max(np.abs(t.values - values).max() for t, values in zip(again.tensors, exact, strict=True))
    assert (largest == 0) == (document["rounding"]["changed"] == 0) == (dtype != "float16")
    assert largest < 1e-3
    assert set(document["dtypes"]) == ({"F16", "F32"} if dtype == "float16" else {"F32"})  # rows of 24 are no blocks


def test_a_folder_with_something_in_it_needs_force_and_keeps_the_rest(folder_artifact, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "README.md").write_text("mine")
    refused = bytecap_command("export", folder_artifact, "-o", output)
    assert refused.code == 9 and refused.stderr == (
        f"bytecap: error: {output} exists and is not empty; use --force to replace it, or name another output\n"
    )
    assert bytecap_command("export", folder_artifact, "-o", output, "--force").code == 0
    assert sorted(path.name for path in output.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_what_cannot_be_written_is_refused_in_one_sentence(small_job, folder_artifact, tmp_path):
    table = [
        ((small_job.artifact, "-o", tmp_path / "out"), "keeps no config.json with a model_type"),
        ((folder_artifact, "-o", tmp_path / "x.onnx"), "give the output one of the endings .safetensors, .pt, .gguf"),
        ((folder_artifact, "-o", tmp_path / "x.pt", "--coded"), "coded weights go into a folder"),
        ((folder_artifact, "-o", tmp_path / "x.pt", "--tokenizer", tmp_path), "holds no tokenizer"),
        ((folder_artifact, "-o", tmp_path / "out", "--tokenizer", tmp_path), "has no tokenizer (tokenizer.json"),
        ((folder_artifact, "-o", tmp_path / "x.gguf", "--tokenizer", tmp_path), "neither tokenizer.json nor"),
        ((folder_artifact, "-o", tmp_path / "x.pt", "--dtype", "q8_0"), "dtype 'q8_0' is not one of"),
        ((folder_artifact, "-o", tmp_path / "no" / "out"), "is not a folder; create it first"),
    ]
    for arguments, sentence in table:
        outcome = bytecap_command("export", *arguments)
        assert outcome.code == 9 and sentence in outcome.stderr and outcome.stderr.count("\n") == 1, arguments
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "kind"), [("X.SAFETENSORS", "safetensors"), ("x.Pt", "pt")])
def test_an_ending_counts_in_any_case(small_job, tmp_path, name, kind):
    outcome = bytecap_command("export", small_job.artifact, "-o", tmp_path / name, "--json")
    assert (outcome.code, outcome.document["kind"]) == (0, kind)
    assert list(outcome.document["files"]) == [str(tmp_path / name)]
    assert bytecap_command("inspect", tmp_path / name, "--json").document["checkpoint"]


@pytest.mark.parametrize("name", ["SmolLM2-1.7B", "v0.2", "model.2026-01-31"])
def test_a_folder_may_have_a_number_behind_a_dot(folder_artifact, tmp_path, name):
    assert bytecap_command("export", folder_artifact, "-o", tmp_path / name).code == 0
    assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["config.json", "model.safetensors"]


def test_an_existing_file_is_kept(small_job, tmp_path):
    (tmp_path / "model.pt").write_bytes(b"precious")
    assert bytecap_command("export", small_job.artifact, "-o", tmp_path / "model.pt").code == 9
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"model.pt": b"precious"}
    forced = bytecap_command("export", small_job.artifact, "-o", tmp_path / "model.pt", "--force", "--json")
    assert forced.document["schema"] == 1


@pytest.mark.parametrize("more", [(), ("--coded",)])
def test_a_folder_says_in_its_header_of_which_artifact_it_is(folder_artifact, tmp_path, more):
    assert bytecap_command("export", folder_artifact, "-o", tmp_path / "out", *more).code == 0
    with safetensors.safe_open(tmp_path / "out" / "model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt", **origin_of(folder_artifact.read_bytes())}


def test_a_gguf_file_says_of_which_artifact_it_is(folder_artifact, tmp_path):
    assert bytecap_command("export", folder_artifact, "-o", tmp_path / "out.gguf").code == 0
    fields = gguf.GGUFReader(tmp_path / "out.gguf").fields
    said = {name: field.contents() for name, field in fields.items() if name.startswith("bytecap.")}
    assert said == origin_of(folder_artifact.read_bytes())
