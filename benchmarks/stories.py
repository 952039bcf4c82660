"""Text for a model whose training text is not at hand: drawn from the model itself.

Strategy: every sequence is as long as the model's own, begins with the token that begins a document, and is drawn at
temperature 1 with a seed of its own, so that it is what the model expects and nothing of it depends on the others. A
reader who cuts the shard at multiples of the length has these sequences again. Seeds of calibration and evaluation
never meet. Drawn tokens need not be those that the tokenizer would make of their text, nor be whole characters, so the
bytes of each stand in a file beside the shard.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from bytecap.compiler.model.model import Model
from bytecap.runtime.continuation import Continuation
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.sampling import Sampler, SamplingSettings
from bytecap.runtime.shards import write_shard
from bytecap.runtime.tokenizers import Tokenizer

CALIBRATION_TOKENS = 262_144
EVALUATION_SEED = 1_000_000


def write_sampled_shards(
    model: Model, tokenizer: Tokenizer, calibration: Path, evaluation: Path, evaluation_tokens: int
) -> None:
    """Draw both shards (minutes); the evaluation shard has the token more that the last target needs, and its bytes
    beside it in the file that `evaluate` looks for.
    """
    interpreter = Interpreter(model.program, [tensor.values for tensor in model.tensors])
    length = model.program.sequence_length
    parts = ((evaluation, EVALUATION_SEED, evaluation_tokens + 1), (calibration, 0, CALIBRATION_TOKENS))
    for path, seed, tokens in parts:
        count = -(-tokens // length)
        print(f"drawing {count * length:,} tokens into {path}", file=sys.stderr, flush=True)
        sequences = [sample_sequence(interpreter, seed + number, length) for number in range(count)]
        ids = np.concatenate(sequences)
        if path == evaluation:
            texts = tokenizer.pieces.texts
            counts = np.array([len(texts[token]) for token in ids], np.int64)
            write_shard(path.with_name(path.name.replace("_val_", "_val_bytes_")), counts, force=True)
        write_shard(path, ids, force=True)


def sample_sequence(interpreter: Interpreter, seed: int, length: int) -> np.ndarray:
    """int64 [length] token ids, the first the program's boundary token."""
    ids = np.full(length, interpreter.program.boundary_token, np.int64)
    growing, sampler = Continuation(interpreter), Sampler(SamplingSettings(temperature=1.0, seed=seed))
    for place in range(1, length):
        ids[place] = sampler.draw(growing.extend(ids[place - 1 : place]))
    return ids
