"""What the benchmarks run on: the shared prose checkpoint when it lies beside the repository, else the demo's.

Strategy: one record of paths; everything that a benchmark needs of a model is loaded from it in one way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model, read_architecture
from bytecap.compiler.model.model import Model
from bytecap.runtime.evaluation import evaluate_program
from bytecap.runtime.scoring import Score, target_count
from bytecap.runtime.shards import read_shard
from bytecap.runtime.tokens import Tokens

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
ADAMW = ROOT.parent / "adamw"  # what `python -m benchmarks.adamw` makes


@dataclass(frozen=True)
class Material:
    """A checkpoint with its tokenizer, calibration and evaluation tokens; `max_tokens` of the latter are scored."""

    name: str
    checkpoint: Path
    architecture: Path | None
    tokenizer: Path
    calibration: Path
    validation: Path
    max_tokens: int | None

    def model(self) -> Model:
        known = read_architecture(self.architecture) if self.architecture else None
        return build_model(read_checkpoint(self.checkpoint), known)

    def calibration_tokens(self) -> np.ndarray:
        return read_shard(self.calibration)

    def evaluation_sequences(self, length: int) -> np.ndarray:
        """int64 [n, length]: the inputs of the windows that `evaluate` scores with its default options."""
        tokens = Tokens(read_shard(self.validation), str(self.validation))
        targets = target_count(tokens, length, self.max_tokens)
        return tokens.ids[:targets].astype(np.int64).reshape(-1, length)

    def evaluate(self, model: Model, arrays: list[np.ndarray]) -> Score:
        return evaluate_program(model.program, arrays, self.validation, self.tokenizer, max_tokens=self.max_tokens)


def find_material(folder: Path | None = None) -> Material:
    """The prose checkpoint, or the files of a demo folder (made with `bytecap demo FOLDER`)."""
    prose = SHARED / "prose"
    if folder is None and prose.is_dir():
        return Material(
            "prose",
            prose / "final_model.pt",
            prose / "config.json",
            SHARED / "fineweb_1024_bpe.model",
            SHARED / "prose_sp1024_calib.bin",
            SHARED / "prose_sp1024_val.bin",
            131_072,
        )
    folder = folder or ROOT / "bytecap-demo"
    if not (folder / "checkpoint.pt").is_file():
        raise SystemExit(f"{folder}: no demo there; run `make demo` first, or name its folder with --demo")
    return Material(
        "demo",
        folder / "checkpoint.pt",
        folder / "architecture.json",
        folder / "tokenizer.model",
        folder / "calibration.bin",
        folder / "validation.bin",
        None,
    )
