"""What running the packed script does: decode the artifact beside it, score it, and print what a verifier reads.

Strategy: the names and lines of the public challenge's own script, so that its log is a log like any other: the
environment variables DATA_PATH and TOKENIZER_PATH, the sizes of code and submission, val_loss and val_bpb. The packer
writes the SHIPPED_ names.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

from .decoding import decode_artifact
from .model import Model
from .scoring import plan, score_windows
from .shards import bytes_of_ids, read_ids, read_table

SHIPPED_ARTIFACT = "model.bcap"
SHIPPED_TABLE = ""  # file of bytes by token, where the tokenizer is no sentencepiece model
SHIPPED_PIECES = ""  # digest of the tokenizer's table, where one was told
SHIPPED_DOCUMENTS = "joined"
SHIPPED_STRIDE = 0


def read_options() -> argparse.Namespace:
    """The command line, with the challenge's environment variables as defaults."""
    here, known = Path(sys.argv[0]).resolve().parent, os.environ.get
    table = str(here / SHIPPED_TABLE) if SHIPPED_TABLE else "./data/tokenizers/fineweb_1024_bpe.model"
    parser = argparse.ArgumentParser()
    parser.add_argument("--artifact", default=str(here / SHIPPED_ARTIFACT))
    parser.add_argument("--data", default=known("DATA_PATH", "./data/datasets/fineweb10B_sp1024"))
    parser.add_argument("--tokenizer", default=known("TOKENIZER_PATH", table))
    parser.add_argument("--sequence-length", type=int, default=int(known("EVAL_SEQ_LEN", 0)))
    parser.add_argument("--stride", type=int, default=int(known("EVAL_STRIDE", SHIPPED_STRIDE)))
    parser.add_argument("--max-tokens", type=int)
    parser.add_argument("--documents", choices=("joined", "separate"), default=SHIPPED_DOCUMENTS)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--decoder", default="numba c python")
    parser.add_argument("--compile", action="store_true")
    return parser.parse_args()


def say_sizes(artifact: str) -> None:
    """The bytes that count: script, table and artifact."""
    here, model = Path(sys.argv[0]).resolve(), os.path.getsize(artifact)
    code = os.path.getsize(here) + (os.path.getsize(here.parent / SHIPPED_TABLE) if SHIPPED_TABLE else 0)
    print(f"Serialized model bytecap: {model} bytes\nCode size: {code} bytes")
    print(f"Total submission size bytecap: {model + code} bytes", flush=True)


def table_of(tokenizer: str) -> np.ndarray:
    """The bytes of its pieces; another tokenizer than the one packed with stops the run."""
    table = read_table(tokenizer)
    found = hashlib.sha256(table.astype("<u2").tobytes()).hexdigest()
    if not found.startswith(SHIPPED_PIECES):
        raise SystemExit(f"{tokenizer} is another tokenizer ({found[:16]}) than the model's ({SHIPPED_PIECES})")
    return table


def main() -> None:
    """Decode, score, print. Under torchrun the first process does it all and the others end at once."""
    if int(os.environ.get("RANK", "0")):
        return
    options, began = read_options(), time.perf_counter()
    say_sizes(options.artifact)
    device = torch.device(options.device)
    (vocabulary, length, boundary), instructions, arrays, way = decode_artifact(
        Path(options.artifact).read_bytes(), options.decoder
    )
    model = Model(instructions, [torch.from_numpy(array).to(device) for array in arrays], boundary)
    if options.compile:
        model.logits = torch.compile(model.logits)  # type: ignore[method-assign]
    weights = sum(array.size for array in arrays)
    print(f"decoded {weights} weights in {time.perf_counter() - began:.1f} s by {way}", flush=True)
    length = options.sequence_length or length
    stride = options.stride or length
    if not 0 < stride <= length:
        raise SystemExit(f"stride {stride} is not between 1 and the sequence length {length}")
    ids, counts = read_ids(options.data)
    if ids.max() >= vocabulary:
        raise SystemExit(f"the data have tokens up to {ids.max()}, the model {vocabulary}")
    ids = ids[: min(len(ids) - 1, options.max_tokens or len(ids)) // length * length + 1]
    if len(ids) < 2:
        raise SystemExit(f"the data have less than one sequence of {length} tokens and one more")
    if counts is None:
        counts = bytes_of_ids(ids, table_of(options.tokenizer), boundary)
    windows_scored = plan(ids, length, stride, boundary if options.documents == "separate" else None)
    began, half = time.perf_counter(), getattr(torch, options.dtype)
    plain = options.dtype == "float32"
    with contextlib.nullcontext() if plain else torch.autocast(device.type, half):
        nats, tokens, text = score_windows(model, ids, counts, windows_scored, vocabulary, device)
    loss, bits = nats / tokens, nats / text / 0.6931471805599453
    if not text or not loss < float("inf"):
        raise SystemExit(f"no score: a loss of {loss} on {text} bytes")
    print(
        f"val_tokens:{tokens} val_bytes:{text} sequence_length:{length} stride:{stride} "
        f"documents:{options.documents} dtype:{options.dtype} device:{device}"
    )
    spent = 1000 * (time.perf_counter() - began)
    print(f"final_bytecap_roundtrip val_loss:{loss:.4f} val_bpb:{bits:.4f} eval_time:{spent:.0f}ms")
    print(f"final_bytecap_roundtrip_exact val_loss:{loss:.8f} val_bpb:{bits:.8f}")
