"""A whole job at the size of a test: random weights, generated text, one compiled artifact.

The weights are not trained: what is tested with them is that the parts fit, count and agree, not that the model is
good.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from command_line import Outcome, bytecap_command
from tiny_tokenizers import model_bytes, tiny_tokenizer, words

from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.lab.train.fresh_models import initial_model
from bytecap.runtime.shards import write_shard
from bytecap.runtime.tokens import read_tokens

ARCHITECTURE = {
    "vocab_size": 420,
    "num_layers": 2,
    "model_dim": 32,
    "num_heads": 2,
    "num_kv_heads": 1,
    "mlp_mult": 2,
    "seq_len": 32,
}
CAP = 18_000


@dataclass(frozen=True)
class SmallJob:
    """Paths of the job's files, and what compiling printed; `code` is a script with one local module."""

    folder: Path
    checkpoint: Path
    tokenizer: Path
    calibration: Path
    data: Path
    text: Path
    architecture: Path
    code: Path
    artifact: Path
    compiled: Outcome

    def compile_arguments(self, output: Path, *more) -> list:
        """The command line that compiled `artifact`, to another output."""
        return ["compile", self.checkpoint, "-o", output, *self.compile_options(), *more]

    def compile_options(self) -> list:
        """What the artifact was compiled with."""
        return [
            "--cap",
            CAP,
            "--calibration",
            self.calibration,
            "--tokenizer",
            self.tokenizer,
            "--architecture",
            self.architecture,
            "--code",
            self.code,
        ]

    def score_arguments(self) -> list:
        """Evaluation data and their tokenizer."""
        return ["--data", self.data, "--tokenizer", self.tokenizer]


def make_small_job(folder: Path) -> SmallJob:
    """Write the job's files into `folder` and compile."""
    job = SmallJob(
        folder,
        folder / "checkpoint.pt",
        folder / "tokenizer.model",
        folder / "calibration.bin",
        folder / "data.bin",
        folder / "data.txt",
        folder / "architecture.json",
        folder / "run.py",
        folder / "model.bcap",
        Outcome(-1, "", ""),
    )
    _write_checkpoint(job.checkpoint)
    job.tokenizer.write_bytes(model_bytes())
    _write_text(job, job.text, job.data, first_seed=0, documents=8)
    _write_text(job, folder / "calibration.txt", job.calibration, first_seed=100, documents=20)
    job.architecture.write_text(json.dumps(ARCHITECTURE))
    job.code.write_text("import model_code\n")
    (folder / "model_code.py").write_text("LAYERS = 2\n")
    compiled = bytecap_command(*job.compile_arguments(job.artifact, "--json"))
    if compiled.code != 0:
        raise RuntimeError(f"compiling the small job failed: {compiled.stderr}")
    return replace(job, compiled=compiled)


def _write_checkpoint(path: Path) -> None:
    """Fresh weights, moved so that no tensor is constant."""
    model = initial_model(ARCHITECTURE, seed=1)
    generator = np.random.default_rng(2)
    arrays = [t.values + generator.normal(0, 0.05, t.values.shape).astype(np.float32) for t in model.tensors]
    export_checkpoint([t.name for t in model.tensors], arrays, [t.dtype for t in model.tensors], path)


def _write_text(job: SmallJob, text: Path, shard: Path, first_seed: int, documents: int) -> None:
    text.write_text(
        "\0".join(" ".join(words(seed, 60)) for seed in range(first_seed, first_seed + documents)), encoding="utf-8"
    )
    write_shard(shard, read_tokens(text, tiny_tokenizer(), ARCHITECTURE["vocab_size"], 1).ids)
