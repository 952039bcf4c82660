"""A model and text at the size of a test of byte-return curves: a few seconds for a dozen points."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tiny_models import ARCHITECTURE as SMALL
from tiny_models import golf_model, random_sequences

from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.runtime.shards import write_shard

ARCHITECTURE = SMALL | {"vocab_size": 40, "model_dim": 32}
CALIBRATION_TOKENS, BITS = 384, 4.0


@dataclass(frozen=True)
class CurveJob:
    """Paths of a checkpoint and what a curve of it needs."""

    checkpoint: Path
    calibration: Path
    architecture: Path

    def arguments(self, *more) -> list:
        """The command line, with what makes it quick."""
        inputs = [self.checkpoint, "--calibration", self.calibration, "--architecture", self.architecture]
        return ["curve", *inputs, "--calibration-tokens", CALIBRATION_TOKENS, "--bits", BITS, "--threads", 1, *more]

    def options(self, **changes) -> dict:
        """The same for the Python call."""
        known = {
            "calibration": self.calibration,
            "architecture": self.architecture,
            "calibration_tokens": CALIBRATION_TOKENS,
        }
        return {**known, "bits": BITS, "threads": 1, **changes}


def make_curve_job(folder: Path) -> CurveJob:
    """Write the job's files."""
    model = golf_model(6, **ARCHITECTURE)
    job = CurveJob(folder / "model.pt", folder / "calibration.bin", folder / "architecture.json")
    export_checkpoint(
        [t.name for t in model.tensors],
        [t.values for t in model.tensors],
        [t.dtype for t in model.tensors],
        job.checkpoint,
    )
    write_shard(
        job.calibration, random_sequences(ARCHITECTURE["vocab_size"], 96, ARCHITECTURE["seq_len"], seed=6).ravel()
    )
    job.architecture.write_text(json.dumps(ARCHITECTURE))
    return job
