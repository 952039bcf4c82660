"""What an exported file says of its artifact, and that a re-import needs to assume nothing for it."""

from __future__ import annotations

import json

import pytest
import safetensors
import torch
from artifact_origin import origin_of

import bytecap
from bytecap.compiler.exports.architecture import architecture_of
from bytecap.format.artifact import read_artifact


def header_of(path) -> dict[str, str]:
    with safetensors.safe_open(path, "numpy") as file:
        return file.metadata()


def state_said(path) -> dict[str, str]:
    return torch.load(path, weights_only=True)._metadata[""]["bytecap"]


@pytest.mark.parametrize(("suffix", "said_by"), [(".safetensors", header_of), (".pt", state_said)])
def test_an_export_says_whose_it_is_and_is_read_back_as_the_same_program(small_job, tmp_path, suffix, said_by):
    output = tmp_path / f"model{suffix}"
    bytecap.export(small_job.artifact, output, dtype="float32")
    data = small_job.artifact.read_bytes()
    artifact, metadata = read_artifact(data), said_by(output)
    configuration = json.loads(metadata.pop("config"))
    assert configuration["seq_len"] == 32 and metadata == {"format": "pt", **origin_of(data)}
    again = bytecap.load(output)
    assert again.program == artifact.program
    assert again.told["seq_len"] == "'config' in the file"


def test_hyperparameters_that_build_another_program_are_not_told(small_job):
    artifact = read_artifact(small_job.artifact.read_bytes())
    assert architecture_of(artifact, []) is None
