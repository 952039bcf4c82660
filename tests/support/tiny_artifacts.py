"""Small real artifacts of a model over the tiny tokenizer's vocabulary, for the tests of ledger and verification."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from bytecap.format.assembly import assemble_artifact
from bytecap.format.identity import UNKNOWN, Identity
from bytecap.format.program.operations import Embed, Linear, Shift
from bytecap.format.program.program import Program
from bytecap.format.tensors.grid import GridValues
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import GridInStream, RawValues

VOCABULARY, WIDTH, LENGTH, BOUNDARY = 420, 8, 16, 1
PROGRAM = Program((Embed(0), Shift(0, 1, False), Linear(1, 1, None)), VOCABULARY, LENGTH, BOUNDARY)


@cache
def tiny_artifact(
    seed: int = 0,
    provenance: str = "a test",
    identity: Identity = UNKNOWN,
    names: tuple[str, str] = ("embedding", "head"),
    sequence_length: int = LENGTH,
) -> bytes:
    """An artifact of PROGRAM: a float16 embedding and a quantized head."""
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(VOCABULARY, WIDTH)).astype(np.float16).astype(np.float32)
    head = GridValues(rng.integers(-9, 10, size=(VOCABULARY, WIDTH)).astype(np.int32), None, None, 0.125, 0)
    shape = (VOCABULARY, WIDTH)
    tensors = [
        TensorSource(names[0], shape, "float16", (RawValues(embedding, "float16"),)),
        TensorSource(names[1], shape, "float32", (GridInStream(head, 1),)),
    ]
    return assemble_artifact(
        replace(PROGRAM, sequence_length=sequence_length), tensors, {"made": provenance}, identity=identity
    )
