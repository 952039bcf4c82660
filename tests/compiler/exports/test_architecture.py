"""What an exported .safetensors file says of its model, and that a re-import needs to assume nothing for it."""

from __future__ import annotations

import json

import safetensors

import bytecap
from bytecap.compiler.exports.architecture import architecture_of
from bytecap.format.artifact import read_artifact


def test_an_export_says_whose_it_is_and_is_read_back_as_the_same_program(small_job, tmp_path):
    output = tmp_path / "model.safetensors"
    bytecap.export(small_job.artifact, output, dtype="float32")
    artifact = read_artifact(small_job.artifact.read_bytes())
    with safetensors.safe_open(output, "numpy") as file:
        metadata = file.metadata()
    assert metadata["format"] == "pt"
    assert metadata["bytecap.tensors_sha256"] == artifact.digest.hex()
    assert metadata["bytecap.sequence_length"] == "32"
    assert json.loads(metadata["config"])["seq_len"] == 32
    again = bytecap.load(output)
    assert again.program == artifact.program
    assert again.told["seq_len"] == "'config' in the file"


def test_hyperparameters_that_build_another_program_are_not_told(small_job):
    artifact = read_artifact(small_job.artifact.read_bytes())
    assert architecture_of(artifact, []) is None
