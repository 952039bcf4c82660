"""The whole compile on a small real job: determinism, the cap, what is written, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import ARCHITECTURE as SMALL
from tiny_models import golf_model, random_sequences

from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.model.model import Model
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.compiler.options import CompileOptions
from bytecap.compiler.pipeline import (
    CompileResult,
    compile_checkpoint,
    land_checkpoint,
    measure_checkpoint,
)
from bytecap.compiler.recipe import read_recipe
from bytecap.compiler.scratch_file import ScratchFile
from bytecap.compiler.statistics.swaps import measure_divergences
from bytecap.errors import BytecapError, CapError, CheckpointError, CompileError, DataError, OutputError
from bytecap.format.artifact import decode_contents, decode_tensors, read_artifact, write_artifact
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.shards import read_shard, write_shard

ARCHITECTURE = SMALL | {"vocab_size": 40, "model_dim": 32}
LENGTH, CAP = ARCHITECTURE["seq_len"], 8_000
QUICK = "[calibrate]\ntokens = 768\n\n[correct-drift]\nenabled = false\n"
FULL = (
    "[calibrate]\ntokens = 768\n\n[correct-drift]\ntokens = 256\n\n"
    "[distil]\nbatch-tokens = 64\nsteps = 16\nfinal-steps = 4\n\n"
    "[land-on-cap]\ntolerance = 0.0009\n"
)


LABELS = FULL.replace("[distil]\n", "[distil]\nlabels = 0.5\n")
SAMPLED = (
    "[calibrate]\ntokens = 768\n\n[correct-drift]\ntokens = 256\n\n[sample-rows]\nleast = 8\n\n"
    "[distil]\nbatch-tokens = 64\nsteps = 8\nfinal-steps = 4\n"
)


@dataclass(frozen=True)
class Job:
    """Input files, the model in them, and how to compile it."""

    folder: Path
    model: Model
    sequences: np.ndarray

    def path(self, name: str) -> Path:
        return self.folder / name

    def compile(self, cap: int, recipe: str = "quick", **options) -> CompileResult:
        given = {
            "calibration": self.path("calibration.bin"),
            "architecture": self.path("architecture.json"),
            "recipe": self.path(f"{recipe}.toml"),
            "threads": 1,
        }
        return compile_checkpoint(options.pop("checkpoint", self.path("model.pt")), cap=cap, **(given | options))

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    model, sequences = golf_model(6, **ARCHITECTURE), random_sequences(ARCHITECTURE["vocab_size"], 48, LENGTH, seed=6)
    names, arrays = [t.name for t in model.tensors], [t.values for t in model.tensors]
    export_checkpoint(names, arrays, ["float32"] * len(names), folder / "model.pt")
    write_shard(folder / "calibration.bin", sequences.ravel())
    (folder / "architecture.json").write_text(json.dumps(ARCHITECTURE))
    (folder / "quick.toml").write_text(QUICK)
    (folder / "full.toml").write_text(FULL)
    (folder / "sampled.toml").write_text(SAMPLED)
    (folder / "labels.toml").write_text(LABELS)
    (folder / "run.py").write_text("import network\n" + "# a comment\n" * 20)
    (folder / "network.py").write_text("WIDTH = 16\n")
    return Job(folder, model, sequences)


@pytest.fixture(scope="module")
def finest(job: Job) -> CompileResult:
    """With more room than the finest steps need."""
    return job.compile(10**9)


@pytest.fixture(scope="module")
def at_share(job: Job, finest: CompileResult) -> Callable[[float], CompileResult]:
    """Under a cap of so much of what the finest steps need."""
    return cache(lambda share: job.compile(int(share * len(finest.artifact))))


@pytest.fixture(scope="module")
def quick(job: Job) -> CompileResult:
    return job.compile(CAP)


@pytest.fixture(scope="module")
def compiled_in_stages(job: Job) -> tuple[CompileResult, list[str]]:
    """With drift correction; and the names of the stages."""
    names: list[str] = []
    result = job.compile(CAP, "full", progress=lambda stage, done, total: names.append(stage))
    return result, list(dict.fromkeys(names))


@pytest.fixture(scope="module")
def compiled(compiled_in_stages: tuple[CompileResult, list[str]]) -> CompileResult:
    return compiled_in_stages[0]


def divergence(job: Job, artifact: bytes) -> float:
    """Measured KL divergence from the float model in nats a token, on the calibration text."""

    def log_p(arrays: list[np.ndarray]) -> torch.Tensor:
        executor = TorchExecutor(job.model.program, {i: torch.from_numpy(a) for i, a in enumerate(arrays)})
        return executor.forward(torch.from_numpy(job.sequences)).double().log_softmax(-1)

    with torch.no_grad():
        before, after = log_p([t.values for t in job.model.tensors]), log_p(decode_tensors(read_artifact(artifact)))
    return float((before.exp() * (before - after)).sum(-1).mean())


def test_equal_bytes_again_and_on_two_threads(job: Job, compiled: CompileResult) -> None:
    assert job.compile(CAP, "full", threads=2).artifact == compiled.artifact


def test_a_model_that_learns_the_text_too_is_another_one_and_says_so(job: Job, compiled: CompileResult) -> None:
    found, again = (job.compile(CAP, "labels", threads=threads) for threads in (1, 2))
    assert found.artifact == again.artifact != compiled.artifact
    said = [note for note in found.report["calibration_notes"] if "(labels = 0.5)" in note]
    assert len(said) == 1 and not any("labels" in note for note in compiled.report["calibration_notes"])


def test_the_artifact_is_the_model(job: Job, compiled: CompileResult) -> None:
    artifact = read_artifact(compiled.artifact)
    assert write_artifact(artifact) == compiled.artifact
    assert artifact.program == job.model.program
    assert [(e.name, e.shape, e.dtype) for e in artifact.directory] == [
        (t.name, t.values.shape, "float32") for t in job.model.tensors
    ]
    logits = Interpreter(artifact.program, decode_tensors(artifact)).logits(job.sequences[:2])
    assert logits.shape == (2, LENGTH, ARCHITECTURE["vocab_size"]) and np.isfinite(logits).all()
    assert divergence(job, compiled.artifact) < 0.3


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.97])
def test_the_cap_is_used_and_never_exceeded(at_share, finest: CompileResult, share: float) -> None:
    cap, result = int(share * len(finest.artifact)), at_share(share)
    assert 0.999 * cap <= len(result.artifact) <= cap
    assert result.report["at_finest_steps"] is False


def test_drift_correction_lands_on_the_cap_too(compiled: CompileResult) -> None:
    assert 0.999 * CAP <= len(compiled.artifact) <= CAP


def test_more_bytes_than_the_finest_steps_need_are_left(job: Job, finest: CompileResult) -> None:
    assert finest.report["at_finest_steps"] is True
    assert divergence(job, finest.artifact) < 1e-6
    assert job.compile(len(finest.artifact)).artifact == finest.artifact
    below = job.compile(len(finest.artifact) - 1)
    assert 0.999 * len(finest.artifact) - 1 <= len(below.artifact) < len(finest.artifact)


def test_fewer_bytes_lose_more_and_the_report_says_about_how_much(job: Job, at_share) -> None:
    results = [at_share(share) for share in (0.3, 0.5, 0.8)]
    measured = [divergence(job, result.artifact) for result in results]
    predicted = [result.report["predicted_loss"] for result in results]
    assert measured == sorted(measured, reverse=True) and predicted == sorted(predicted, reverse=True)
    for real, said in zip(measured, predicted, strict=True):
        assert 0.5 < real / said < 2


def test_a_cap_that_is_too_small_names_the_smallest_size(job: Job) -> None:
    with pytest.raises(CapError) as caught:
        job.compile(300)
    found = re.search(r"smallest possible artifact is (\d+) bytes; raise the cap by at least (\d+)", str(caught.value))
    assert found and int(found[1]) == 300 + int(found[2])
    smallest = int(found[1])
    with pytest.raises(CapError, match=str(smallest)):
        job.compile(smallest - 1)


@pytest.mark.parametrize("cap", [0, 1])
def test_a_cap_of_nothing(job: Job, cap: int) -> None:
    with pytest.raises(CapError):
        job.compile(cap)


def test_code_counts_against_the_cap(job: Job) -> None:
    code = [job.path("run.py")]
    code_bytes = sum(job.path(name).stat().st_size for name in ("run.py", "network.py"))
    result = job.compile(CAP, code=code)
    assert result.report["code_notes"] == []
    assert 0.999 * CAP <= len(result.artifact) + code_bytes <= CAP
    ledger = result.ledger
    assert (ledger.artifact_bytes, ledger.code_bytes, ledger.cap) == (len(result.artifact), code_bytes, CAP)
    assert ledger.total_bytes == len(result.artifact) + code_bytes
    for cap in (0, code_bytes):
        with pytest.raises(CapError, match=f"code files take {code_bytes}"):
            job.compile(cap, code=code)
    with pytest.raises(CapError, match="1 bytes are left"):
        job.compile(code_bytes + 1, code=code)


def test_the_report_adds_up(job: Job, compiled: CompileResult) -> None:
    report = compiled.report
    assert json.loads(json.dumps(report)) == report
    contents = decode_contents(read_artifact(compiled.artifact))
    assert [t["name"] for t in report["tensors"]] == [t.name for t in job.model.tensors]
    assert [t["bytes"] for t in report["tensors"]] == [contents.code_bytes[i] for i in range(len(job.model.tensors))]
    assert report["weights"] == sum(t["elements"] for t in report["tensors"]) == job.model.parameters
    assert report["predicted_loss"] == pytest.approx(sum(t["predicted_loss"] for t in report["tensors"]))
    length = job.model.program.sequence_length
    tokens = read_shard(job.path("calibration.bin"))
    held_out = tokens[len(tokens) - report["held_out_tokens"] :].reshape(-1, length).astype(np.int64)
    assert report["held_out_tokens"] == min(8192, len(tokens) // length // 8 * length) > 0
    (measured,) = measure_divergences(job.model, [dict(enumerate(contents.arrays))], held_out, threads=1)
    assert report["measured_loss"] == pytest.approx(measured, rel=1e-3)
    assert (
        all(trial["bytes"] > 0 for trial in report["trials"])
        and {"bytes": len(compiled.artifact), "byte_price": report["byte_price"]} in report["trials"]
    )
    assert sum(row.bytes for row in compiled.ledger.rows) == len(compiled.artifact)


def test_provenance(job: Job, quick: CompileResult, compiled: CompileResult) -> None:
    stored = read_artifact(compiled.artifact).provenance
    assert (
        stored == compiled.provenance
        and stored["recipe"] == read_recipe(job.path("full.toml")).digest
        and stored["seed"] == 0
    )
    other = job.compile(CAP, seed=9)
    assert other.provenance["seed"] == 9 and other.provenance["calibration"] == stored["calibration"]
    assert other.artifact != quick.artifact


def test_output_is_written_and_never_replaced_without_force(job: Job, tmp_path: Path) -> None:
    output = tmp_path / "model.bcap"
    result = job.compile(CAP, output=output)
    assert output.read_bytes() == result.artifact and [p.name for p in tmp_path.iterdir()] == ["model.bcap"]
    stages: list[str] = []
    with pytest.raises(OutputError, match=re.escape(str(output))):
        job.compile(CAP - 2_000, output=output, progress=lambda stage, done, total: stages.append(stage))
    assert stages == [] and output.read_bytes() == result.artifact  # refused before the work
    smaller = job.compile(CAP - 2_000, output=output, force=True)
    assert output.read_bytes() == smaller.artifact and len(smaller.artifact) <= CAP - 2_000
    assert [p.name for p in tmp_path.iterdir()] == ["model.bcap"]


def test_without_an_output_nothing_is_written(job: Job) -> None:
    before = job.files()
    result = job.compile(CAP)
    assert job.files() == before and result.ledger.total_bytes == len(result.artifact)


def interrupted_at(stage: str, count: int) -> Callable[[str, int, int], None]:
    seen: list[str] = []

    def progress(name: str, done: int, total: int) -> None:
        seen.append(name)
        assert 0 <= done <= total
        if seen.count(stage) == count:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("existing", [False, True])
def test_an_interrupt_leaves_nothing_behind(job: Job, compiled_in_stages, tmp_path: Path, existing: bool) -> None:
    output = tmp_path / "model.bcap"
    if existing:
        output.write_bytes(b"as it was")
    stages = compiled_in_stages[1]
    assert len(stages) >= 2 and stages[0] == "calibrate"
    before = job.files()
    for stage in stages[-1:] if existing else stages:
        with pytest.raises(KeyboardInterrupt):
            job.compile(CAP, "full", output=output, force=existing, threads=2, progress=interrupted_at(stage, 1))
        assert [p.name for p in tmp_path.iterdir()] == (["model.bcap"] if existing else [])
    assert not existing or output.read_bytes() == b"as it was"
    assert job.files() == before


def write_calibration(path: Path, tokens: np.ndarray) -> Path:
    write_shard(path, tokens)
    return path


def refusal(job: Job, tmp_path: Path, error: type[BytecapError], **options) -> str:
    """The message; and the folder of the output stays empty."""
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(error) as caught:
        job.compile(CAP, output=folder / "model.bcap", **options)
    assert list(folder.iterdir()) == []
    return str(caught.value)


def test_reject_a_calibration_text_shorter_than_a_sequence(job: Job, tmp_path: Path) -> None:
    path = write_calibration(tmp_path / "short.bin", np.zeros(LENGTH - 1, np.uint16))
    message = refusal(job, tmp_path, DataError, calibration=path)
    assert str(path) in message and f"{LENGTH - 1} tokens, fewer than the {LENGTH} of one" in message


def test_one_sequence_is_enough_to_calibrate(job: Job, tmp_path: Path) -> None:
    path = write_calibration(tmp_path / "one.bin", job.sequences[0])
    assert len(job.compile(CAP, calibration=path).artifact) <= CAP


def test_reject_a_token_outside_the_vocabulary(job: Job, tmp_path: Path) -> None:
    tokens = job.sequences.ravel().copy()
    tokens[37] = ARCHITECTURE["vocab_size"]
    path = write_calibration(tmp_path / "wrong.bin", tokens)
    message = refusal(job, tmp_path, DataError, calibration=path)
    assert str(path) in message and "token 37" in message and "39" in message


def test_reject_text_without_a_tokenizer_and_files_that_are_missing(job: Job, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("a text", "utf-8")
    assert "tokenizer" in refusal(job, tmp_path, DataError, calibration=text)
    for name, error in (
        ("calibration", DataError),
        ("checkpoint", CheckpointError),
        ("architecture", CheckpointError),
        ("recipe", CompileError),
    ):
        folder = tmp_path / name
        folder.mkdir()
        assert str(folder / "missing.bin") in refusal(job, folder, error, **{name: folder / "missing.bin"})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_reject_weights_that_are_not_finite(job: Job, tmp_path: Path, value: float) -> None:
    arrays = [t.values.copy() for t in job.model.tensors]
    arrays[3].flat[2] = value
    path = tmp_path / "broken.pt"
    torch.save({t.name: torch.from_numpy(a) for t, a in zip(job.model.tensors, arrays, strict=True)}, path)
    message = refusal(job, tmp_path, CheckpointError, checkpoint=path)
    assert str(path) in message and job.model.tensors[3].name in message


def test_reject_a_checkpoint_of_another_architecture(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps(ARCHITECTURE | {"num_layers": 3}))
    assert "blocks.2." in refusal(job, tmp_path, CheckpointError, architecture=path)


def test_reject_an_output_folder_that_is_missing_before_any_work(job: Job, tmp_path: Path) -> None:
    stages: list[str] = []
    with pytest.raises(OutputError, match="none"):
        job.compile(
            CAP, output=tmp_path / "none" / "model.bcap", progress=lambda stage, done, total: stages.append(stage)
        )
    assert stages == [] and list(tmp_path.iterdir()) == []


def test_the_least_effort_lands_on_the_cap_whatever_the_threads(job: Job, quick: CompileResult) -> None:
    found = [job.compile(CAP, "sampled", effort=1, threads=threads) for threads in (1, 3)]
    assert found[0].artifact == found[1].artifact
    assert CAP - 60 <= len(found[0].artifact) <= CAP
    assert found[0].report["effort"] == found[0].provenance["effort"] == 1
    assert "effort" not in quick.provenance


def test_a_checkpoint_that_is_measured_once_lands_on_each_cap_as_a_compile_of_its_own(job):
    """Whatever was landed on before: what is kept of a landing must not reach the next."""
    given = CompileOptions(
        job.path("calibration.bin"),
        architecture=job.path("architecture.json"),
        recipe=job.path("sampled.toml"),
        threads=1,
    )
    caps = (CAP, CAP - 1500, CAP)
    with ScratchFile() as scratch:
        measured = measure_checkpoint(job.path("model.pt"), given, scratch)
        found = [land_checkpoint(measured, cap) for cap in caps]
    alone = {cap: job.compile(cap, "sampled").artifact for cap in set(caps)}
    assert [each.artifact for each in found] == [alone[cap] for cap in caps]
    assert all(set(each.report["seconds"]) == {"read", "calibrate", "land", "measure"} for each in found)
