"""The Python API: the same results as the command line, errors as exceptions."""

from __future__ import annotations

import pytest
from command_line import bytecap_command
from small_job import CAP
from tiny_curves import make_curve_job

import bytecap
from bytecap.errors import OutputError


def compile_options(small_job, **changes):
    options = {
        "cap": CAP,
        "calibration": small_job.calibration,
        "architecture": small_job.architecture,
        "code": [small_job.code],
        "tokenizer": small_job.tokenizer,
    }
    return {**options, **changes}


def test_compile_gives_the_bytes_and_writes_only_where_it_is_told(small_job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = bytecap.compile(small_job.checkpoint, **compile_options(small_job, cap="18KB"))
    assert result.artifact == small_job.artifact.read_bytes()
    assert list(tmp_path.iterdir()) == []
    written = bytecap.compile(str(small_job.checkpoint), **compile_options(small_job, output="out.bcap"))
    assert (tmp_path / "out.bcap").read_bytes() == written.artifact == result.artifact


def test_compile_reports_progress_by_stage(small_job):
    calls = []
    bytecap.compile(small_job.checkpoint, **compile_options(small_job, progress=lambda *call: calls.append(call)))
    assert len({stage for stage, _, _ in calls}) >= 2
    assert all(0 <= done and (done <= total or total == 0) for _, done, total in calls)


def test_evaluate_agrees_with_the_command(small_job):
    evaluation = bytecap.evaluate(
        small_job.artifact,
        data=small_job.data,
        tokenizer=small_job.tokenizer,
        against=small_job.checkpoint,
        architecture=small_job.architecture,
    )
    arguments = [
        *small_job.score_arguments(),
        "--against",
        small_job.checkpoint,
        "--architecture",
        small_job.architecture,
        "--json",
    ]
    document = bytecap_command("eval", small_job.artifact, *arguments).document
    assert document["score"]["bits_per_byte"] == evaluation.score.bits_per_byte
    assert document["gap"]["mbpb"] == evaluation.gap.mbpb
    assert evaluation.same_program


def test_inspect_verify_and_export(small_job, tmp_path):
    found = bytecap.inspect(small_job.artifact)
    assert found.bytes == small_job.artifact.stat().st_size
    checks = bytecap.verify(small_job.artifact, cap="18KB", code=[small_job.code], tokenizer=small_job.tokenizer)
    assert [check.outcome.value for check in checks] == ["passed"] * 5 + ["skipped"]
    exported = bytecap.export(small_job.artifact, tmp_path / "model.safetensors")
    assert exported.names == tuple(row.name for row in found.tensors)
    assert (exported.kind, exported.files) == ("safetensors", (tmp_path / "model.safetensors",))


def test_the_artifact_as_records(small_job):
    data = small_job.artifact.read_bytes()
    artifact = bytecap.read_artifact(data)
    assert bytecap.write_artifact(artifact) == data
    shapes = {name: array.shape for name, array in bytecap.decode_tensors(artifact).items()}
    assert shapes == {entry.name: entry.shape for entry in artifact.directory}


def test_curve_agrees_with_the_command(tmp_path):
    job, calls = make_curve_job(tmp_path), []
    found = bytecap.curve(
        job.checkpoint, **job.options(units=["channels"], budget="6%", progress=lambda *call: calls.append(call))
    )
    document = bytecap_command(*job.arguments("--unit", "channels", "--budget", "6%", "--json")).document
    assert document["base"]["bytes"] == found.base.bytes
    assert document["units"][0]["points"][0]["divergence"] == found.points[0].divergence
    assert calls == [("calibrate", 0, 0), ("measure points", 1, 1)]
    assert {path.name for path in tmp_path.iterdir()} == {"model.pt", "calibration.bin", "architecture.json"}


@pytest.mark.parametrize("cap", [0, -5, "0", "16M", 200])
def test_a_cap_that_holds_nothing(small_job, cap):
    with pytest.raises(bytecap.errors.CapError):
        bytecap.compile(small_job.checkpoint, **compile_options(small_job, cap=cap))


def test_the_output_is_refused_before_the_work(small_job, tmp_path):
    calls = []
    with pytest.raises(bytecap.errors.OutputError):
        bytecap.compile(
            small_job.checkpoint,
            **compile_options(
                small_job, output=tmp_path / "no" / "out.bcap", progress=lambda *call: calls.append(call)
            ),
        )
    assert calls == []


def test_what_is_not_an_artifact_is_an_error_to_read_and_a_failed_check(small_job):
    with pytest.raises(bytecap.errors.ArtifactError):
        bytecap.inspect(small_job.checkpoint)
    checks = bytecap.verify(small_job.checkpoint)
    assert [check.outcome.value for check in checks] == ["failed", "skipped", "passed", "skipped", "skipped", "skipped"]


@pytest.mark.parametrize("given", [{"data": "x.bin"}, {"expect_bpb": 1.0}, {"tokenizer": "x.model", "expect_bpb": 1.0}])
def test_half_of_what_a_score_needs_is_refused(small_job, given):
    with pytest.raises(bytecap.errors.DataError, match="needs both data and their tokenizer"):
        bytecap.verify(small_job.artifact, **given)


def test_no_output_takes_the_place_of_what_is_read(small_job, tmp_path):
    """From Python as on the command line, in a folder as by itself, and on the way through a link."""
    model = tmp_path / "model"
    model.mkdir()
    bytecap.export(small_job.artifact, model / "model.safetensors")
    (model / "config.json").write_bytes(small_job.architecture.read_bytes())
    (model / "other.bcap").write_bytes(b"an output of before")
    link = tmp_path / "link.bcap"
    link.symlink_to(small_job.checkpoint)
    how = {"calibration": small_job.calibration, "cap": 20_000, "force": True}
    files = [small_job.checkpoint, small_job.calibration, *sorted(model.iterdir())]
    before = [path.read_bytes() for path in files]
    page = {"output": tmp_path / "a.bcap", "report": small_job.calibration}
    for checkpoint, outputs in (
        (small_job.checkpoint, {"output": small_job.checkpoint}),
        (small_job.checkpoint, {"output": link}),
        (small_job.checkpoint, {"output": small_job.calibration, "work": tmp_path / "work"}),
        (small_job.checkpoint, page),
        (model, {"output": model / "model.safetensors"}),
        (model, {"output": model / "config.json"}),
    ):
        with pytest.raises(OutputError, match="is read; name another file to write"):
            bytecap.compile(checkpoint, **how, **outputs)
    assert [path.read_bytes() for path in files] == before
    from bytecap.compiler.refusals import files_read
    from bytecap.files.output import refuse_own_inputs

    refuse_own_inputs([model / "other.bcap", tmp_path / "new.bcap"], files_read([model]))
