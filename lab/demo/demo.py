"""The whole job at the size of a demonstration: text, tokenizer, trained model, artifact under a cap, scores, verdict.

Strategy: nothing comes from outside the machine, every file stays in one folder, and each step goes through
the function that a user would call for it. Seeded: the files are the same on every run on one machine, unless
it is too slow to train the planned steps within the time set aside for that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...compiler.model.model import Model
from ...compiler.pipeline import CompileResult, compile_checkpoint
from ...format.artifact import decode_tensors, read_artifact
from ...progress import Progress, silent
from ...runtime.check import Check
from ...runtime.evaluation import evaluate_program
from ...runtime.scoring import Gap, Score, paired_gap
from ...runtime.shards import read_shard
from ...runtime.verification import verify_artifact
from ..train.fresh_models import initial_model
from ..train.training import Schedule, train_model
from ..train.written_model import write_model
from .demo_folder import prepare_folder
from .demo_text import DemoData, write_demo_data
from .first_kernels import kernels_compiled_meanwhile


@dataclass(frozen=True, slots=True)
class DemoScale:
    """How large a demonstration is: the model, its training, and the cap in bytes."""

    architecture: Mapping[str, object]
    steps: int
    batch_sequences: int
    training_seconds: float
    cap: int


STANDARD_SCALE = DemoScale(
    architecture={
        "vocab_size": 1024,
        "num_layers": 4,
        "model_dim": 128,
        "num_heads": 4,
        "num_kv_heads": 2,
        "mlp_mult": 3,
        "seq_len": 128,
    },
    steps=300,
    batch_sequences=32,
    training_seconds=120.0,
    cap=200_000,
)
SEED = 1
EFFORT = 2  # half the time of the default: tuning, which it leaves out, brings 5 % of the loss where the text is short


@dataclass(frozen=True, slots=True)
class Demo:
    """Everything the demo made and found.

    steps, training_seconds      of the trainer
    reference, score : Score     of the float checkpoint and of the artifact, on the validation shard
    checks                       of `verify_artifact`, the cap among them
    """

    folder: Path
    data: DemoData
    checkpoint: Path
    artifact: Path
    weights: int
    steps: int
    training_seconds: float
    compiled: CompileResult
    reference: Score
    score: Score
    gap: Gap
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return not any(check.failed for check in self.checks)


def run_demo(
    folder: str | Path, *, scale: DemoScale = STANDARD_SCALE, force: bool = False, progress: Progress | None = None
) -> Demo:
    """Do the whole job in `folder`, which is made if needed.

    Raises OutputError when the folder already holds anything and `force` is false; with `force`, files of an earlier
    demo are replaced and others left alone.
    """
    report = progress or silent
    folder = Path(folder)
    prepare_folder(folder, force)
    with kernels_compiled_meanwhile(scale.architecture, EFFORT):
        report("build the text and the tokenizer", 0, 0)
        data = write_demo_data(folder, scale.architecture["vocab_size"], force=force)
        model, steps, seconds = _train(data, scale, report)
    checkpoint, architecture = write_model(model, scale.architecture, folder, force)
    artifact = folder / "model.bcap"
    compiled = compile_checkpoint(
        checkpoint,
        cap=scale.cap,
        calibration=data.calibration,
        tokenizer=data.tokenizer,
        output=artifact,
        architecture=architecture,
        effort=EFFORT,
        force=force,
        progress=progress,
    )
    reference, score = _scores(model, compiled.artifact, data, report)
    checks = verify_artifact(artifact.read_bytes(), cap=scale.cap, tokenizer=data.tokenizer)
    gap = paired_gap(reference, score)
    return Demo(
        folder,
        data,
        checkpoint,
        artifact,
        model.parameters,
        steps,
        seconds,
        compiled,
        reference,
        score,
        gap,
        tuple(checks),
    )


def _train(data: DemoData, scale: DemoScale, report: Progress) -> tuple[Model, int, float]:
    """The trained model, the steps made and the seconds they took."""
    steps = 0

    def count(done: int, total: int) -> None:
        nonlocal steps
        steps = done
        report("train", done, total)

    began = time.perf_counter()
    model = train_model(
        initial_model(scale.architecture, SEED),
        read_shard(data.train),
        Schedule(scale.steps, scale.batch_sequences, SEED, scale.training_seconds),
        progress=count,
    )
    return model, steps, time.perf_counter() - began


def _scores(model: Model, artifact_bytes: bytes, data: DemoData, report: Progress) -> tuple[Score, Score]:
    """Scores of the float model and of the artifact on the validation shard."""
    artifact = read_artifact(artifact_bytes)
    candidates = (
        ("score the checkpoint", model.program, [tensor.values for tensor in model.tensors]),
        ("score the artifact", artifact.program, decode_tensors(artifact)),
    )
    reference, score = (
        evaluate_program(
            program, tensors, data.validation, data.tokenizer, progress=lambda d, t, stage=stage: report(stage, d, t)
        )
        for stage, program, tensors in candidates
    )
    return reference, score
