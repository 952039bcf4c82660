"""`python -m benchmarks.adamw`: a checkpoint trained with AdamW, beside that of the prose material, trained with Muon.

Strategy: what pays depends on the optimizer, since AdamW leaves other weights than Muon. The trainer of the lab makes
the model from the training documents of the shared data, in the challenge's vocabulary of 1,024 pieces: 2.2 million
weights, six layers less wide than those of prose. Calibration and validation shards are those of prose. The
checkpoint is kept beside the repository, since a machine that others use makes fewer updates in the time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import sentencepiece
import zstandard

from bytecap.lab.train.fresh_models import initial_model
from bytecap.lab.train.training import Schedule, train_model
from bytecap.lab.train.written_model import write_model

from .material import ADAMW, SHARED

ARCHITECTURE = {
    "vocab_size": 1024,
    "num_layers": 6,
    "model_dim": 192,
    "num_heads": 6,
    "num_kv_heads": 3,
    "mlp_mult": 3,
    "seq_len": 256,
}
UPDATES, BATCH_SEQUENCES, SEED = 6_000, 8, 1
MAX_SECONDS = 5_400.0
TEXT_BYTES = 60_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ADAMW)
    parser.add_argument("--updates", type=int, default=UPDATES, help="as many on every machine that has the time")
    parser.add_argument("--seconds", type=float, default=MAX_SECONDS, help="fewer updates where all would take longer")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    tokens = training_tokens()
    began, done = time.perf_counter(), 0

    def count(update: int, updates: int) -> None:
        nonlocal done
        done = update
        if update % 50 == 0:
            print(f"{update} of {updates} updates, {time.perf_counter() - began:.0f} s", flush=True)

    schedule = Schedule(arguments.updates, BATCH_SEQUENCES, SEED, arguments.seconds, adamw=True)
    fresh = initial_model(ARCHITECTURE, SEED)
    model = train_model(fresh, tokens, schedule, threads=arguments.threads, progress=count)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_model(model, ARCHITECTURE, arguments.folder, force=True)
    print(f"{arguments.folder}: {model.parameters:,} weights, {done} updates of {BATCH_SEQUENCES * 256} tokens")


def training_tokens() -> np.ndarray:
    """uint16 tokens of the first TEXT_BYTES of the training documents, BOS before each."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(SHARED / "fineweb_1024_bpe.model"))
    with (SHARED / "prose_train.txt.zst").open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read(TEXT_BYTES).decode("utf-8", "ignore")
    documents = pieces.encode(text.split("\0"), num_threads=1)
    return np.concatenate([np.asarray([pieces.bos_id(), *ids], np.uint16) for ids in documents])


if __name__ == "__main__":
    main()
