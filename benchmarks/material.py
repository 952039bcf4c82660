"""What the benchmarks run on: four checkpoints with their texts, chosen by `--material`.

Strategy: one record of paths; everything that a benchmark needs of a model is loaded from it in one way. Only the demo
can be made from the repository alone; the other folders lie beside it, and a material whose files are missing says
where they come from. Without a choice it is the shared prose checkpoint where that is there, else the demo.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model, read_architecture
from bytecap.compiler.model.model import Model
from bytecap.files.digests import file_sha256
from bytecap.runtime.evaluation import evaluate_program
from bytecap.runtime.scoring import Score, target_count
from bytecap.runtime.shards import read_shard
from bytecap.runtime.tokenizers import load_tokenizer
from bytecap.runtime.tokens import Tokens

from .stories import write_sampled_shards

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
ADAMW = ROOT.parent / "adamw"  # what `python -m benchmarks.adamw` makes
STORIES = ROOT.parent / "stories260k"  # others' model and tokenizer; what is drawn from it is kept there
STORIES_SHA256 = "b0a507e7ad0f626624f17112325e66691f9076d622e1d3274d103d00299f2696"
DEMO = ROOT / "bytecap-demo"
PROSE_TOKENS, STORIES_TOKENS = 131_072, 65_536


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


def prose() -> Material:
    """A model of 2.6 million weights that was trained with Muon."""
    folder = SHARED / "prose"
    return _prose_texts("prose", folder / "final_model.pt", folder / "config.json")


def adamw() -> Material:
    """A model of 2.2 million weights that was trained with AdamW."""
    _require(ADAMW / "checkpoint.pt", "run `python -m benchmarks.adamw` (an hour and a half)")
    return _prose_texts("adamw", ADAMW / "checkpoint.pt", ADAMW / "architecture.json")


def _prose_texts(name: str, checkpoint: Path, architecture: Path) -> Material:
    _require(SHARED / "prose_sp1024_val.bin", "the shared data belong beside the repository")
    calibration, validation = (SHARED / f"prose_sp1024_{part}.bin" for part in ("calib", "val"))
    tokenizer = SHARED / "fineweb_1024_bpe.model"
    return Material(name, checkpoint, architecture, tokenizer, calibration, validation, PROSE_TOKENS)


def stories260k() -> Material:
    """A Llama of 0.26 million weights that others trained, on text drawn from itself, made when first asked for."""
    checkpoint, tokenizer = STORIES / "stories260K.bin", STORIES / "tok512.bin"
    for path in (checkpoint, tokenizer):
        _require(path, "put stories260K.bin and tok512.bin of karpathy's tinyllamas there")
    found = file_sha256(checkpoint)
    if found != STORIES_SHA256:  # a copy whose layers stand in another order goes about, and runs: 12 nats a token
        raise SystemExit(
            f"{checkpoint} is not the published stories260K.bin: its SHA-256 is {found}, not {STORIES_SHA256}; "
            "put the file of karpathy's tinyllamas there"
        )
    calibration, validation = STORIES / "stories_train_000000.bin", STORIES / "stories_val_000000.bin"
    if not (calibration.is_file() and validation.is_file()):
        model = build_model(read_checkpoint(checkpoint), None)
        write_sampled_shards(model, load_tokenizer(tokenizer), calibration, validation, STORIES_TOKENS)
    return Material("stories260k", checkpoint, None, tokenizer, calibration, validation, STORIES_TOKENS)


def demo(folder: Path = DEMO) -> Material:
    """What `bytecap demo FOLDER` made."""
    _require(folder / "checkpoint.pt", "run `make demo` first, or name the demo's folder with --demo")
    return Material(
        "demo",
        folder / "checkpoint.pt",
        folder / "architecture.json",
        folder / "tokenizer.model",
        folder / "calibration.bin",
        folder / "validation.bin",
        None,
    )


def _require(path: Path, remedy: str) -> None:
    if not path.is_file():
        raise SystemExit(f"{path} is not there; {remedy}")


MATERIALS: dict[str, Callable[[], Material]] = {
    "prose": prose,
    "adamw": adamw,
    "stories260k": stories260k,
    "demo": demo,
}


def add_material_options(parser: argparse.ArgumentParser) -> None:
    """`--material` and `--demo`, which `find_material` takes."""
    parser.add_argument("--material", choices=list(MATERIALS), help="the checkpoint (prose, or the demo without it)")
    parser.add_argument("--demo", type=Path, metavar="FOLDER", help="the demo that `bytecap demo` made in this folder")


def find_material(name: str | None = None, folder: Path | None = None) -> Material:
    """The material of a name or a demo's folder; SystemExit, naming the way out, where its files are missing."""
    if folder is not None:
        return demo(folder)
    return MATERIALS[name or ("prose" if (SHARED / "prose").is_dir() else "demo")]()
