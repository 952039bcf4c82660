"""Profiles: which codec each one is, what the command prints of them, and that their sizes are those of
real artifacts.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from command_line import bytecap_command
from hypothesis import given, settings
from hypothesis import strategies as st
from random_artifacts import artifact_sources
from small_job import CAP

import bytecap
from bytecap.compiler.profiles import PROFILES, profile_codec, profile_codecs
from bytecap.errors import CompileError
from bytecap.format.artifact import decode_contents, decode_tensors, read_artifact
from bytecap.format.assembly import assemble_artifact
from bytecap.format.codecs import INTEGER_CODECS
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import GridInStream


def codecs_of(data: bytes) -> list[int]:
    return [stream.codec for stream in read_artifact(data).streams]


def test_profiles_name_codecs() -> None:
    assert PROFILES == {"max": "mixing", "default": "scale-classes", "fast": "static-rans"}
    assert (profile_codec("default"), profile_codec("fast")) == (1, 3)
    assert profile_codecs() == {
        p: c.wire_id for p, name in PROFILES.items() for c in INTEGER_CODECS.values() if c.name == name
    }


def test_a_profile_that_does_not_exist_is_refused(small_job, tmp_path) -> None:
    with pytest.raises(CompileError, match="no profile is named 'small'; there are max, default, fast"):
        bytecap.compile(small_job.checkpoint, cap=CAP, calibration=small_job.calibration, profile="small")
    assert list(tmp_path.iterdir()) == []


def test_the_report_has_the_bytes_of_every_profile(small_job) -> None:
    """Each number is the length of an artifact assembled again from the decoded integers."""
    data, report = small_job.artifact.read_bytes(), small_job.compiled.document["report"]
    artifact = read_artifact(data)
    grids = decode_contents(artifact).grids
    sources = [
        TensorSource(entry.name, entry.shape, entry.dtype, (GridInStream(grids[i, 0], entry.terms[0].stream),))
        for i, entry in enumerate(artifact.directory)
    ]
    again = {
        p: assemble_artifact(artifact.program, sources, artifact.provenance, codec, identity=artifact.identity)
        for p, codec in profile_codecs().items()
    }
    assert report["profiles"] == {profile: len(other) for profile, other in again.items()}
    assert report["profile"] == "default" and again["default"] == data
    assert all(read_artifact(other).digest == artifact.digest for other in again.values())


def test_a_fast_artifact_fills_its_cap_and_says_what_it_is(small_job, tmp_path) -> None:
    path = tmp_path / "fast.bcap"
    lines = bytecap_command(*small_job.compile_arguments(path, "--profile", "fast")).stdout.splitlines()
    data, code_bytes = path.read_bytes(), small_job.compiled.document["ledger"]["code_bytes"]
    assert 0.99 * CAP < len(data) + code_bytes <= CAP
    (profiles,) = [line for line in lines if line.startswith("profiles")]
    assert re.fullmatch(
        rf"profiles {{7}}.*default [\d,]+, fast {len(data):,} \(this\) bytes with the same integers", profiles
    )
    found = bytecap_command("inspect", path, "--json").document["streams"]
    assert [row["codec"] for row in found] == ["mixing", *["static-rans"] * (len(found) - 1)]
    assert [row["bytes"] for row in found] == [len(stream.payload) for stream in read_artifact(data).streams]
    line = next(line for line in bytecap_command("inspect", path).stdout.splitlines() if line.startswith("streams"))
    told = ", ".join("{number} {codec} {bytes:,}".format(**row) for row in found)
    assert " ".join(line.split()) == f"streams {told} bytes"
    assert not any(check.failed for check in bytecap.verify(path, cap=CAP, code=[small_job.code]))


def test_the_interface_takes_a_profile(small_job) -> None:
    options = {
        "cap": CAP,
        "calibration": small_job.calibration,
        "architecture": small_job.architecture,
        "profile": "fast",
    }
    assert codecs_of(bytecap.compile(small_job.checkpoint, **options).artifact)[1:] == [3]


@settings(max_examples=25, deadline=None)
@given(artifact_sources(), st.sampled_from(sorted(INTEGER_CODECS)))
def test_every_codec_holds_every_artifact(source, codec) -> None:
    data = assemble_artifact(source.program, source.tensors, None, codec)
    assert set(codecs_of(data)[1:]) <= {codec}
    for array, again in zip(source.arrays, decode_tensors(read_artifact(data)), strict=True):
        assert np.array_equal(array, again)
