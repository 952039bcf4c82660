"""The whole job from Python: a checkpoint, an artifact under a cap, its score, and what a verifier sees.

    python examples/compile_and_score.py

Your own training run takes the place of `write_checkpoint`, your own files that of `write_data`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from small_data import VOCABULARY, write_data

import bytecap

ARCHITECTURE = {"num_layers": 1, "num_heads": 2, "num_kv_heads": 1, "seq_len": 64}
WIDTH, HEAD, HIDDEN = 32, 16, 64


def write_checkpoint(path: Path) -> None:
    """Random weights under the names of the Parameter Golf baseline, as a training script would save its own."""
    random = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (random.standard_normal((rows, columns)) / columns**0.5).astype(np.float32)

    ones = np.ones(WIDTH, np.float32)
    state = {
        "tok_emb.weight": matrix(VOCABULARY, WIDTH),
        "blocks.0.attn.c_q.weight": matrix(2 * HEAD, WIDTH),
        "blocks.0.attn.c_k.weight": matrix(HEAD, WIDTH),
        "blocks.0.attn.c_v.weight": matrix(HEAD, WIDTH),
        "blocks.0.attn.proj.weight": matrix(WIDTH, 2 * HEAD),
        "blocks.0.attn.q_gain": np.full(2, 1.5, np.float32),
        "blocks.0.mlp.fc.weight": matrix(HIDDEN, WIDTH),
        "blocks.0.mlp.proj.weight": matrix(WIDTH, HIDDEN),
        "blocks.0.attn_scale": ones,
        "blocks.0.mlp_scale": ones,
        "blocks.0.resid_mix": np.stack([ones, 0 * ones]),
    }
    save_file(state, path)


def main(folder: Path) -> None:
    files = write_data(folder)
    checkpoint, architecture, artifact = (
        folder / "model.safetensors",
        folder / "architecture.json",
        folder / "model.bcap",
    )
    write_checkpoint(checkpoint)
    architecture.write_text(json.dumps(ARCHITECTURE), encoding="utf-8")

    result = bytecap.compile(
        checkpoint,
        cap="12KB",
        calibration=files["calibration"],
        tokenizer=files["tokenizer"],
        architecture=architecture,
        output=artifact,
    )
    print(f"compiled   {result.ledger.total_bytes:,} of {result.ledger.cap:,} bytes")

    evaluation = bytecap.evaluate(
        artifact,
        data=files["validation"],
        tokenizer=files["tokenizer"],
        against=checkpoint,
        architecture=architecture,
    )
    gap = evaluation.gap
    print(f"score      {evaluation.score.bits_per_byte:.4f} bits per byte")
    print(f"gap        {gap.mbpb:+.1f} ± {gap.standard_error_mbpb:.1f} mBPB against the float checkpoint")

    for check in bytecap.verify(artifact, cap="12KB", tokenizer=files["tokenizer"]):
        print(f"{check.outcome.value:<10} {check.name}: {check.detail}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
